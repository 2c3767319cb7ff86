"""Where in a model the theory's tensors pass by, and how to stand there.

Enters: the :class:`Site` of each layer, as :mod:`icltui.engine.locate` found it. Leaves: :func:`attach`, which lets
a :class:`Probe` see, and change, the tensors at those places for as long as a ``with`` block lasts.

The shift moves the residual stream itself, in place, once the MLP's norm has read it: what the skip connection
carries is then v + δ, to the bit what the contextual run carries, whatever the block does with it afterwards.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

Residual = Literal["norm", "mlp", "parallel"]
"""What v is: the pre-MLP norm's input; the MLP's own input; block input plus attention output."""


@dataclass(frozen=True)
class Reader:
    """Matrices that multiply z. Their parameter is looked up at each use, as offloading may move it."""

    name: str
    module: nn.Module
    parameter: str = "weight"
    transposed: bool = False
    """True when stored (…, hidden, inner), as ``Conv1D`` does, not (…, inner, hidden)."""
    experts: int | None = None
    """How many experts, one matrix each, share the parameter; None: it is one matrix."""


@dataclass(frozen=True)
class Site:
    """The places of one layer."""

    layer: int
    block: nn.Module
    mlp: nn.Module
    """Its input is z. The whole MLP where there is one module for it, else the first projection."""
    beside: tuple[nn.Module, ...]
    """Other modules of the block that are handed z too, such as a shared expert outside the MLP."""
    residual: Residual
    norm: nn.Module | None
    attention: nn.Module | None
    down: nn.Module | None
    """The down projection, whose input is g; None where experts share none."""
    readers: tuple[Reader, ...]
    others: tuple[Residual, ...] = ()
    """What else v could be, should the proof at load fail with ``residual``."""


class Probe:
    """What stands at the sites; tensors are (tokens, hidden). Returning None leaves a tensor as it is."""

    def block_input(self, layer: int, r: Tensor) -> Tensor | None:
        """Sees the residual stream that enters the block, and may replace it."""

    def residual(self, layer: int, v: Tensor) -> None:
        """Sees v; a copy is due if it is kept, as the stream may be moved."""

    def mlp_input(self, layer: int, z: Tensor) -> Tensor | None:
        """Sees z, and may replace it for every matrix that reads it."""

    def reader_output(self, layer: int, name: str, p: Tensor) -> None:
        """Sees what a matrix makes of z, where it is a module of its own that is handed all of z."""

    def routing(self, layer: int, experts: Tensor) -> None:
        """Sees which experts each token goes to, (tokens, experts per token)."""

    def down_input(self, layer: int, g: Tensor) -> None:
        """Sees g."""

    def shift(self, layer: int) -> Tensor | None:
        """What to add to the residual stream of the block, behind the MLP's norm."""

    def mlp_output(self, layer: int, out: Tensor) -> None:
        """Sees what the MLP, or its down projection, gives."""

    def block_output(self, layer: int, out: Tensor) -> None:
        """Sees the block's output."""


Tensors = tuple[tuple[Any, ...], dict[str, Any]]


def first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The hidden states among a module's arguments.

    Raises:
        LookupError: there is none.
    """
    tensor = args[0] if args else kwargs.get("hidden_states", kwargs.get("x"))
    if not isinstance(tensor, Tensor):
        raise LookupError("a module that is not handed its hidden states first")
    return tensor


def routing(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """Which experts each token goes to, (tokens, experts per token), if a module is told."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor) and value.ndim == 2 and value.dtype in (torch.int64, torch.int32):
            return value
    return None


def first_output(output: Any) -> Any:
    """The hidden states among a module's results."""
    return output[0] if isinstance(output, tuple | list) else output


def input_device(model: Any) -> torch.device:
    """Where token ids go in; an offloaded embedding is there only while it works."""
    embedding = model.get_input_embeddings()
    works_on = getattr(getattr(embedding, "_hf_hook", None), "execution_device", None)
    return torch.device(embedding.weight.device if works_on is None else works_on)


@contextmanager
def attach(sites: Sequence[Site], probe: Probe) -> Iterator[None]:
    """``probe`` stands at ``sites`` inside the block; afterwards no hook is left, whatever happened.

    Rows are seen flattened to (tokens, hidden): runs have batch size 1.
    """
    with ExitStack() as stack:
        for site in sites:
            for handle in _Station(site, probe).hooks():
                stack.callback(handle.remove)
        yield


def _flat(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


def _replaced(args: tuple[Any, ...], kwargs: dict[str, Any], new: Tensor) -> Tensors:
    if args:
        return (new.view_as(args[0]), *args[1:]), kwargs
    name = "hidden_states" if "hidden_states" in kwargs else "x"
    return args, kwargs | {name: new.view_as(kwargs[name])}


def _moved(tensor: Tensor, shift: Tensor) -> Tensor:
    """``tensor + shift``, rounded once."""
    return (tensor.to(shift.dtype) + shift.view_as(tensor)).to(tensor.dtype)


class _Station:
    """One probe at one site, and what it remembers while the block runs."""

    def __init__(self, site: Site, probe: Probe) -> None:
        self.site, self.probe, self.layer = site, probe, site.layer
        self.stream: Tensor | None = None
        """The tensor that the skip connection carries past the MLP."""
        self.attended: Tensor | None = None
        self.z: tuple[Tensor, Tensor | None] | None = None
        """The z that passed, and what stands in for it."""

    def _asks(self, *methods: str) -> bool:
        """Whether the probe does anything at one of its places: where it does not, no hook costs time."""
        return any(getattr(type(self.probe), name) is not getattr(Probe, name) for name in methods)

    def hooks(self) -> Iterator[Any]:
        site, asks = self.site, self._asks
        is_parallel = site.residual == "parallel"
        follows_stream = asks("residual", "shift")
        if asks("block_input", "reader_output") or site.beside or (is_parallel and asks("residual")):
            yield site.block.register_forward_pre_hook(self.on_block_input, with_kwargs=True)
        if is_parallel and asks("residual"):
            assert site.attention is not None
            yield site.attention.register_forward_hook(self.on_attention, with_kwargs=True)
        if site.residual == "norm" and follows_stream:
            assert site.norm is not None
            yield site.norm.register_forward_pre_hook(self.on_norm, with_kwargs=True)
        if asks("mlp_input", "reader_output") or (site.residual == "mlp" and follows_stream):
            for module in (site.mlp, *site.beside):
                yield module.register_forward_pre_hook(self.on_mlp, with_kwargs=True)
        for reader in site.readers:
            if reader.experts is not None:
                if asks("routing"):
                    yield reader.module.register_forward_pre_hook(self.on_experts, with_kwargs=True)
            elif asks("reader_output"):
                hook = partial(self.on_reader, reader.name)
                yield reader.module.register_forward_hook(hook, with_kwargs=True)
        if site.down is not None and asks("down_input", "shift"):
            yield site.down.register_forward_pre_hook(self.on_down, with_kwargs=True)
        if asks("mlp_output") or (site.down is None and asks("shift")):
            yield site.mlp.register_forward_hook(self.on_mlp_output, with_kwargs=True)
        if asks("block_output") or (is_parallel and follows_stream):
            yield site.block.register_forward_hook(self.on_block, with_kwargs=True)

    def on_block_input(self, _: nn.Module, args: Any, kwargs: Any) -> Tensors | None:
        r = first_tensor(args, kwargs)
        new = self.probe.block_input(self.layer, _flat(r))
        self.stream, self.attended, self.z = (r if new is None else new.view_as(r)), None, None
        return None if new is None else _replaced(args, kwargs, self.stream)

    def on_attention(self, _: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG002
        self.attended = first_output(output)

    def on_norm(self, _: nn.Module, args: Any, kwargs: Any) -> None:
        self.stream = first_tensor(args, kwargs)
        self.probe.residual(self.layer, _flat(self.stream))

    def on_mlp(self, _: nn.Module, args: Any, kwargs: Any) -> Tensors | None:
        z = first_tensor(args, kwargs)
        if self.z is None or not self.site.beside:
            if self.site.residual == "mlp":
                self.stream = z
                self.probe.residual(self.layer, _flat(z))
            self.z = (z, self.probe.mlp_input(self.layer, _flat(z)))
        new = self.z[1]
        return None if new is None else _replaced(args, kwargs, new)

    def on_reader(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        z = first_tensor(args, kwargs)
        whole = self.z is not None and z.numel() == self.z[0].numel() and z.data_ptr() == self.z[0].data_ptr()
        if whole and isinstance(module, nn.Linear | Conv1D):
            out = _flat(output)
            self.probe.reader_output(self.layer, name, out if module.bias is None else out - module.bias)

    def on_experts(self, _: nn.Module, args: Any, kwargs: Any) -> None:
        chosen = routing(args, kwargs)
        if chosen is not None:
            self.probe.routing(self.layer, chosen)

    def on_down(self, _: nn.Module, args: Any, kwargs: Any) -> None:
        self.probe.down_input(self.layer, _flat(first_tensor(args, kwargs)))
        self._shift_stream()

    def on_mlp_output(self, _: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG002
        self.probe.mlp_output(self.layer, _flat(first_output(output)))
        if self.site.down is None:
            self._shift_stream()

    def _shift_stream(self) -> None:
        """Move what the skip connection carries; parallel blocks know their v only at the end."""
        if self.site.residual == "parallel":
            return
        shift = self.probe.shift(self.layer)
        if shift is not None:
            assert self.stream is not None
            self.stream.copy_(_moved(self.stream, shift))

    def on_block(self, _: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ARG002
        out = first_output(output)
        shift = None
        if self.site.residual == "parallel":
            if self._asks("residual"):
                assert self.stream is not None
                assert self.attended is not None
                self.probe.residual(self.layer, _flat(self.stream + self.attended))
            shift = self.probe.shift(self.layer)
        new = out if shift is None else _moved(out, shift)
        # Of several residual streams side by side, the last.
        self.probe.block_output(self.layer, new.reshape(-1, *new.shape[-2:])[-1])
        self.stream = self.attended = self.z = None
        if shift is None:
            return None
        return type(output)((new, *output[1:])) if isinstance(output, tuple | list) else new
