"""The loss of each token of a text: given all before it, or only its own part of the text.

Enters: ids. Leaves: losses in nats, in float32 (float64 models: float64). The text runs in chunks that continue a
key-value cache, and the logits of one chunk are all that is in memory of ``tokens × vocabulary``.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.out_of_memory import run_as_fits
from icltui.engine.measure.forward_pass import KVCache, can_use_cache, forward
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids
from icltui.values.prompt import Positions

MOST_LOGITS = 2**24
"""Logits that are computed at a time."""
MOST_TOKENS = 1024
"""Tokens that run at a time: the model's own states grow with them too."""


def loss_by_position(
    loaded: LoadedModel,
    ids: Sequence[int],
    on_progress: ProgressCallback = ignore_progress,
    position_ids: Sequence[int] | None = None,
) -> Float[Tensor, " tokens"]:
    """−log p of each of ``ids`` given all before it, in nats; NaN for the first, which nothing comes before.

    ``position_ids``: the position of each token in the model, where they do not count from 0 without a gap.

    Raises:
        BadInput: positions with a gap, for a model whose forward takes none.
        EngineError: logits that are not finite.
    """
    losses = [torch.full((1,), torch.nan, dtype=torch.float32)]
    cache = KVCache()
    vocabulary = int(loaded.model.get_input_embeddings().weight.shape[0])
    size, begin = max(1, min(MOST_TOKENS, MOST_LOGITS // vocabulary)), 0
    if not can_use_cache(loaded.model):
        size = len(ids)  # every chunk would run the whole row again
    at = range(len(ids)) if position_ids is None else position_ids
    while begin < len(ids) - 1:
        on_progress("reading the text", begin // size, -(-len(ids) // size))
        read = partial(_read, loaded, cache, ids[begin:], at[begin:])
        chunk, size = run_as_fits(read, size, "tokens of the text", partial(cache.restore, begin))
        losses.append(chunk)
        begin += len(chunk)
    return torch.cat([part.to(losses[-1]) for part in losses])[: len(ids)]


def _read(
    loaded: LoadedModel, cache: KVCache, ids: Sequence[int], at: Sequence[int], n: int
) -> Float[Tensor, " _tokens"]:
    """The losses of the ``n`` tokens after the first of ``ids``, fewer at their end; the cache ends before them."""
    n = min(n, len(ids) - 1)
    logits = forward(loaded.model, ids[:n], cache, at[:n], logits_to_keep=torch.arange(n))
    targets = torch.tensor(list(ids[1 : n + 1]), device=logits.device)
    return (logits.logsumexp(-1) - logits.gather(-1, targets[:, None])[:, 0]).cpu()


def losses_with(
    loaded: LoadedModel, ids: Ids, on_progress: ProgressCallback = ignore_progress
) -> Float[Tensor, " tokens"]:
    """The loss of each token of context and query given all before it, in nats."""
    return loss_by_position(loaded, ids.full, on_progress)[len(ids.prefix) :]


def losses_without(
    loaded: LoadedModel,
    ids: Ids,
    positions: Positions = "reset",
    on_progress: ProgressCallback = ignore_progress,
) -> Float[Tensor, " tokens"]:
    """The loss of each token of context and query given the kept prefix and its own unit's earlier tokens, in nats.

    The query is one unit, so its tokens lack the whole context. NaN where nothing comes before a token.
    """
    text, n_prefix = [*ids.context, *ids.query], len(ids.prefix)
    losses = torch.full((len(text),), torch.nan, dtype=torch.float64)
    edges = list(pairwise([*ids.ends, len(text)]))
    singles = [begin for begin, end in edges[:-1] if end - begin == 1]
    if singles and ids.prefix:
        log_p = forward(loaded.model, ids.prefix).log_softmax(-1).cpu()
        losses[singles] = -log_p[torch.tensor(text)[singles]].double()
    for number, (begin, end) in enumerate(edges):
        if end - begin == 1 and number < len(edges) - 1:
            continue
        on_progress("reading each unit alone", number, len(edges))
        shift = begin if positions == "keep" else 0
        at = [*range(n_prefix), *range(n_prefix + shift, n_prefix + shift + end - begin)]
        unit = loss_by_position(loaded, [*ids.prefix, *text[begin:end]], position_ids=at)
        losses[begin:end] = unit[n_prefix:].double()
    return losses
