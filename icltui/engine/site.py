"""Where in a model the theory's tensors pass by, and how to stand there.

Enters: the :class:`Site` of each layer, as :mod:`icltui.engine.locate` found it. Leaves: :func:`attach`, which lets
a :class:`Probe` see, and change, the tensors at those places for as long as a ``with`` block lasts.

The shift moves the residual stream itself, in place, once the MLP's norm has read it: what the skip connection
carries is then v + δ, to the bit what the contextual run carries, whatever the block does with it afterwards.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers.pytorch_utils import Conv1D

from icltui.engine.door import Door, PreHook, Tensors

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

    flattened: ClassVar[bool] = True
    """False: tensors come as the model has them, (…, hidden), which is quicker."""

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

    def move(self, layer: int, stream: Tensor) -> None:
        """Moves the residual stream of the block in place, by :meth:`shift`."""
        shift = self.shift(layer)
        if shift is not None:
            add_to(stream, shift)

    def mlp_output(self, layer: int, out: Tensor) -> None:
        """Sees what the MLP, or its down projection, gives."""

    def block_output(self, layer: int, out: Tensor) -> None:
        """Sees the block's output."""


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


class Attachment:
    """A probe at some sites, prepared once: it stands there inside each ``with`` block on it, and only there."""

    def __init__(self, sites: Sequence[Site], probe: Probe) -> None:
        stations = [_Station(site, probe) for site in sites]
        self._doors = [Door(*place) for station in stations for place in station.before()]
        self._behind = [place for station in stations for place in station.behind()]
        self._present: list[Door | RemovableHandle] = []

    def __enter__(self) -> None:
        try:
            for door in self._doors:
                if "forward" in door.names:
                    door.open()
                else:  # as nearly always, for each token at each layer: so no call is spent on it
                    door.names["forward"] = door
                self._present.append(door)
            for module, hook in self._behind:
                self._present.append(module.register_forward_hook(hook, with_kwargs=True))
        except BaseException:
            self._remove()
            raise

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        while self._present:
            self._present.pop().remove()


def attach(sites: Sequence[Site], probe: Probe) -> Attachment:
    """``probe`` stands at ``sites`` inside a block; rows are seen flattened to (tokens, hidden)."""
    return Attachment(sites, probe)


def _flat(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


def _replaced(args: tuple[Any, ...], kwargs: dict[str, Any], new: Tensor) -> Tensors:
    if args:
        return (new, *args[1:]), kwargs
    return args, kwargs | {"hidden_states" if "hidden_states" in kwargs else "x": new}


def add_to(stream: Tensor, shift: Tensor) -> None:
    """Add to it in place, rounded once."""
    if stream.dtype == shift.dtype:
        stream += shift
    else:
        stream.copy_(stream.to(shift.dtype) + shift)


class _Station:
    """One probe at one site, and what it remembers while the block runs."""

    def __init__(self, site: Site, probe: Probe) -> None:
        self.site, self.probe, self.layer, self.as_it_is = site, probe, site.layer, not probe.flattened
        self.sees_residual, self.sees_down_input = self._asks("residual"), self._asks("down_input")
        self.moves, self.is_parallel = self._asks("shift", "move"), site.residual == "parallel"
        self.follows_stream = self.sees_residual or self.moves
        self.moves_inside = self.moves and not self.is_parallel
        """Parallel blocks know their v only at the end."""
        self.move = partial(probe.move, site.layer) if self.as_it_is else self._move_rows
        self.stream: Tensor | None = None
        """The tensor that the skip connection carries past the MLP."""
        self.attended: Tensor | None = None
        self.z: tuple[Tensor, Tensor | None] | None = None
        """The z that passed, and what stands in for it."""

    def _asks(self, *methods: str) -> bool:
        """Whether the probe does anything at one of its places: where it does not, no hook costs time."""
        return any(getattr(type(self.probe), name) is not getattr(Probe, name) for name in methods)

    def before(self) -> Iterator[tuple[nn.Module, PreHook]]:
        """What sees, and may change, what a module is handed."""
        site, asks = self.site, self._asks
        if asks("block_input", "reader_output") or site.beside or (self.is_parallel and self.sees_residual):
            yield site.block, self.on_block_input
        if site.residual == "norm" and self.follows_stream:
            assert site.norm is not None
            yield site.norm, self.on_norm
        if asks("mlp_input", "reader_output") or (site.residual == "mlp" and self.follows_stream):
            for module in (site.mlp, *site.beside):
                yield module, self.on_mlp
        for reader in site.readers:
            if reader.experts is not None and asks("routing"):
                yield reader.module, self.on_experts
        if site.down is not None and (self.moves or self.sees_down_input):
            yield site.down, self.on_down

    def behind(self) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
        """What sees, and may change, what a module gives."""
        site, asks = self.site, self._asks
        if self.is_parallel and self.sees_residual:
            assert site.attention is not None
            yield site.attention, self.on_attention
        for reader in site.readers:
            if reader.experts is None and asks("reader_output"):
                yield reader.module, partial(self.on_reader, reader.name)
        if asks("mlp_output") or (site.down is None and self.moves):
            yield site.mlp, self.on_mlp_output
        if asks("block_output") or (self.is_parallel and self.follows_stream):
            yield site.block, self.on_block

    def on_block_input(self, args: Any, kwargs: Any) -> Tensors | None:
        r = first_tensor(args, kwargs)
        new = self.probe.block_input(self.layer, self._rows(r))
        self.stream, self.attended, self.z = (r if new is None else new.view_as(r)), None, None
        return None if new is None else _replaced(args, kwargs, self.stream)

    def on_attention(self, _: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG002
        self.attended = first_output(output)

    def on_norm(self, args: Any, kwargs: Any) -> None:
        self.stream = first_tensor(args, kwargs)
        if self.sees_residual:
            self.probe.residual(self.layer, self._rows(self.stream))

    def on_mlp(self, args: Any, kwargs: Any) -> Tensors | None:
        z = first_tensor(args, kwargs)
        if self.z is None or not self.site.beside:
            if self.site.residual == "mlp":
                self.stream = z
                if self.sees_residual:
                    self.probe.residual(self.layer, self._rows(z))
            self.z = (z, self.probe.mlp_input(self.layer, z if self.as_it_is else _flat(z)))
        new = self.z[1]
        if new is None:
            return None
        return _replaced(args, kwargs, new if self.as_it_is else new.view_as(z))

    def on_reader(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        z = first_tensor(args, kwargs)
        whole = self.z is not None and z.numel() == self.z[0].numel() and z.data_ptr() == self.z[0].data_ptr()
        if whole and isinstance(module, nn.Linear | Conv1D):
            out = self._rows(output)
            self.probe.reader_output(self.layer, name, out if module.bias is None else out - module.bias)

    def on_experts(self, args: Any, kwargs: Any) -> None:
        chosen = routing(args, kwargs)
        if chosen is not None:
            self.probe.routing(self.layer, chosen)

    def on_down(self, args: Any, kwargs: Any) -> None:
        if self.sees_down_input:
            g = first_tensor(args, kwargs)
            self.probe.down_input(self.layer, g if self.as_it_is else _flat(g))
        if self.moves_inside:
            assert self.stream is not None
            self.move(self.stream)

    def on_mlp_output(self, _: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG002
        self.probe.mlp_output(self.layer, self._rows(first_output(output)))
        if self.moves_inside and self.site.down is None:
            assert self.stream is not None
            self.move(self.stream)

    def _move_rows(self, stream: Tensor) -> None:
        rows = _flat(stream)
        self.probe.move(self.layer, rows)
        if not stream.is_contiguous():  # then the rows may be a copy
            stream.copy_(rows.view_as(stream))

    def _rows(self, tensor: Tensor) -> Tensor:
        return tensor if self.as_it_is else _flat(tensor)

    def on_block(self, _: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ARG002
        out = first_output(output)
        is_moved = self.moves and self.is_parallel
        if self.is_parallel and self.sees_residual:
            assert self.stream is not None
            assert self.attended is not None
            self.probe.residual(self.layer, self._rows(self.stream + self.attended))
        if is_moved:
            out = out.clone()
            self.move(out)
        # Of several residual streams side by side, the last.
        self.probe.block_output(self.layer, out.reshape(-1, *out.shape[-2:])[-1])
        self.stream = self.attended = self.z = None
        if not is_moved:
            return None
        return type(output)((out, *output[1:])) if isinstance(output, tuple | list) else out
