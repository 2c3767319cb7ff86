"""The states and next-token logits behind every prefix of the context: in one packed pass, or one by one.

Enters: the ids and the selected sites. Leaves, chunk by chunk: A_i = z(c_1..c_i, x) and v at the query's last
token, and the logits there, for unit counts i. Causal attention makes the context's keys and values
independent of what follows, so the context runs once with a cache; then copies of the query are packed in one
row, copy i at the positions behind i units, with a mask that lets it see those units and its own tokens.
Cost: n + (n+1) q tokens, not n²/2.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from icltui.engine.capture import capturing, widen
from icltui.engine.model import LoadedModel
from icltui.engine.site import Site
from icltui.engine.tokens import Ids
from icltui.errors import EngineError
from icltui.record import Path

FIRST_CHUNK_TOKENS = 32
"""The first chunk is small, so that numbers appear at once."""
CHUNK_TOKENS = 512
"""Query tokens in a chunk; bounds the mask and the activations."""


@dataclass(frozen=True)
class PrefixChunk:
    """What was seen behind some prefixes."""

    units: tuple[int, ...]
    """How many units of the context each copy had before it."""
    z: Float[Tensor, "copies layers hidden"]
    v: Float[Tensor, "copies layers hidden"]
    logits: Float[Tensor, "copies vocabulary"]


def forward(model: Any, ids: Sequence[int], cache: Any = None, past: int = 0, **kwargs: Any) -> Tensor:
    """Logits (vocabulary,) behind the last of ``ids``, which continue the ``past`` tokens of ``cache``, if given.

    With ``logits_to_keep`` in ``kwargs``: logits of those positions, (positions, vocabulary).
    """
    row = torch.tensor([list(ids)], device=model.get_input_embeddings().weight.device)
    keep = kwargs.pop("logits_to_keep", None)
    if cache is not None and "position_ids" in accepted(model) and "position_ids" not in kwargs:
        # Some models would begin at 0 again behind a cache.
        kwargs["position_ids"] = torch.arange(past, past + len(ids), device=row.device)[None]
    if "logits_to_keep" in accepted(model):
        kwargs["logits_to_keep"] = 1 if keep is None else keep
    output = model(row, past_key_values=cache, use_cache=cache is not None, **kwargs)
    logits: Tensor = output.logits[0]
    kept = logits[-1] if keep is None else logits if "logits_to_keep" in kwargs else logits[keep]
    if kept.isnan().any():
        dtype = str(model.dtype).removeprefix("torch.")
        advice = "its weights may be damaged" if dtype in ("float32", "float64") else "try --dtype float32"
        raise EngineError(f"the model's logits are not numbers in {dtype}: {advice}")
    return widen(kept)


def accepted(model: Any) -> set[str]:
    """Names of the arguments that the model's forward takes."""
    return set(inspect.signature(model.forward).parameters)


def measure_prefixes(
    loaded: LoadedModel, sites: Sequence[Site], ids: Ids, path: Path
) -> Iterator[PrefixChunk]:
    """Every prefix once, in chunks: first the full context and the empty one, then 1, 2, …, n−1.

    The full context leads because each prediction is compared with it.
    """
    n = len(ids.ends) - 1
    order = [0] if n == 0 else [n, *range(n)]
    if path == "packed":
        yield from _packed(loaded, sites, ids, order)
    else:
        yield from _loop(loaded, sites, ids, order)


def _loop(loaded: LoadedModel, sites: Sequence[Site], ids: Ids, order: list[int]) -> Iterator[PrefixChunk]:
    """One ordinary forward pass per prefix, without a cache."""
    for i in order:
        row = [*ids.prefix, *ids.context[: ids.ends[i]], *ids.query]
        with capturing(sites, torch.tensor([len(row) - 1])) as capture:
            logits = forward(loaded.model, row)
        states = capture.states()
        yield PrefixChunk((i,), states.z.transpose(0, 1), states.v.transpose(0, 1), logits[None])


def _packed(loaded: LoadedModel, sites: Sequence[Site], ids: Ids, order: list[int]) -> Iterator[PrefixChunk]:
    cache = DynamicCache()  # without a config: full length also where attention has a sliding window
    n_before = len(ids.prefix) + len(ids.context)
    if n_before:
        forward(loaded.model, [*ids.prefix, *ids.context], cache)
    q = len(ids.query)
    for units in _chunks(order, q):
        starts = torch.tensor([len(ids.prefix) + ids.ends[i] for i in units])
        positions = (starts[:, None] + torch.arange(q)).flatten()
        last = torch.arange(1, len(units) + 1) * q - 1
        with capturing(sites, last) as capture:
            logits = forward(
                loaded.model,
                list(ids.query) * len(units),
                cache,
                position_ids=positions[None].to(loaded.device),
                attention_mask=packed_masks(loaded.model, starts, q, n_before),
                logits_to_keep=last.to(loaded.device),
            )
        cache.crop(-len(units) * q)
        states = capture.states()
        yield PrefixChunk(tuple(units), states.z.transpose(0, 1), states.v.transpose(0, 1), logits)


def _chunks(order: list[int], q: int) -> Iterator[list[int]]:
    begin, size = 0, max(2, FIRST_CHUNK_TOKENS // q)
    while begin < len(order):
        yield order[begin : begin + size]
        begin += size
        size = max(1, CHUNK_TOKENS // q)


def packed_masks(model: Any, starts: Tensor, q: int, n_before: int) -> Any:
    """Additive attention masks of one chunk, (1, 1, copies·q, n_before + copies·q), in the form the model
    takes.

    ``starts`` (copies,): the position of each copy's first token, which is also how many cached tokens it may
    see. Models that mix layer types take a dict by type, others one tensor.

    Raises:
        ValueError: a layer type whose attention this mask cannot express.
    """
    config = model.config.get_text_config(decoder=True)
    copies = len(starts)
    own = torch.arange(copies).repeat_interleave(q)
    place = torch.arange(q).repeat(copies)
    query_position = starts[own] + place
    key_position = torch.cat([torch.arange(n_before), query_position])
    before = torch.arange(n_before)[None] < starts[own][:, None]
    within = (own[:, None] == own[None]) & (place[:, None] >= place[None])
    seen = torch.cat([before, within], dim=1)
    window = getattr(config, "sliding_window", None)
    near = seen & (query_position[:, None] - key_position[None] < window) if window else seen

    def additive(allowed: Tensor) -> Tensor:
        mask = torch.zeros(allowed.shape, dtype=model.dtype).masked_fill_(
            ~allowed, torch.finfo(model.dtype).min
        )
        return mask[None, None].to(model.get_input_embeddings().weight.device)

    kinds = layer_kinds(config)
    if not kinds <= {"full_attention", "sliding_attention"}:
        raise ValueError(f"layers of type {sorted(kinds)} cannot be packed")
    by_kind = {"full_attention": seen, "sliding_attention": near}
    masks = {kind: additive(by_kind[kind]) for kind in sorted(kinds)}
    return masks if len(masks) > 1 else next(iter(masks.values()))


def layer_kinds(config: Any) -> set[str]:
    """The attention types of a text config's layers."""
    types = getattr(config, "layer_types", None)
    if types:
        return set(types)
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return {"sliding_attention" if windowed else "full_attention"}


def choose_path(loaded: LoadedModel) -> Path:
    """``packed`` where the packed pass agrees with the loop on a few tokens of this very model, else ``loop``."""
    if "position_ids" not in accepted(loaded.model) or _rotates_by_length(loaded.model.config):
        return "loop"
    ids = sample_ids(loaded, n_context=9, n_query=4)
    try:
        with torch.inference_mode():
            packed = _gather(measure_prefixes(loaded, loaded.sites, ids, "packed"))
            loop = _gather(measure_prefixes(loaded, loaded.sites, ids, "loop"))
    except (EngineError, TypeError, ValueError, RuntimeError, KeyError, AttributeError, IndexError):
        return "loop"
    # Against the spread between prefixes, not against the states: what a wrong mask would change is that spread.
    tolerance = 1e-2 if loaded.dtype in (torch.float32, torch.float64) else 0.3
    agree = all((a - b).norm() <= tolerance * (b - b[:1]).norm() for a, b in zip(packed, loop, strict=True))
    return "packed" if agree else "loop"


def sample_ids(loaded: LoadedModel, n_context: int, n_query: int) -> Ids:
    """Arbitrary tokens from all over the vocabulary, one of them as the kept prefix."""
    n_vocabulary = min(len(loaded.tokenizer), loaded.model.get_input_embeddings().weight.shape[0])
    tokens = [(k * 2654435761 + 97) % n_vocabulary for k in range(1 + n_context + n_query)]
    return Ids(
        tuple(tokens[:1]),
        tuple(tokens[1 : 1 + n_context]),
        tuple(tokens[1 + n_context :]),
        tuple(range(n_context + 1)),
    )


def _rotates_by_length(config: Any) -> bool:
    """Whether rotary factors depend on the longest position of a call, which packing changes."""
    text = config.get_text_config(decoder=True)
    rope = getattr(text, "rope_parameters", None) or {}
    kinds = {rope.get("rope_type"), *(r.get("rope_type") for r in rope.values() if isinstance(r, dict))}
    return bool(kinds & {"longrope", "dynamic"})


def _gather(chunks: Iterator[PrefixChunk]) -> tuple[Tensor, Tensor, Tensor]:
    kept = list(chunks)
    return (
        torch.cat([c.z for c in kept]),
        torch.cat([c.v for c in kept]),
        torch.cat([c.logits for c in kept]),
    )
