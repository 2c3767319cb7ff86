"""Whether a checkpoint's weights fill the model that its config.json describes.

Enters: what ``from_pretrained`` reports of missing, mismatched and unexpected keys. Leaves: nothing, or a refusal, as
transformers would fill the gaps with noise and only warn.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from icltui.engine.models.gguf_config import ROPE_TENSORS
from icltui.engine.models.gguf_header import GgufHeader
from icltui.engine.models.unexpected_keys import learned_keys
from icltui.storage.paths import shown
from icltui.values.errors import ModelError

HEAD = "output.weight"
"""llama.cpp's name of the matrix that gives the logits."""


def check_weights(
    name: str, report: Mapping[str, Any], model: Any, files: Callable[[], Sequence[Path]]
) -> None:
    """Refuse weights that do not fit; constants that an older version of the architecture saved may be unexpected.

    ``files`` gives the checkpoint's files, and is called only where they must be looked at.

    Raises:
        ModelError: naming the first that is missing, of another shape, or of a layer that the model lacks.
    """
    stacks = {_stack(key) for key, _ in model.named_parameters()}
    faults = [f"{key} is missing" for key in sorted(report["missing_keys"])]
    faults += [f"{key[0]} is of another shape" for key in sorted(report["mismatched_keys"])]
    unexpected = [key for key in report["unexpected_keys"] if _belongs(key, stacks)]
    faults += [
        f"{key} has no place" for key in learned_keys(unexpected, model, files() if unexpected else ())
    ]
    if faults:
        raise ModelError(
            f"model {name!r} has weights that do not fit its configuration: {faults[0]}"
            + (f", and {len(faults) - 1} more" if len(faults) > 1 else "")
        )


def check_all_used(header: GgufHeader, model: Any) -> None:
    """Refuse a GGUF with tensors that transformers passes over in silence, such as biases that a class lacks.

    Raises:
        ModelError: naming the kind of tensor where it is known.
    """
    tied = getattr(model, "all_tied_weights_keys", ())
    n_saved = sum(tensor.numel() for name, tensor in model.state_dict().items() if name not in tied)
    n_unused = sum(math.prod(tensor.shape) for tensor in header.tensors.values()) - n_saved
    n_unused -= sum(
        math.prod(tensor.shape)
        for name, tensor in header.tensors.items()
        if name in ROPE_TENSORS or (name == HEAD and model.config.tie_word_embeddings)
    )
    if n_unused > 0:
        names = ", ".join(sorted({re.sub(r"^blk\.\d+\.", "", name) for name in _unnamed(header, model)})[:3])
        raise ModelError(
            f"{shown(header.file)} holds {n_unused:,} numbers{f' ({names})' if names else ''} that transformers' "
            f"{type(model).__name__} has no place for: take the model's safetensors"
        )


def _unnamed(header: GgufHeader, model: Any) -> set[str]:
    """The tensors of the file that no name of the model's stands for in gguf's table."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    kind = next((kind for kind, name in MODEL_ARCH_NAMES.items() if name == header.architecture), None)
    if kind is None:
        return set()
    table = get_tensor_name_map(kind, model.config.get_text_config(decoder=True).num_hidden_layers)
    return header.tensors.keys() - {table.get_name(name, (".weight", ".bias")) for name in model.state_dict()}


def _stack(key: str) -> str:
    """``model.layers.`` of ``model.layers.3.mlp.up_proj.weight``; empty without a number."""
    match = re.search(r"\.\d+\.", f".{key}")
    return f".{key}"[: match.start() + 1] if match else ""


def _belongs(key: str, stacks: set[str]) -> bool:
    """Whether the weight is of a stack of layers that the model has, and not, say, of a vision tower."""
    stack = _stack(key)
    return bool(stack) and any(known.endswith(stack) for known in stacks)
