"""Buffers that a model makes by itself and no checkpoint holds, as the model makes them in float32.

Enters: a model in half precision. Leaves: what loading in float32 would have made of such a buffer, such as a table of
positions or the factor of an embedding: it is rounded in the model, and unlike a weight it can be had unrounded.
"""

from copy import deepcopy
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

_made: "WeakKeyDictionary[nn.Module, dict[str, Tensor]]" = WeakKeyDictionary()


def unrounded_buffers(model: Any) -> dict[str, Tensor]:
    """By name, of each buffer in half precision that is not saved, and that rounds to what the model has."""
    if model not in _made:
        _made[model] = _make(model)
    return _made[model]


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
        wide = _made_anew(model, half)
    except Exception:  # noqa: BLE001 -- a model's own code makes them: then they stay as they are
        return {}
    return {
        name: buffer for name, buffer in wide.items() if torch.equal(buffer.to(half[name].dtype), half[name])
    }


def _made_anew(model: Any, half: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same buffers, of a model like it without weights."""
    with torch.device("meta"):
        empty = type(model)(deepcopy(model.config))
    parents = {name: empty.get_submodule(name.rpartition(".")[0]) for name in half}
    for name, parent in parents.items():
        wide = torch.empty_like(half[name], dtype=torch.float32)
        parent._buffers[name.rpartition(".")[2]] = wide
    for parent in {id(parent): parent for parent in parents.values()}.values():
        empty._init_weights(parent)
    return {name: parent._buffers[name.rpartition(".")[2]] for name, parent in parents.items()}
