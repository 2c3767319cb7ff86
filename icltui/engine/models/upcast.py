"""A model in half precision computes in float32 while a ``with`` block lasts.

Enters: a model whose weights are bfloat16 or float16. Leaves: the model, whose weights are float32 while they are
used: a layer's while it runs, those outside of the layers while the model does. That takes the memory of one layer, of
the embedding and of the head; where memory is plenty the copies are kept from pass to pass, since making them takes
longer than a pass over few tokens. Both types are subsets of float32, so no weight is rounded, and the logits are bit
for bit those of the model in float32. Afterwards the model has its own tensors again.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from icltui.engine.models.device import free_bytes
from icltui.engine.models.non_persistent_buffers import unrounded_buffers
from icltui.values.errors import BadInput

HALF = (torch.bfloat16, torch.float16)
MOST_KEPT = 2**32
"""Bytes of float32 copies that are kept from pass to pass, and at most a quarter of the free memory."""
_upcast: "WeakSet[nn.Module]" = WeakSet()
"""Models that compute in float32 in a ``with`` block."""


def is_half(model: Any) -> bool:
    """Whether the model's weights are of half precision."""
    return model.dtype in HALF


def can_compute_in_float32(model: Any) -> bool:
    """Whether the weights are in half precision, and in memory: offloaded ones are loaded after the conversion."""
    return is_half(model) and not any(p.device.type == "meta" for p in model.parameters())


def is_quantized(model: Any) -> bool:
    """Whether some weights are quantized: their kernels choose the precision by themselves."""
    return bool(getattr(model, "is_quantized", False))


def check_upcast(model: Any) -> None:
    """Refuse a model that cannot compute in float32.

    Raises:
        BadInput: offloaded or quantized weights.
    """
    if is_quantized(model):
        raise BadInput(
            "this model's weights are quantized, and are multiplied in half precision whatever it computes in: use "
            "--precision model, or load it without quantization"
        )
    if is_half(model) and not can_compute_in_float32(model):
        raise BadInput(
            "some weights of this model are offloaded, so it cannot compute in float32: use --precision model, or load "
            "it with --dtype float32"
        )


def computing_dtype(model: Any) -> torch.dtype:
    """The dtype that the model computes in, and that its masks must have."""
    dtype: torch.dtype = torch.float32 if model in _upcast else model.dtype
    return dtype


@contextmanager
def computing_in_float32(model: nn.Module) -> Iterator[None]:
    """Inside the ``with`` block ``model`` runs with weights and buffers in float32.

    Each layer is converted as a whole, and so is all outside of them, as parts may use each other's weights or dtype.
    """
    unrounded = unrounded_buffers(model)
    known = {id(buffer): unrounded[name] for name, buffer in model.named_buffers() if name in unrounded}
    keeps = _can_keep(model)
    with ExitStack() as stack:
        for module, parts in _modules_to_upcast(model):
            own = _UpcastTensors(parts, known, keeps)
            stack.callback(own.restore)
            stack.callback(module.register_forward_pre_hook(own.upcast).remove)
            stack.callback(module.register_forward_hook(own.restore, always_call=True).remove)
        stack.callback(_upcast.discard, model)
        _upcast.add(model)
        yield


def _can_keep(model: nn.Module) -> bool:
    """Whether float32 copies of all weights fit beside them, on the one device that they are on."""
    n_bytes = sum(4 * parameter.numel() for parameter in model.parameters() if parameter.dtype in HALF)
    devices = {parameter.device for parameter in model.parameters()}
    return n_bytes <= MOST_KEPT and len(devices) == 1 and 4 * n_bytes <= free_bytes(devices.pop())


def _modules_to_upcast(model: nn.Module) -> list[tuple[nn.Module, list[nn.Module]]]:
    """Each module that is called, with the modules that are float32 while it runs.

    The model goes with all that is in none of its layers, each layer with its parts; and each part by itself, for
    layers that only hold parts and are not called.
    """
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList | nn.Sequential)]
    layers = {id(entry): entry for stack in stacks for entry in stack}
    parts = {id(part): part for layer in layers.values() for part in layer.modules()}
    beside = [module for module in model.modules() if id(module) not in parts]
    return [
        (model, beside),
        *((layer, list(layer.modules())) for layer in layers.values()),
        *((part, [part]) for part in parts.values() if id(part) not in layers),
    ]


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """The module's own tensors, without its children's."""
    own = {**module._parameters, **module._buffers}
    return {name: tensor for name, tensor in own.items() if tensor is not None}


class _UpcastTensors:
    """Replaces the tensors of some modules by wider ones, and puts back the very objects."""

    def __init__(self, modules: list[nn.Module], known: dict[int, Tensor], keeps: bool) -> None:
        self.modules, self.known, self.keeps = modules, known, keeps
        self.stored: list[tuple[nn.Module, str, Tensor]] = []

    def upcast(self, *_: Any) -> None:
        wide = self.known if self.keeps else dict(self.known)  # a tied weight takes room once
        for module in self.modules:
            for name, tensor in _tensors(module).items():
                if tensor.dtype in HALF:
                    self.stored.append((module, name, tensor))
                    if id(tensor) not in wide:
                        wide[id(tensor)] = tensor.float()
                    _put(module, name, wide[id(tensor)])

    def restore(self, *_: Any) -> None:
        while self.stored:
            _put(*self.stored.pop())


def _put(module: nn.Module, name: str, tensor: Tensor) -> None:
    is_buffer = name in module._buffers
    own: dict[str, Any] = module._buffers if is_buffer else module._parameters
    is_whole = is_buffer or isinstance(tensor, nn.Parameter)
    own[name] = tensor if is_whole else nn.Parameter(tensor, requires_grad=False)
