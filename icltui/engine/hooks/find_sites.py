"""Find the sites of a model: names from ``interp_engine.arch.resolve_arch``, the rest from one traced forward pass.

Enters: a loaded Hugging Face model, and places given by hand. Leaves: a :class:`~icltui.engine.hooks.site.Site` per
layer,
and the layers that have none, with the reason. Nothing here knows a model family by name: z is what the MLP's first
matrices read, the norm is the module whose output that tensor is, and whatever else is handed it is patched too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from interp_engine.arch import resolve_arch
from torch import Tensor, nn

from icltui.engine.hooks.input_projections import find_readers
from icltui.engine.hooks.site import Reader, Residual, Site
from icltui.engine.hooks.trace import Trace, is_same, trace_blocks
from icltui.values import RefusedLayer
from icltui.values.errors import BadInput, ModelError

PLACES = ("block", "mlp", "norm", "down")
"""What may be given by hand, as a module's path with ``{layer}`` in it."""
_LOOKUP_ERRORS = (AttributeError, ValueError, LookupError, TypeError)


def find_sites(
    model: nn.Module, by_hand: Mapping[str, str] | None = None
) -> tuple[tuple[Site, ...], tuple[RefusedLayer, ...]]:
    """The sites of every layer that has one, ascending, and the layers that have none.

    Raises:
        BadInput: a place given by hand that the model does not have.
        ModelError: no layer has an MLP that reads one vector per token.
    """
    names = _Names(model, dict(by_hand or {}))
    sites: list[Site] = []
    refused: list[RefusedLayer] = []
    try:
        traces = trace_blocks(model, [names.block(layer) for layer in range(names.n_layers)])
    except _LOOKUP_ERRORS as error:
        raise _unknown(model, _first_line(error)) from error
    for layer, trace in enumerate(traces):
        try:
            sites.append(_find_site(names, layer, trace))
        except _LOOKUP_ERRORS as error:
            refused.append(RefusedLayer(layer=layer, reason=_first_line(error)))
    if not sites:
        raise _unknown(model, refused[0].reason if refused else "it has no layers")
    return tuple(sites), tuple(refused)


def _unknown(model: nn.Module, reason: str) -> ModelError:
    return ModelError(
        f"{type(model).__name__} cannot be explored: {reason} (icltui needs a decoder whose blocks have an MLP; "
        "name its places with --site, such as --site mlp=model.layers.{layer}.mlp)"
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


class _Names:
    """Modules by name: what was given by hand, else what the resolver knows."""

    def __init__(self, model: nn.Module, by_hand: dict[str, str]) -> None:
        self.model, self.by_hand = model, by_hand
        for place in by_hand:
            if place not in PLACES:
                raise BadInput(f"site {place!r} not known: use {', '.join(PLACES)}")
        try:
            self.arch: Any = resolve_arch(model, model.config)
            self.n_layers: int = self.arch.n_layers
        except _LOOKUP_ERRORS as error:
            if "block" not in by_hand:
                raise _unknown(model, _first_line(error)) from error
            self.arch, self.n_layers = None, self._count()
        for place in by_hand:
            if self.given(place, 0) is None:
                raise BadInput(f"site {place}={by_hand[place]!r}: this model has no such module at layer 0")

    def _count(self) -> int:
        layer = 0
        while self.given("block", layer) is not None:
            layer += 1
        return layer

    def given(self, place: str, layer: int) -> nn.Module | None:
        """What was given by hand for ``place``; None where nothing was, or nothing is there."""
        try:
            return self.model.get_submodule(self.by_hand[place].format(layer=layer))
        except (KeyError, AttributeError, IndexError, ValueError):
            return None

    def block(self, layer: int) -> nn.Module:
        block: nn.Module = self.given("block", layer) or self.arch.block(layer)
        return block

    def mlp(self, layer: int) -> nn.Module:
        given = self.given("mlp", layer)
        if given is not None or self.arch is None:
            if given is None:
                raise LookupError(f"layer {layer} has no MLP that was named")
            return given
        module, side = self.arch.mlp_boundary(layer, "in")
        if side != "input":
            raise LookupError(f"layer {layer} has no place where the MLP's input passes by")
        found: nn.Module = module
        return found

    def down(self, layer: int) -> nn.Module | None:
        given = self.given("down", layer)
        if given is not None or self.arch is None:
            return given
        try:
            down = self.arch.mlp_projection(layer, "down")
        except _LOOKUP_ERRORS:  # a mixture of experts has one down projection per expert
            return None
        return down if isinstance(down, nn.Module) else None

    def attention(self, layer: int) -> nn.Module | None:
        """The module whose output is what attention adds to the residual stream."""
        try:
            found: nn.Module = self.arch.attn_boundary(layer, "out")[0]
        except _LOOKUP_ERRORS:
            return None
        return found

    def mixers(self, layer: int) -> tuple[nn.Module, ...]:
        """The attention, which may share the MLP's input without being part of the MLP."""
        try:
            whole = self.arch.attn_module(layer)
        except _LOOKUP_ERRORS:
            return ()
        return (whole,)

    @property
    def is_parallel(self) -> bool:
        return self.arch is not None and bool(self.arch.quirks.parallel_attn_mlp)


def _find_site(names: _Names, layer: int, trace: Trace) -> Site:
    block, mlp = names.block(layer), names.mlp(layer)
    z = trace.input_of(mlp)
    attention = names.attention(layer)
    norm = names.given("norm", layer) or _norm(trace, block, mlp, z)
    first, *others = _residuals(names.is_parallel, norm, attention)
    if names.given("norm", layer) is not None:
        first, others = "norm", []
    beside = _beside(names, layer, trace, z)
    paths = {id(module): path for path, module in block.named_modules()}
    readers = tuple(
        reader
        for module in (mlp, *beside)
        for reader in find_readers(module, trace, z, paths.get(id(module), ""))
    )
    if not readers:
        raise LookupError("no matrix found that reads the MLP's input")
    down = names.down(layer)
    if down is not None:
        _check_down(down, trace, mlp, readers, z)
    if norm is not None:
        _check_stream(trace.input_of(norm), trace, mlp)
    return Site(layer, block, mlp, beside, first, norm, attention, down, readers, tuple(others))


def _check_down(down: nn.Module, trace: Trace, mlp: nn.Module, readers: Sequence[Reader], z: Tensor) -> None:
    """Refuse a down projection that does not come behind the first matrices, or does not give ``hidden`` numbers.

    Raises:
        LookupError: it is not the MLP's last matrix.
    """
    order = [module for module, _ in trace.entered]
    outputs = [tensor for module, tensor in trace.left if module is down]
    if (
        not outputs
        or outputs[-1].shape[-1] != z.shape[-1]
        or order.index(down) < order.index(mlp)
        or any(reader.module in set(down.modules()) for reader in readers)
    ):
        raise LookupError(
            f"its {type(down).__name__} taken for the down projection is not the MLP's last matrix"
        )


def _check_stream(v: Tensor, trace: Trace, mlp: nn.Module) -> None:
    """Refuse a block where something else reads the residual stream once the MLP has begun.

    The shift moves that stream then: what reads it would be handed the context without any ΔW of its own.

    Raises:
        LookupError: naming what reads it.
    """
    order = [module for module, _ in trace.entered]
    inside = set(mlp.modules())
    for module, tensor in trace.entered[order.index(mlp) :]:
        if module not in inside and is_same(tensor, v):
            raise LookupError(f"its {type(module).__name__} reads the residual stream beside the MLP")


def _beside(names: _Names, layer: int, trace: Trace, z: Tensor) -> tuple[nn.Module, ...]:
    """What else multiplies z, outside the MLP; attention is none of it where both share a norm."""
    mlp = names.mlp(layer)
    known = {id(module) for root in (mlp, *names.mixers(layer)) for module in root.modules()}
    handed = (module for module, tensor in trace.entered if id(module) not in known and is_same(tensor, z))
    return tuple(
        module
        for module in _outermost(handed)
        if mlp not in module.modules() and find_readers(module, trace, z)
    )


def _residuals(is_parallel: bool, norm: nn.Module | None, attention: nn.Module | None) -> list[Residual]:
    """What v could be, the likeliest first."""
    kinds: list[Residual] = ["mlp"] if norm is None else ["norm", "mlp"]
    if attention is not None:
        kinds.insert(0 if is_parallel else len(kinds), "parallel")
    return kinds


def _norm(trace: Trace, block: nn.Module, mlp: nn.Module, z: Tensor) -> nn.Module | None:
    """The module whose output z is, and whose input z is not."""
    for module, tensor in reversed(trace.left):
        if module is not block and mlp not in module.modules() and is_same(tensor, z):
            try:
                before = trace.input_of(module)
            except LookupError:
                continue
            if not is_same(before, z) and before.shape[-1] == z.shape[-1]:
                return module
    return None


def _outermost(modules: Any) -> tuple[nn.Module, ...]:
    """Those that lie in none of the others, each once."""
    found = list({id(module): module for module in modules}.values())
    return tuple(m for m in found if not any(m is not other and m in other.modules() for other in found))
