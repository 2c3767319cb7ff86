"""Where in a model the theory's tensors pass by, and how to stand there.

Enters: a loaded Hugging Face model. Leaves: one :class:`Site` per layer, and :func:`attach`, which lets a
:class:`Probe` see, and replace, the tensors at those places for as long as a ``with`` block lasts. Module
names come from ``interp_engine.arch.resolve_arch``; nothing here knows a model family by name.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from interp_engine.arch import resolve_arch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from icltui.errors import ModelError

Residual = Literal["norm", "mlp", "parallel"]
"""Where v is read: the pre-MLP norm's input; the MLP's own input; block input plus attention output."""


@dataclass(frozen=True)
class Reader:
    """A matrix that multiplies z. Its parameter is looked up at each use, as offloading may move it."""

    name: str
    module: nn.Module
    parameter: str
    transposed: bool
    """True when stored (hidden, inner), as ``Conv1D`` does, not (inner, hidden)."""

    def weight(self) -> Tensor:
        """The matrix as (inner, hidden); experts are stacked along ``inner``. A view, no copy unless needed."""
        weight: Tensor = getattr(self.module, self.parameter).detach()
        if self.transposed:
            weight = weight.transpose(-1, -2)
        return weight.reshape(-1, weight.shape[-1])


@dataclass(frozen=True)
class Site:
    """The places of one layer."""

    layer: int
    block: nn.Module
    mlp: nn.Module
    """Its input is z. The whole MLP where there is one module for it, else the first projection."""
    residual: Residual
    norm: nn.Module | None
    attention: nn.Module | None
    down: nn.Module | None
    """The down projection, whose input is g; None where experts share none."""
    readers: tuple[Reader, ...]


class Probe:
    """What stands at the sites; tensors are (tokens, hidden). Returning None leaves a tensor as it is."""

    def residual(self, layer: int, v: Tensor) -> None:
        """Sees v."""

    def mlp_input(self, layer: int, z: Tensor) -> Tensor | None:
        """Sees z, and may replace it for every matrix that reads it."""

    def down_input(self, layer: int, g: Tensor) -> None:
        """Sees g."""

    def block_output(self, layer: int, out: Tensor) -> Tensor | None:
        """Sees the block's output, and may replace it."""


def find_sites(model: nn.Module) -> tuple[Site, ...]:
    """The sites of every layer, ascending.

    Raises:
        ModelError: the architecture has no MLP that reads one vector per token, or is not known.
    """
    try:
        arch = resolve_arch(model, model.config)
        return tuple(_find_site(arch, layer) for layer in range(arch.n_layers))
    except (AttributeError, ValueError, LookupError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{type(model).__name__} cannot be explored: {reason} (icltui needs a decoder whose blocks have an MLP)"
        ) from error


def _find_site(arch: Any, layer: int) -> Site:
    mlp, side = arch.mlp_boundary(layer, "in")
    if side != "input":
        raise ValueError(f"layer {layer} has no place where the MLP's input passes by")
    norm = arch.pre_mlp_norm(layer)
    parallel = arch.quirks.parallel_attn_mlp
    attention = arch.attn_boundary(layer, "out")[0] if parallel else None
    residual: Residual = "parallel" if parallel else ("norm" if norm is not None else "mlp")
    readers = _find_readers(mlp, arch.d_model)
    if not readers:
        raise ValueError(f"no matrix found that reads the MLP's input on layer {layer}")
    return Site(layer, arch.block(layer), mlp, residual, norm, attention, _down(arch, layer), readers)


def _down(arch: Any, layer: int) -> nn.Module | None:
    try:
        down = arch.mlp_projection(layer, "down")
    except (ValueError, AttributeError):  # a mixture of experts has one down projection per expert
        return None
    return down if isinstance(down, nn.Module) else None


_OUTPUT_NAMES = frozenset(
    "down_proj c_proj fc2 fc_out dense_4h_to_h w2 wo out_proj output output_linear".split()
)


def _find_readers(mlp: nn.Module, hidden: int) -> tuple[Reader, ...]:
    """Every matrix inside ``mlp`` that multiplies z, by the kind of its module, never by shape alone."""
    readers: list[Reader] = []
    for name, module in mlp.named_modules():
        leaf = name.rpartition(".")[2]
        if leaf in _OUTPUT_NAMES:
            continue
        if isinstance(module, Conv1D):
            readers.append(Reader(leaf or "c_fc", module, "weight", transposed=True))
        elif isinstance(module, nn.Linear):
            if module.in_features == hidden:
                readers.append(Reader(leaf or "fc", module, "weight", transposed=False))
        elif isinstance(getattr(module, "gate_up_proj", None), nn.Parameter):
            readers.append(
                Reader("experts", module, "gate_up_proj", _is_transposed(module, "gate_up_proj", hidden))
            )
        elif isinstance(weight := getattr(module, "weight", None), nn.Parameter) and weight.ndim == 3:
            readers.append(Reader(leaf, module, "weight", _is_transposed(module, "weight", hidden)))
        elif isinstance(weight, nn.Parameter) and weight.ndim == 2:
            readers.append(Reader("router", module, "weight", transposed=False))
    return tuple(readers)


def _is_transposed(module: nn.Module, parameter: str, hidden: int) -> bool:
    """Whether experts are stored (experts, hidden, inner): as the module says, else by the axis that is hidden."""
    if hasattr(module, "is_transposed"):
        return bool(module.is_transposed)
    *_, first, last = getattr(module, parameter).shape
    if (first == hidden) == (last == hidden):
        raise ValueError(
            f"the experts' {parameter} of shape (…, {first}, {last}) does not tell which axis reads"
        )
    return bool(first == hidden)


Tensors = tuple[tuple[Any, ...], dict[str, Any]]


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    tensor: Tensor = args[0] if args else kwargs["hidden_states"]
    return tensor


def _flat(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


def _replaced(args: tuple[Any, ...], kwargs: dict[str, Any], new: Tensor) -> Tensors:
    if args:
        return (new.view_as(args[0]), *args[1:]), kwargs
    return args, kwargs | {"hidden_states": new.view_as(kwargs["hidden_states"])}


@contextmanager
def attach(sites: Sequence[Site], probe: Probe) -> Iterator[None]:
    """``probe`` stands at ``sites`` inside the block; afterwards no hook is left, whatever happened.

    Rows are seen flattened to (tokens, hidden): runs have batch size 1.
    """
    with ExitStack() as stack:
        for site in sites:
            for handle in _hooks(site, probe):
                stack.callback(handle.remove)
        yield


def _hooks(site: Site, probe: Probe) -> Iterator[Any]:
    layer = site.layer

    def on_mlp(_: nn.Module, args: Any, kwargs: Any) -> Tensors | None:
        z = _flat(_first(args, kwargs))
        if site.residual == "mlp":
            probe.residual(layer, z)
        new = probe.mlp_input(layer, z)
        return None if new is None else _replaced(args, kwargs, new)

    def on_norm(_: nn.Module, args: Any, kwargs: Any) -> None:
        probe.residual(layer, _flat(_first(args, kwargs)))

    def on_down(_: nn.Module, args: Any, kwargs: Any) -> None:
        probe.down_input(layer, _flat(_first(args, kwargs)))

    def on_block(_: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ARG001
        out = output[0] if isinstance(output, tuple) else output
        new = probe.block_output(layer, _flat(out))
        if new is None:
            return None
        new = new.view_as(out)
        return (new, *output[1:]) if isinstance(output, tuple) else new

    if site.residual == "parallel":
        yield from _parallel_hooks(site, probe)
    if site.residual == "norm" and site.norm is not None:
        yield site.norm.register_forward_pre_hook(on_norm, with_kwargs=True)
    yield site.mlp.register_forward_pre_hook(on_mlp, with_kwargs=True)
    if site.down is not None:
        yield site.down.register_forward_pre_hook(on_down, with_kwargs=True)
    yield site.block.register_forward_hook(on_block, with_kwargs=True)


def _parallel_hooks(site: Site, probe: Probe) -> Iterator[Any]:
    """v = block input + attention output, where attention and MLP run side by side.

    Attention may run before or after the MLP; v is told when the block ends, ahead of its output.
    """
    seen: dict[str, Tensor] = {}

    def on_input(_: nn.Module, args: Any, kwargs: Any) -> None:
        seen["input"] = _flat(_first(args, kwargs))

    def on_attention(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG001
        seen["attention"] = _flat(output[0] if isinstance(output, tuple) else output)

    def on_block(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG001
        probe.residual(site.layer, seen.pop("input") + seen.pop("attention"))

    assert site.attention is not None
    yield site.block.register_forward_pre_hook(on_input, with_kwargs=True)
    yield site.attention.register_forward_hook(on_attention, with_kwargs=True)
    yield site.block.register_forward_hook(on_block, with_kwargs=True)
