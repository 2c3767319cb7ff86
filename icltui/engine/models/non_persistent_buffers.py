"""Non-persistent buffers in float32: a model makes them by itself, and no checkpoint holds them.

Enters: a model in half precision. Leaves: each such buffer, for instance a table of positions or the factor of an
embedding, as loading in float32 would make it: the model's own is rounded, but unlike a weight it can be made again.
"""

from copy import deepcopy
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

_cache: "WeakKeyDictionary[nn.Module, dict[str, Tensor]]" = WeakKeyDictionary()


def unrounded_buffers(model: Any) -> dict[str, Float[Tensor, "..."]]:
    """Non-persistent buffers by name in float32, where they round to the model's own in half precision."""
    if model not in _cache:
        _cache[model] = _make(model)
    return _cache[model]


@torch.inference_mode(mode=False)
@torch.no_grad()
def _make(model: Any) -> dict[str, Tensor]:
    saved = model.state_dict().keys()
    half = {
        name: buffer
        for name, buffer in model.named_buffers()
        if buffer.dtype in (torch.bfloat16, torch.float16) and name not in saved
    }
    if not half:
        return {}
    try:
        wide = _make_in_float32(model, half)
    except Exception:  # noqa: BLE001 -- a model's own code makes them and may fail: then they stay rounded
        return {}
    return {
        name: buffer for name, buffer in wide.items() if torch.equal(buffer.to(half[name].dtype), half[name])
    }


def _make_in_float32(model: Any, half: dict[str, Tensor]) -> dict[str, Tensor]:
    """The buffers in float32, from a model of this configuration without weights."""
    with torch.device("meta"):
        empty = type(model)(deepcopy(model.config))
    parents = {name: empty.get_submodule(name.rpartition(".")[0]) for name in half}
    for name, parent in parents.items():
        wide = torch.empty_like(half[name], dtype=torch.float32)
        parent._buffers[name.rpartition(".")[2]] = wide
    for parent in {id(parent): parent for parent in parents.values()}.values():
        empty._init_weights(parent)
    return {name: parent._buffers[name.rpartition(".")[2]] for name, parent in parents.items()}
