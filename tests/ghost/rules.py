"""Which mixes of devices an operation takes, and what makes the host wait: CUDA's rules, for any device but the CPU.

Enters: an aten operation and its arguments. Leaves: the device it computes on; or the RuntimeError that CUDA raises.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

COPIES = frozenset({"aten::copy_", "aten::_to_copy", "aten::_copy_from", "aten::_copy_from_and_resize"})
"""Operations that may read one device and write another."""
INDEXED = frozenset(
    {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index"}
)
"""Operations whose second argument, a list of indices, may be on the CPU."""
SCALAR_FILLS = {"aten::fill": 1, "aten::fill_": 1, "aten::masked_fill": 2, "aten::masked_fill_": 2}
"""Operations with an argument of no dimension that may be on the CPU, and its place."""
TERNARY = frozenset({"aten::where", "aten::addcmul", "aten::addcmul_", "aten::addcdiv", "aten::addcdiv_"})
"""Operations of three tensors that take a tensor of no dimension from the CPU, but not as their first."""
WAITS = frozenset(
    "_local_scalar_dense item is_nonzero equal nonzero masked_select _unique _unique2 unique_dim unique_consecutive "
    "bincount _linalg_check_errors _linalg_svd _linalg_eigh linalg_eig".split()
)
"""Operations whose result has a size, or is a number, that the host must know before it goes on."""


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in an argument, lists opened."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)


def computing_device(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    """The device of the tensors, those aside that an operation takes from the CPU.

    Raises:
        RuntimeError: the tensors are on devices that the operation does not mix.
    """
    name = func._schema.name
    given = [*tensors(args), *tensors(list(kwargs.values()))]
    away = [tensor.device for tensor in given if tensor.device.type not in ("cpu", "meta")]
    device = away[0] if away else torch.device("cpu")
    if name in COPIES or (len(away) == len(given) and away.count(device) == len(away)):
        return device
    if name in INDEXED:
        _check_indices(args[0], args[1])
        given = [*tensors(args[0]), *(t for t in tensors(args[2:]) if t.ndim > 0)]
        device = args[0].device
    free = {id(tensor) for tensor in _free_scalars(func, args)}
    for tensor in given:
        if tensor.device != device and id(tensor) not in free:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{tensor.device} and {device}! (when checking arguments of {func})"
            )
    return device


def _check_indices(tensor: Tensor, indices: Any) -> None:
    for index in tensors(indices):
        if index.device not in (tensor.device, torch.device("cpu")):
            raise RuntimeError(
                f"indices should be either on cpu or on the same device as the indexed tensor ({tensor.device})"
            )


def _free_scalars(func: Any, args: tuple[Any, ...]) -> list[Tensor]:
    """Tensors of no dimension on the CPU that may stay there: at most one, and never one that is written to."""
    name, given = func._schema.name, list(tensors(args))
    if name in SCALAR_FILLS:
        candidates = list(tensors(args[SCALAR_FILLS[name] :]))
    elif name in TERNARY:
        candidates = given[1:]
    elif torch.Tag.pointwise in func.tags and len(given) == 2:
        candidates = given[1:] if func._schema.is_mutable else given
    else:
        return []
    scalars = [t for t in candidates if t.ndim == 0 and t.device.type == "cpu"]
    return scalars if name == "aten::where" else scalars[:1]


def check_generators(device: torch.device, values: Iterator[Any]) -> None:
    """Raises RuntimeError where numbers for ``device`` are to be drawn from another device's generator."""
    for value in values:
        if isinstance(value, torch.Generator) and value.device.type != device.type:
            raise RuntimeError(
                f"Expected a '{device.type}' device type for generator but found '{value.device.type}'"
            )


def makes_host_wait(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the host waits for all that the device has still to do, copies between devices aside."""
    name = func._schema.name.removeprefix("aten::")
    if f"aten::{name}" in INDEXED:
        return any(index.dtype in (torch.bool, torch.uint8) for index in tensors(args[1]))
    if name == "repeat_interleave" and "Tensor" in func._overloadname:
        return kwargs.get("output_size") is None
    return name in WAITS
