"""Attach a hook to sites: it sees, and may change, the tensors there while a ``with`` block lasts.

Enters: sites and a :class:`~icltui.engine.hooks.site.SiteHook`. Leaves: an :class:`Attachment`, a context manager that
can be entered many times.

The shift changes the residual stream itself, in place, once the MLP's norm has read it: what the skip connection
carries is then v + δ, bit for bit what it carries in the contextual run.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import local
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers.pytorch_utils import Conv1D

from icltui.engine.hooks.fast_pre_hook import Arguments, FastPreHook, PreHook
from icltui.engine.hooks.site import Site, SiteHook, expert_indices, hidden_input, hidden_output
from icltui.values.errors import BadInput

Hook = TypeVar("Hook", bound=SiteHook)


class Attachment(Generic[Hook]):
    """A hook at some sites, prepared once, and active inside each ``with`` block on it."""

    def __init__(self, sites: Sequence[Site], hook: Hook) -> None:
        self._hook = hook
        kind = _ThreadSiteAdapter if hook.has_threads else _SiteAdapter
        adapters = [kind(site, hook) for site in sites]
        self._pre_hooks = [FastPreHook(*pair) for adapter in adapters for pair in adapter.pre_hooks()]
        self._forward_hooks = [pair for adapter in adapters for pair in adapter.forward_hooks()]
        self._active: list[FastPreHook | RemovableHandle] = []

    def __enter__(self) -> Hook:
        try:
            for pre_hook in self._pre_hooks:
                if "forward" in pre_hook.attributes:
                    pre_hook.install()
                else:  # almost every time, once per token and layer: so no call is spent on it
                    pre_hook.attributes["forward"] = pre_hook
                self._active.append(pre_hook)
            for module, hook in self._forward_hooks:
                self._active.append(module.register_forward_hook(hook, with_kwargs=True))
        except BaseException:
            self._remove()
            raise
        return self._hook

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        while self._active:
            self._active.pop().remove()


def attach(sites: Sequence[Site], hook: Hook) -> Attachment[Hook]:
    """A context manager: ``hook``, which it returns, is active at ``sites`` inside the block."""
    return Attachment(sites, hook)


class _SiteAdapter:
    """The methods of one hook as hooks of one site's modules, and the tensors that they keep between modules."""

    def __init__(self, site: Site, hook: SiteHook) -> None:
        self.site, self.hook, self.layer = site, hook, site.layer
        self.is_parallel = site.residual == "parallel"
        self.sees_residual, self.sees_down_input = self._overrides("residual"), self._overrides("down_input")
        self.shifts = self._overrides("shift", "add_shift")
        self.needs_stream = self.sees_residual or self.shifts
        self.shifts_inside = self.shifts and not self.is_parallel
        """False for a parallel block, which has no tensor that is v."""
        self.shifts_attention = self.shifts and self.is_parallel and hook.shifts_at_residual
        """Whether attention's output is shifted, so that the block adds up what it does in the contextual run."""
        self.rows = _flat if hook.flatten else _unchanged
        self.add_shift = self._add_shift_to_rows if hook.flatten else partial(hook.add_shift, site.layer)
        self.stream: Tensor | None = None
        """The tensor that the skip connection carries past the MLP."""
        self.z: tuple[Tensor, Tensor | None] | None = None
        """The model's own z, and the z that replaces it."""

    def _overrides(self, *methods: str) -> bool:
        """Whether the hook overrides one of the methods; modules are hooked for such methods alone."""
        return any(getattr(type(self.hook), name) is not getattr(SiteHook, name) for name in methods)

    def pre_hooks(self) -> Iterator[tuple[nn.Module, PreHook]]:
        """Modules, each with the hook on its arguments."""
        site, overrides = self.site, self._overrides
        if (
            overrides("block_input", "projection_output")
            or site.siblings
            or (self.is_parallel and self.sees_residual)
        ):
            yield site.block, self.on_block_input
        if site.residual == "norm" and self.needs_stream:
            assert site.norm is not None
            yield site.norm, self.on_norm_input
        if overrides("mlp_input", "projection_output") or (site.residual == "mlp" and self.needs_stream):
            for module in (site.mlp, *site.siblings):
                yield module, self.on_mlp_input
        for projection in site.input_projections:
            if projection.experts is not None and overrides("routing"):
                yield projection.module, self.on_experts_input
        if site.down_proj is not None and (self.shifts or self.sees_down_input):
            yield site.down_proj, self.on_down_input

    def forward_hooks(self) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
        """Modules, each with the hook on its output."""
        site, overrides = self.site, self._overrides
        if self.is_parallel and self.sees_residual:
            assert site.attention is not None
            yield site.attention, self.on_attention_output
        for projection in site.input_projections:
            if projection.experts is None and overrides("projection_output"):
                yield projection.module, partial(self.on_projection_output, projection.name)
        if overrides("mlp_output") or (site.down_proj is None and self.shifts):
            yield site.mlp, self.on_mlp_output
        if overrides("block_output") or (self.is_parallel and self.needs_stream):
            yield site.block, self.on_block_output

    def on_block_input(self, args: Any, kwargs: Any) -> Arguments | None:
        r = hidden_input(args, kwargs)
        new = self.hook.block_input(self.layer, self.rows(r))
        self.stream, self.z = (r if new is None else new.view_as(r)), None
        return None if new is None else _replaced(args, kwargs, self.stream)

    def on_attention_output(self, _: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG002
        assert self.stream is not None
        attended = hidden_output(output)
        # No tensor of the model is v, which its own dtype would round in each run. The block's input may come from
        # another device, and is seen before accelerate moves it.
        stream = self.stream.to(attended.device, torch.promote_types(attended.dtype, torch.float32))
        self.hook.residual(self.layer, self.rows(stream + attended))
        if self.shifts_attention:
            self.add_shift(attended)

    def on_norm_input(self, args: Any, kwargs: Any) -> Arguments | None:
        self.stream = hidden_input(args, kwargs)
        if self.sees_residual:
            self.hook.residual(self.layer, self.rows(self.stream))
        return self._copied(args, kwargs, self.stream)

    def on_mlp_input(self, args: Any, kwargs: Any) -> Arguments | None:
        z = hidden_input(args, kwargs)
        if self.z is None or not self.site.siblings:
            if self.site.residual == "mlp":
                self.stream = z
                if self.sees_residual:
                    self.hook.residual(self.layer, self.rows(z))
            self.z = (z, self.hook.mlp_input(self.layer, self.rows(z)))
        new = self.z[1]
        if new is None:
            return self._copied(args, kwargs, z) if self.stream is z else None
        return _replaced(args, kwargs, new.view_as(z) if self.hook.flatten else new)

    def _copied(self, args: Any, kwargs: Any, stream: Tensor) -> Arguments | None:
        """Arguments with a copy of the stream where its reader keeps it for a gradient, which no shift may change."""
        if not (self.shifts_inside and torch.is_grad_enabled()):
            return None
        return _replaced(args, kwargs, stream.clone())

    def on_projection_output(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        z = hidden_input(args, kwargs)
        is_all = (
            self.z is not None and z.numel() == self.z[0].numel() and z.data_ptr() == self.z[0].data_ptr()
        )
        if is_all and isinstance(module, nn.Linear | Conv1D) and isinstance(output, Tensor):
            out = self.rows(output)
            bias = _bias(module, out)
            self.hook.projection_output(self.layer, name, out if bias is None else out - bias)

    def on_experts_input(self, args: Any, kwargs: Any) -> None:
        chosen = expert_indices(args, kwargs)
        if chosen is not None:
            self.hook.routing(self.layer, chosen)

    def on_down_input(self, args: Any, kwargs: Any) -> None:
        if self.sees_down_input:
            self.hook.down_input(self.layer, self.rows(hidden_input(args, kwargs)))
        if self.shifts_inside:
            self.add_shift(self.stream)

    def on_mlp_output(self, _: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG002
        self.hook.mlp_output(self.layer, self.rows(hidden_output(output)))
        if self.shifts_inside and self.site.down_proj is None:
            self.add_shift(self.stream)

    def on_block_output(self, _: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ARG002
        out = hidden_output(output)
        shifts_output = self.shifts and self.is_parallel and not self.shifts_attention
        if shifts_output:
            out = out.clone()
            self.add_shift(out)
        # The last of several parallel residual streams.
        self.hook.block_output(self.layer, out.reshape(-1, *out.shape[-2:])[-1])
        self.stream = self.z = None
        if not shifts_output:
            return None
        return type(output)((out, *output[1:])) if isinstance(output, tuple | list) else out

    def _add_shift_to_rows(self, stream: Any) -> None:
        rows = _flat(stream)
        self.hook.add_shift(self.layer, rows)
        if not stream.is_contiguous():  # then the rows may be a copy
            stream.copy_(rows.view_as(stream))


class _ThreadSiteAdapter(local, _SiteAdapter):
    """An adapter whose tensors are each thread's own, so that passes of several threads may run at once."""

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        raise BadInput(
            "a patch acts in this model, and a copy would keep it for good: leave the with block before the model is "
            "copied or pickled; save_pretrained writes it without the patch"
        )


def _bias(module: nn.Module, out: Tensor) -> Any:
    """The module's bias where ``out`` is; an offloaded one has left its device again with the end of its work."""
    bias = module.bias
    if not isinstance(bias, Tensor) or bias.device.type != "meta":
        return bias
    return module._hf_hook.weights_map["bias"].to(out.device, out.dtype)  # type: ignore[union-attr,index]


def _flat(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


def _replaced(args: tuple[Any, ...], kwargs: dict[str, Any], new: Tensor) -> Arguments:
    if args:
        return (new, *args[1:]), kwargs
    return args, kwargs | {"hidden_states" if "hidden_states" in kwargs else "x": new}
