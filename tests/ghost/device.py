"""A device that is not there: tensors that claim to lie on ``ghost:0`` or ``ghost:1``, their numbers on the CPU.

The device is torch's backend for Python (PrivateUse1). A :class:`GhostTensor` holds its numbers as an ordinary tensor;
each operation checks that all its tensors are where CUDA would want them (:mod:`tests.ghost.rules`), runs on the
numbers, and returns tensors of the same device. The CPU's own kernels run, so results equal a CPU run's bit for bit,
and what fails on a GPU because a tensor was left on the CPU fails here.

It cannot show what depends on a GPU's kernels: their rounding, their memory, their speed, their streams.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from tests.ghost.rules import (
    COPIES,
    INDEXED,
    check_generators,
    computing_device,
    makes_host_wait,
    tensors,
)
from tests.ghost.traffic import note

N_DEVICES = 2
FREE_BYTES = 2**33
_CPU = torch.device("cpu")
_NOT_PLAIN = ("sparse", "quantized", "nested", "efficientzero")
_aten = torch.ops.aten
_kept: list[torch.library.Library] = []
"""Kernels are registered for as long as their library lives."""


class GhostTensor(Tensor):
    """A tensor that claims to be elsewhere."""

    numbers: Tensor
    """Its numbers, on the CPU."""
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(
        cls, data: Tensor, requires_grad: bool = False, device: torch.device | None = None, **_: Any
    ) -> Any:
        """``data`` at ``device``; without one a parameter of a ghost's numbers, as accelerate asks for."""
        if device is None:
            return torch.nn.Parameter(data, requires_grad)
        with torch.inference_mode(data.is_inference()):  # a view of an ordinary tensor is none of inference
            made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
                cls,
                data.size(),
                strides=data.stride(),
                storage_offset=data.storage_offset(),
                dtype=data.dtype,
                device=device,
                requires_grad=requires_grad,
            )
        made.numbers = data
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        """Nothing is left to do."""

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    @property
    def data(self) -> Tensor:  # type: ignore[override]
        return self.detach()

    @data.setter
    def data(self, new: Tensor) -> None:
        if not isinstance(new, GhostTensor) or new.device != self.device or new.dtype != self.dtype:
            raise RuntimeError(
                f"data of {new.device}, {new.dtype} for a tensor of {self.device}, {self.dtype}"
            )
        self.numbers = new.numbers

    def data_ptr(self) -> int:
        return self.numbers.data_ptr()

    def numpy(self, **_: Any) -> Any:
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. "
            "Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def new_tensor(self, data: Any, dtype: torch.dtype | None = None, **kwargs: Any) -> Tensor:
        """At this tensor's own device, where torch's backend for Python knows only the first."""
        return torch.tensor(data, dtype=dtype or self.dtype, **{"device": self.device} | kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            copy = self.detach().clone()
            is_parameter = isinstance(self, torch.nn.Parameter)
            memo[id(self)] = torch.nn.Parameter(copy, self.requires_grad) if is_parameter else copy
        return memo[id(self)]

    def __array__(self, *_: Any) -> Any:
        return self.numpy()

    def __repr__(self, **_: Any) -> str:
        return f"GhostTensor({self.numbers}, device={str(self.device)!r})"


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One operation on the numbers, where its devices fit."""
    name = func._schema.name
    if func is _aten.scaled_dot_product_attention.default:
        return _attention(*args, **kwargs)
    if not _has_cpu_kernel(func):
        parts = func.decompose(
            *args, **kwargs
        )  # as outside inference mode, where torch takes them apart itself
        if parts is not NotImplemented:
            return parts
    device = computing_device(func, args, kwargs)
    check_generators(device, iter((*args, *kwargs.values())))
    if name in COPIES:
        return _copied(func, args, kwargs)
    if makes_host_wait(func, args, kwargs):
        note("read", name)
    if name in INDEXED and any(index.device == _CPU for index in tensors(args[1])):
        note("upload", name)
    if name == "aten::histc" and not args[0].is_floating_point():  # a GPU counts integers, too
        return _run(func, (args[0].float(), *args[1:]), kwargs).to(args[0].dtype)
    asked = kwargs.get("device")
    if asked is not None:
        device = _with_index(asked)
        kwargs = kwargs | {"device": _CPU if device.type == "ghost" else device}
    return _outputs(func, args, kwargs, device)


@cache
def _has_cpu_kernel(func: Any) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CPU")


def _outputs(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], device: torch.device) -> Any:
    out = func(*_numbers(args), **{key: _numbers(value) for key, value in kwargs.items()})
    if func._schema.is_mutable:
        known = {id(t.numbers): t for t in _ghosts([*args, *kwargs.values()])}
        for ghost in known.values():
            if ghost.shape != ghost.numbers.shape or ghost.stride() != ghost.numbers.stride():
                raise NotImplementedError(f"{func} changes the shape of a ghost tensor in place")
        return _claimed(out, device, known)
    return _claimed(out, device, {})


def _claimed(value: Any, device: torch.device, known: dict[int, Tensor]) -> Any:
    """The tensors of a result at ``device``; one that was an argument stays that argument."""
    if isinstance(value, Tensor):
        if id(value) in known:
            return known[id(value)]
        return GhostTensor(value, device=device) if device.type == "ghost" else value
    if isinstance(value, list | tuple):
        return type(value)([_claimed(item, device, known) for item in value])
    return value


def _numbers(value: Any) -> Any:
    if isinstance(value, GhostTensor):
        return value.numbers
    if isinstance(value, list | tuple):
        return type(value)([_numbers(item) for item in value])
    return value


def _ghosts(value: Any) -> Iterator[Any]:
    if isinstance(value, GhostTensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _ghosts(item)


def _copied(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A copy, which may be to another device."""
    if func._schema.name == "aten::_to_copy":
        begin = args[0].device
        end = _with_index(kwargs.get("device") or begin)
        kwargs = {key: value for key, value in kwargs.items() if key != "pin_memory"}
        made = func(_numbers(args[0]), **kwargs | {"device": _CPU if end.type == "ghost" else end})
        if made.numel():
            _note_copy(begin, end)
        return _claimed(made, end, {})
    to, source = args[:2]
    if source.numel():  # nothing crosses of nothing
        _note_copy(source.device, to.device)
    _numbers(to).copy_(_numbers(source))
    return to


def _note_copy(begin: torch.device, end: torch.device) -> None:
    if begin != end and _CPU in (begin, end):
        note("read" if end == _CPU else "upload", "copy")


def _with_index(device: torch.device | str) -> torch.device:
    """``ghost`` is the current device, the first."""
    device = torch.device(device)
    if device.type == "ghost" and not 0 <= (device.index or 0) < N_DEVICES:
        raise RuntimeError(f"invalid device ordinal: {device}, where there are {N_DEVICES}")
    return torch.device("ghost", device.index or 0) if device.type == "ghost" else device


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Scaled dot product attention by the kernel that the CPU would choose for these numbers."""
    how = {"scale": scale, "enable_gqa": enable_gqa}
    mask = None if attn_mask is None else _numbers(attn_mask)
    numbers = [_numbers(t) for t in (query, key, value)]
    choice = torch._fused_sdp_choice(*numbers, mask, dropout_p, is_causal, **how)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(~attn_mask, -torch.inf)
    if choice != int(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        out = _aten._scaled_dot_product_attention_math(
            query, key, value, attn_mask, dropout_p, is_causal, None, **how
        )
        return out[0]
    out = _aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale
    )
    return out[0]


class _Module:
    """``torch.ghost``: what libraries ask of a backend's module."""

    is_initialized = is_available = staticmethod(lambda: True)
    current_device = staticmethod(lambda: 0)
    device_count = staticmethod(lambda: N_DEVICES)
    mem_get_info = staticmethod(lambda _device=None: (FREE_BYTES, FREE_BYTES))
    memory_reserved = memory_allocated = staticmethod(lambda _device=None: 0)
    _is_in_bad_fork = staticmethod(lambda: False)
    get_amp_supported_dtype = staticmethod(lambda: [torch.bfloat16, torch.float16])
    manual_seed = manual_seed_all = synchronize = empty_cache = set_device = staticmethod(lambda *_: None)


def _factories() -> Iterator[tuple[str, Any]]:
    """Every operation that makes a tensor at a device out of none."""
    for full in torch._C._dispatch_get_all_op_names():
        name, _, overload = full.removeprefix("aten::").partition(".")
        if not full.startswith("aten::") or any(word in name for word in _NOT_PLAIN):
            continue
        schema = torch._C._get_schema(f"aten::{name}", overload)
        makes_one = len(schema.returns) == 1 and str(schema.returns[0].type) == "Tensor"
        takes_none = not any("Tensor" in str(argument.type) for argument in schema.arguments)
        if makes_one and takes_none and any(argument.name == "device" for argument in schema.arguments):
            yield full, getattr(getattr(_aten, name), overload or "default")


def _taken_apart() -> Iterator[tuple[str, Any]]:
    """Every operation that torch would take apart for this device, but not for the CPU, nor for CUDA."""
    for full in torch._C._dispatch_get_all_op_names():
        has = partial(torch._C._dispatch_has_kernel_for_dispatch_key, full)
        if full.startswith("aten::") and has("CompositeImplicitAutograd") and has("CPU"):
            yield full, getattr(_aten, full.removeprefix("aten::")).default


def _factory(func: Any) -> Callable[..., Any]:
    def make(*args: Any, device: Any = None, pin_memory: Any = None, **kwargs: Any) -> Any:  # noqa: ARG001
        at = _with_index(device or "ghost")
        check_generators(at, iter((*args, *kwargs.values())))
        return GhostTensor(func(*args, device=_CPU, **kwargs), device=at)

    return make


@contextmanager
def one_backward_thread() -> Iterator[None]:
    """torch's backend for Python has one queue of backward work, and so none for ``ghost:1``: the caller does it."""
    run: Callable[..., Any] = torch.autograd._engine_run_backward  # type: ignore[attr-defined]

    def alone(*args: Any, **kwargs: Any) -> Any:
        with torch.autograd.set_multithreading_enabled(False):
            return run(*args, **kwargs)

    with patch.object(torch.autograd, "_engine_run_backward", alone):
        yield


def make_ghosts() -> None:
    """Give this process the devices ``ghost:0`` and ``ghost:1``, for good."""
    if _kept:
        return
    _setup_privateuseone_for_python_backend("ghost", backend_module=_Module())
    library = torch.library.Library("aten", "IMPL")
    for name, func in _factories():
        library.impl(name, _factory(func), "PrivateUse1")
    for name, func in _taken_apart():
        library.impl(name, lambda *args, _func=func, **kwargs: _run(_func, args, kwargs), "PrivateUse1")
    # The zeros of a tangent that is not there have no storage: kernels may not be called on them.
    library.impl("_efficientzerotensor", _factory(_aten.zeros.default), "PrivateUse1")
    library.impl(
        "_copy_from",
        lambda source, to, _non_blocking=False: _copied(_aten.copy_.default, (to, source), {}),
        "PrivateUse1",
    )
    for key in ("PrivateUse1", "AutogradPrivateUse1"):
        library.impl("scaled_dot_product_attention", _attention, key)
    _kept.append(library)
