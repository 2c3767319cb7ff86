"""Find the sites of a model: names from ``interp_engine.arch.resolve_arch``, the rest from one traced forward pass.

Enters: a loaded Hugging Face model, and places given by hand. Leaves: a :class:`~icltui.engine.site.Site` per layer,
and the layers that have none, with the reason. Nothing here knows a model family by name: z is what the MLP's first
matrices read, the norm is the module whose output that tensor is, and whatever else is handed it is patched too.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from interp_engine.arch import resolve_arch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from icltui.engine.site import Reader, Residual, Site, first_output, input_device
from icltui.errors import BadInput, ModelError
from icltui.record import RefusedLayer

PLACES = ("block", "mlp", "norm", "down")
"""What may be given by hand, as a module's path with ``{layer}`` in it."""
_TRACED_IDS = (3, 1, 4, 1, 5)
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
        traces = _trace(model, [names.block(layer) for layer in range(names.n_layers)])
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


@dataclass
class _Trace:
    """What passed by in one block, in the order of the calls; tensors are kept so that no address is used twice."""

    entered: list[tuple[nn.Module, Tensor]] = field(default_factory=list)
    left: list[tuple[nn.Module, Tensor]] = field(default_factory=list)

    def input_of(self, module: nn.Module) -> Tensor:
        """What the module was handed last.

        Raises:
            LookupError: it was not called.
        """
        for seen, tensor in reversed(self.entered):
            if seen is module:
                return tensor
        raise LookupError(f"its {type(module).__name__} is not called with hidden states")


def _trace(model: Any, blocks: Sequence[nn.Module]) -> list[_Trace]:
    """One forward pass on a few tokens, every module of every block watched."""
    traces = {id(block): _Trace() for block in blocks}
    ids = torch.tensor([_TRACED_IDS], device=input_device(model))
    with ExitStack() as stack, torch.no_grad():
        for block in {id(block): block for block in blocks}.values():
            trace = traces[id(block)]
            for module in block.modules():
                stack.callback(
                    module.register_forward_pre_hook(partial(_enter, trace), with_kwargs=True).remove
                )
                stack.callback(module.register_forward_hook(partial(_leave, trace)).remove)
        model(ids, use_cache=False)
    return [traces[id(block)] for block in blocks]


def _enter(trace: _Trace, module: nn.Module, args: Any, kwargs: Any) -> None:
    tensor = args[0] if args else kwargs.get("hidden_states", kwargs.get("x"))
    if isinstance(tensor, Tensor):
        trace.entered.append((module, tensor))


def _leave(trace: _Trace, module: nn.Module, _: Any, output: Any) -> None:
    tensor = first_output(output)
    if isinstance(tensor, Tensor):
        trace.left.append((module, tensor))


def _is_same(a: Tensor, b: Tensor) -> bool:
    """Whether both are the same numbers in memory, in whatever shape."""
    return a.data_ptr() == b.data_ptr() and a.numel() == b.numel() and a.dtype == b.dtype


def _find_site(names: _Names, layer: int, trace: _Trace) -> Site:
    block, mlp = names.block(layer), names.mlp(layer)
    z = trace.input_of(mlp)
    attention = names.attention(layer)
    norm = names.given("norm", layer) or _norm(trace, block, mlp, z)
    first, *others = _residuals(names.is_parallel, norm, attention)
    beside = _beside(names, layer, trace, z)
    paths = {id(module): path for path, module in block.named_modules()}
    readers = tuple(
        reader
        for module in (mlp, *beside)
        for reader in _readers(module, trace, z, paths.get(id(module), ""))
    )
    if not readers:
        raise LookupError("no matrix found that reads the MLP's input")
    return Site(layer, block, mlp, beside, first, norm, attention, names.down(layer), readers, tuple(others))


def _beside(names: _Names, layer: int, trace: _Trace, z: Tensor) -> tuple[nn.Module, ...]:
    """What else multiplies z, outside the MLP; attention is none of it where both share a norm."""
    mlp = names.mlp(layer)
    known = {id(module) for root in (mlp, *names.mixers(layer)) for module in root.modules()}
    handed = (module for module, tensor in trace.entered if id(module) not in known and _is_same(tensor, z))
    return tuple(
        module for module in _outermost(handed) if mlp not in module.modules() and _readers(module, trace, z)
    )


def _residuals(is_parallel: bool, norm: nn.Module | None, attention: nn.Module | None) -> list[Residual]:
    """What v could be, the likeliest first."""
    kinds: list[Residual] = ["mlp"] if norm is None else ["norm", "mlp"]
    if attention is not None:
        kinds.insert(0 if is_parallel else len(kinds), "parallel")
    return kinds


def _norm(trace: _Trace, block: nn.Module, mlp: nn.Module, z: Tensor) -> nn.Module | None:
    """The module whose output z is, and whose input z is not."""
    for module, tensor in reversed(trace.left):
        if module is not block and mlp not in module.modules() and _is_same(tensor, z):
            try:
                before = trace.input_of(module)
            except LookupError:
                continue
            if not _is_same(before, z) and before.shape[-1] == z.shape[-1]:
                return module
    return None


def _outermost(modules: Any) -> tuple[nn.Module, ...]:
    """Those that lie in none of the others, each once."""
    found = list({id(module): module for module in modules}.values())
    return tuple(m for m in found if not any(m is not other and m in other.modules() for other in found))


def _readers(root: nn.Module, trace: _Trace, z: Tensor, path: str = "") -> list[Reader]:
    """Every matrix inside ``root`` that multiplies z, by what was handed to its module in the trace.

    A reader is called by its module's name inside ``root``; one that is ``root`` itself by ``path``.
    """
    hidden = z.shape[-1]
    rows = z.reshape(-1, hidden)
    readers: list[Reader] = []
    for name, module in root.named_modules():
        reader = _as_reader(name or path.rpartition(".")[2], module, hidden)
        if reader is None:
            continue
        tensors = [tensor for seen, tensor in trace.entered if seen is module]
        if any(_is_same(tensor, z) or is_made_of(tensor, rows) for tensor in tensors):
            readers.append(reader)
    return readers


def _as_reader(name: str, module: nn.Module, hidden: int) -> Reader | None:
    """The module's matrix, if it has one that could read vectors of width ``hidden``."""
    if isinstance(module, Conv1D):
        return Reader(name, module, transposed=True)
    if isinstance(module, nn.Linear):
        return Reader(name, module) if module.in_features == hidden else None
    for parameter in ("gate_up_proj", "up_proj", "w1", "weight"):
        weight = getattr(module, parameter, None)
        if not isinstance(weight, nn.Parameter):
            continue
        if weight.ndim == 3:
            transposed = _is_transposed(module, parameter, hidden)
            return Reader("experts", module, parameter, transposed, experts=weight.shape[0])
        if weight.ndim == 2 and weight.shape[-1] == hidden:
            return Reader("router", module, parameter)
    return None


def _is_transposed(module: nn.Module, parameter: str, hidden: int) -> bool:
    """Whether experts are stored (experts, hidden, inner): as the module says, else by the axis that is hidden."""
    if hasattr(module, "is_transposed"):
        return bool(module.is_transposed)
    *_, first, last = getattr(module, parameter).shape
    if (first == hidden) == (last == hidden):
        raise LookupError(
            f"the experts' {parameter} of shape (…, {first}, {last}) does not tell which axis reads"
        )
    return bool(first == hidden)


def is_made_of(tensor: Tensor, rows: Tensor) -> bool:
    """Whether every row is one of ``rows``, up to a factor: gathered for an expert, weighted by a router, or cast."""
    if tensor.shape[-1] != rows.shape[-1] or not tensor.is_floating_point():
        return False
    flat = tensor.reshape(-1, rows.shape[-1]).double()
    flat = flat[flat.norm(dim=-1) > 0]  # an expert that a token does not go to may be handed zeros
    a = torch.nn.functional.normalize(flat, dim=-1)
    b = torch.nn.functional.normalize(rows.to(a.device).double(), dim=-1)
    return len(flat) > 0 and bool(((a @ b.T).abs().amax(-1) > 1 - 1e-4).all())
