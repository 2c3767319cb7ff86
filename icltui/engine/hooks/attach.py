"""A probe at its places: what calls it while the model runs, and how it comes and goes.

Enters: sites and a :class:`~icltui.engine.hooks.site.Probe`. Leaves: :func:`attach`: the probe sees, and changes, the
tensors at those places for as long as a ``with`` block lasts, and not a moment longer.

The shift moves the residual stream itself, in place, once the MLP's norm has read it: what the skip connection
carries is then v + δ, to the bit what the contextual run carries, whatever the block does with it afterwards.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers.pytorch_utils import Conv1D

from icltui.engine.hooks.pre_hook import Door, PreHook, Tensors
from icltui.engine.hooks.site import Probe, Site, first_output, first_tensor, routing


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
