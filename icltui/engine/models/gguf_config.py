"""What a GGUF file says of its model beyond what transformers reads: dtype, scaled positions, widths of attention.

Enters: a header, and the configuration that transformers makes of it. Leaves: the configuration, completed. Without the
scaling of positions Llama 3.1, Gemma 3 and models of long contexts would give other numbers than in llama.cpp.
"""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from icltui.engine.models.gguf_header import GgufHeader
from icltui.storage.paths import shown
from icltui.values.errors import ModelError

POSITIONS = "position_embd.weight"
"""The table of positions of a GPT-2."""
FREQUENCIES = "rope_freqs.weight"
"""Factors by which the frequencies of positions are divided."""
ROPE_TENSORS = frozenset({FREQUENCIES, "rope_factors_long.weight", "rope_factors_short.weight"})
_LLAMA_3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""All but the factor of Llama 3.1's scaling, which is the same in 3.2 and 3.3."""
_SCALED_BY_WIDTH = {("gemma2", 46), ("gemma3", 62)}
"""Architecture and layers of the models whose scores are scaled by hidden size per head: Gemma 2 and 3 of 27B."""
_FLOATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def unpacked_dtype(header: GgufHeader) -> torch.dtype:
    """The dtype of ``--dtype auto``: the file's own floats, and bfloat16 for blocks.

    Blocks are made from a model in bfloat16, as nearly all are published, and are coarser: to round what they say to
    bfloat16 moves it by far less than they moved the model.
    """
    kinds = {tensor.type for tensor in header.tensors.values()}
    floats = (_FLOATS[kind] for kind in ("BF16", "F16", "F32") if kind in kinds)
    return next(floats) if not header.blocks else torch.bfloat16


def complete_config(header: GgufHeader, config: Any) -> None:
    """Write into ``config`` what the header says and transformers leaves out.

    Raises:
        ModelError: positions that are scaled in a way that is not known here.
    """
    config.dtype = unpacked_dtype(header)
    text = config.get_text_config(decoder=True)
    if (header.architecture, text.num_hidden_layers) in _SCALED_BY_WIDTH:
        text.query_pre_attn_scalar = text.hidden_size // text.num_attention_heads
    if POSITIONS in header.tensors:
        text.max_position_embeddings = header.tensors[POSITIONS].shape[0]
    ropes = getattr(text, "rope_parameters", None)
    if not ropes:
        return
    rope = ropes.get("full_attention", ropes)  # windows are not scaled
    if rope.get("rope_type", "default") == "default":
        rope.update(_part_of_head(header, text) | _scaling(header, text))


def _part_of_head(header: GgufHeader, text: Any) -> dict[str, Any]:
    """The part of each head that turns with its position, where it is not the whole."""
    width = header.settings.get(f"{header.architecture}.rope.dimension_count")
    whole = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    is_part = isinstance(width, int) and 0 < width < whole
    return {"partial_rotary_factor": width / whole} if is_part else {}


def _scaling(header: GgufHeader, text: Any) -> dict[str, Any]:
    def number(key: str) -> Any:
        return header.settings.get(f"{header.architecture}.rope.scaling.{key}")

    kind = header.text(f"{header.architecture}.rope.scaling.type") or "linear"  # as llama.cpp takes it
    factor = number("factor") or header.settings.get(f"{header.architecture}.rope.scale_linear")
    is_scaled = kind != "none" and factor not in (None, 0, 1)
    if number("attn_factor") not in (None, 1):
        raise _unknown(header, "rope.scaling.attn_factor")
    if FREQUENCIES in header.tensors and not is_scaled:
        return _llama_3(header, text)
    if kind in ("linear", "none") and ROPE_TENSORS.isdisjoint(header.tensors):
        return {"rope_type": "linear", "factor": factor} if is_scaled else {}
    if kind == "yarn" and number("factor") and number("original_context_length"):
        length = {"original_max_position_embeddings": number("original_context_length")}
        known = {key: number(f"yarn_{key}") for key in ("beta_fast", "beta_slow") if number(f"yarn_{key}")}
        return {"rope_type": "yarn", "factor": number("factor"), **length, **known}
    unread = sorted(ROPE_TENSORS & header.tensors.keys())
    raise _unknown(header, unread[0] if unread else f"rope.scaling.type {kind!a}")


def _llama_3(header: GgufHeader, text: Any) -> dict[str, Any]:
    """The scaling of Llama 3.1, where that gives the factors of the file."""
    tensor = header.tensors[FREQUENCIES]
    start = header.data_start + tensor.start
    if tensor.type != "F32":
        raise _unknown(header, FREQUENCIES)
    factors = np.fromfile(header.file, "<f4", tensor.n_bytes // 4, offset=start)
    if (factors == 1).all():
        return {}
    scaling = {"rope_type": "llama3", "factor": float(factors.max(initial=1)), **_LLAMA_3}
    plain, scaled = deepcopy(text), deepcopy(text)
    scaled.rope_parameters.update(scaling)
    plain.rope_parameters.update(rope_type="linear", factor=1.0)
    frequencies, _ = ROPE_INIT_FUNCTIONS["llama3"](scaled, "cpu")
    unscaled, _ = ROPE_INIT_FUNCTIONS["linear"](plain, "cpu")
    ratio = (unscaled / frequencies).numpy()
    if ratio.shape != factors.shape or not np.allclose(ratio, factors, rtol=1e-4):
        raise _unknown(header, FREQUENCIES)
    return scaling


def _unknown(header: GgufHeader, what: str) -> ModelError:
    return ModelError(
        f"{shown(header.file)} scales its positions by {what}, which cannot be read from a GGUF here: take the model's "
        "safetensors"
    )
