"""Attention masks of copies of the query, packed in one row after a cached context.

Enters: which context tokens each copy goes without. Leaves: masks in the form that the model takes. Each copy sees the
kept prefix, the cached context but its gap, and its own tokens; the reach of a sliding window is counted along the row
that the copy represents, as an ordinary run of that row does.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from icltui.engine.hooks.site import input_device
from icltui.engine.measure.forward_pass import Gap
from icltui.engine.models.upcast import computing_dtype

PACKABLE = frozenset({"full_attention", "sliding_attention"})
Column = Int[Tensor, "queries 1"]
"""One end of the gap of each packed token's copy."""


def packed_masks(
    model: Any, gaps: Sequence[Gap], n_prefix: int, n_context: int, n_cached: int, q: int
) -> Any:
    """Masks (1, 1, copies·q, n_prefix + n_cached + copies·q): one tensor, or one for each type of layer.

    ``n_cached`` of the ``n_context`` tokens are in the cache that the copies continue.

    Raises:
        ValueError: a layer type whose attention this mask cannot express.
    """
    config = model.config.get_text_config(decoder=True)
    kinds = layer_kinds(config)
    if not kinds <= PACKABLE:
        raise ValueError(f"layers of type {', '.join(sorted(kinds - PACKABLE))} cannot be packed")
    device = input_device(model)
    copies = torch.tensor(list(gaps), dtype=torch.int32, device=device).repeat_interleave(q, dim=0)
    begin, end = copies.T[:, :, None]
    seen = _seen(begin, end, n_prefix, n_cached, q)
    masks: dict[str, Any] = {"full_attention": seen}
    if (window := getattr(config, "sliding_window", None)) and "sliding_attention" in kinds:
        masks["sliding_attention"] = seen & (_distance(begin, end, n_prefix, n_context, n_cached, q) < window)
    chosen = {kind: _as_taken(model, masks.get(kind, seen)) for kind in sorted(kinds)}
    return chosen if len(chosen) > 1 else next(iter(chosen.values()))


def _copy_and_offset(begin: Column, q: int) -> tuple[Int[Tensor, " queries"], Int[Tensor, " queries"]]:
    """The copy of each packed token, and the token's index in the query."""
    index = torch.arange(len(begin), dtype=torch.int32, device=begin.device)
    return index // q, index % q


def _keys(begin: Column, n_prefix: int, n_cached: int) -> Int[Tensor, "1 cached"]:
    """The context index of each cached token, negative in the prefix."""
    return torch.arange(-n_prefix, n_cached, dtype=torch.int32, device=begin.device)[None]


def _seen(begin: Column, end: Column, n_prefix: int, n_cached: int, q: int) -> Bool[Tensor, "queries keys"]:
    """Whether each query token sees each key."""
    copy, offset = _copy_and_offset(begin, q)
    key = _keys(begin, n_prefix, n_cached)
    before = (key < begin) | (key >= end)
    own = (copy[:, None] == copy[None]) & (offset[:, None] >= offset[None])
    return torch.cat([before, own], dim=1)


def _distance(
    begin: Column, end: Column, n_prefix: int, n_context: int, n_cached: int, q: int
) -> Int[Tensor, "queries keys"]:
    """Tokens from each key to each query token in the row that the query's copy represents."""
    _, offset = _copy_and_offset(begin, q)
    key = _keys(begin, n_prefix, n_cached)
    index = n_context - (end - begin) + offset[:, None]
    before = index - key + torch.where(key >= end, end - begin, 0)
    return torch.cat([before, offset[:, None] - offset[None]], dim=1)


def _as_taken(model: Any, allowed: Bool[Tensor, "queries keys"]) -> Float[Tensor, "1 1 queries keys"]:
    """A mask to add to the attention scores; SDPA also takes booleans, but converts them at each layer."""
    dtype = computing_dtype(model)
    mask = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[None, None]


def layer_kinds(config: Any) -> set[str]:
    """The attention types of a text config's layers."""
    types = getattr(config, "layer_types", None)
    if types:
        return set(types)
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return {"sliding_attention" if windowed else "full_attention"}
