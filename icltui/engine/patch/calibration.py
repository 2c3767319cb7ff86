"""A query in its context with the model's own continuation, which a held patch is fitted and tested on.

Enters: ids, and a number of tokens. Leaves: a :class:`Passage`: the continuation, chosen greedily in the context,
the contextual states of query and continuation, and the contextual logits after each of these tokens.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.capture import States
from icltui.engine.hooks.site import Site
from icltui.engine.measure.forward_pass import KVCache, forward, forward_states, position_ids
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.decoding import stop_tokens
from icltui.engine.prompts.tokenize import Ids
from icltui.values.prompt import Positions


@dataclass(frozen=True)
class Passage:
    """One query in its context, and the contextual text after it."""

    ids: Ids
    continuation: tuple[int, ...]
    targets: States
    """Contextual states of the query's tokens, then of the continuation's."""
    logits: Float[Tensor, "tokens vocabulary"]
    """Contextual logits after the query's last token and after each token of the continuation."""
    positions: Positions

    @property
    def plain(self) -> list[int]:
        """The row without the context."""
        return [*self.ids.plain, *self.continuation]

    @property
    def position_ids(self) -> list[int]:
        """The position of each token of :attr:`plain`."""
        gap = (0, len(self.ids.context))
        return list(position_ids(self.ids, gap, self.positions, n_more=len(self.continuation)))


def read_passage(
    loaded: LoadedModel,
    sites: Sequence[Site],
    ids: Ids,
    n_more: int,
    positions: Positions,
    on_token: Callable[[], object] = lambda: None,
) -> Passage:
    """The passage of ``ids`` with ``n_more`` tokens after it, fewer where the model ends the text.

    ``on_token`` is called before each token and may raise to stop.
    """
    cache = KVCache()
    first = forward_states(loaded.model, sites, ids.full, len(ids.query), cache)
    return _read(loaded, sites, cache, ids, first, n_more, positions, on_token)


def _read(
    loaded: LoadedModel,
    sites: Sequence[Site],
    cache: KVCache,
    ids: Ids,
    first: tuple[Float[Tensor, " vocabulary"], States],
    n_more: int,
    positions: Positions,
    on_token: Callable[[], object],
) -> Passage:
    """The passage whose query is the last in ``cache`` and has the logits and states ``first``."""
    continuation: list[int] = []
    logits, parts = [first[0]], [first[1]]
    for _ in range(n_more):
        on_token()
        token = int(logits[-1].argmax())
        if token in stop_tokens(loaded):
            break
        continuation.append(token)
        next_logits, states = forward_states(loaded.model, sites, [token], 1, cache)
        logits.append(next_logits)
        parts.append(states)
    return Passage(ids, tuple(continuation), States.join(parts), torch.stack(logits), positions)


@dataclass
class PassageReader:
    """Reads passages of many queries after one context, which runs once: each query continues a copy of its cache."""

    loaded: LoadedModel
    sites: Sequence[Site]
    positions: Positions
    n_queries: int
    """The number of queries; up to two are read whole, as a copy of the cache would save a single pass."""
    start: tuple[int, ...] = ()
    """The row of tokens that is in ``cache``."""
    cache: KVCache = field(default_factory=KVCache)

    def read(self, ids: Ids, n_more: int, on_token: Callable[[], object] = lambda: None) -> Passage:
        """The passage of ``ids``, see :func:`read_passage`."""
        start = (*ids.prefix, *ids.context)
        if not start or self.n_queries <= 2:
            return read_passage(self.loaded, self.sites, ids, n_more, self.positions, on_token)
        on_token()
        if self.start != start:
            self.start, self.cache = start, KVCache()
            forward(self.loaded.model, start, self.cache)
        cache = deepcopy(self.cache)
        first = forward_states(self.loaded.model, self.sites, ids.query, len(ids.query), cache)
        return _read(self.loaded, self.sites, cache, ids, first, n_more, self.positions, on_token)


def in_other_context(
    loaded: LoadedModel, sites: Sequence[Site], passage: Passage, context: tuple[int, ...]
) -> Passage:
    """``passage`` with the states of its tokens in another context."""
    row = [*replace(passage.ids, context=context).full, *passage.continuation]
    n = len(passage.ids.query) + len(passage.continuation)
    _, states = forward_states(loaded.model, sites, row, n)
    return replace(passage, targets=states)


def logits_without_context(loaded: LoadedModel, passage: Passage) -> Float[Tensor, "tokens vocabulary"]:
    """Logits after the query's last token and each of the continuation, without the context; attached patches act."""
    n = len(passage.plain)
    keep = torch.arange(n - 1 - len(passage.continuation), n)
    return forward(loaded.model, passage.plain, position_ids=passage.position_ids, logits_to_keep=keep)
