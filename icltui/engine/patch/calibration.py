"""A query in its context with the model's own continuation: what a held patch is fitted and tested on.

Enters: ids, and how far to go on. Leaves: a :class:`Passage`: the continuation, chosen greedily with the context there,
the contextual states of query and continuation, and the contextual logits after each of these tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.capture import States
from icltui.engine.hooks.site import Site
from icltui.engine.measure.forward import KVCache, forward, forward_states, position_ids
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.decoding import stop_tokens
from icltui.engine.prompts.tokenize import Ids
from icltui.values.prompt import Positions

CUT = 1e-5
"""Share of the largest logit that a cache which was cut back may change."""
_UNCUTTABLE = (AttributeError, NotImplementedError, RuntimeError, ValueError, TypeError, IndexError)
"""The errors of caches that cannot be cut back."""


@dataclass(frozen=True)
class Passage:
    """One query in its context, and the contextual text after it."""

    ids: Ids
    continuation: tuple[int, ...]
    targets: States
    """Contextual states of the query's tokens and of the continuation's, in this order."""
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
    """The passage of ``ids`` with ``n_more`` tokens after it, fewer where the model ends the text itself.

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
    """Reads passages of many queries after one context, which runs once where the model's cache can be cut back.

    Whether it can is tried on the first query: read again after the cut cache it must have the same logits.
    """

    loaded: LoadedModel
    sites: Sequence[Site]
    positions: Positions
    n_queries: int
    """How many will be read: with two, the trial would cost what a cut cache saves."""
    cache: KVCache | None = None
    """The context's; None where there is none yet, or it cannot be cut."""
    start: tuple[int, ...] = ()
    """The tokens in ``cache``."""
    is_cuttable: bool = True

    def read(self, ids: Ids, n_more: int, on_token: Callable[[], object] = lambda: None) -> Passage:
        """As :func:`read_passage`."""
        start = (*ids.prefix, *ids.context)
        if not self.is_cuttable or not start or self.n_queries <= 2:
            return read_passage(self.loaded, self.sites, ids, n_more, self.positions, on_token)
        on_token()
        if self.cache is None or self.start != start:
            self.cache, self.start = KVCache(), start
            forward(self.loaded.model, start, self.cache)
            if not self._is_cut_right(self.cache, ids):
                self.cache, self.is_cuttable = None, False
                return read_passage(self.loaded, self.sites, ids, n_more, self.positions, on_token)
        first = forward_states(self.loaded.model, self.sites, ids.query, len(ids.query), self.cache)
        passage = _read(self.loaded, self.sites, self.cache, ids, first, n_more, self.positions, on_token)
        try:
            self.cache.drop(len(ids.query) + len(passage.continuation))
        except _UNCUTTABLE:  # this query reached over the edge of a window that the first did not reach
            self.cache, self.is_cuttable = None, False
        return passage

    def _is_cut_right(self, cache: KVCache, ids: Ids) -> bool:
        """Whether the query gives the same logits after ``cache`` was cut back as before."""
        row = [*ids.query, *ids.query[:1]]  # at least two tokens, so that a window that they push shows
        try:
            once = forward(self.loaded.model, row, cache)
            cache.drop(len(row))
            again = forward(self.loaded.model, row, cache)
            cache.drop(len(row))
        except _UNCUTTABLE:
            return False
        return bool((once - again).abs().max() <= CUT * once.abs().max())


def in_other_context(
    loaded: LoadedModel, sites: Sequence[Site], passage: Passage, context: tuple[int, ...]
) -> Passage:
    """The passage with the states that its tokens have in another context."""
    row = [*replace(passage.ids, context=context).full, *passage.continuation]
    n = len(passage.ids.query) + len(passage.continuation)
    _, states = forward_states(loaded.model, sites, row, n)
    return replace(passage, targets=states)


def logits_without_context(loaded: LoadedModel, passage: Passage) -> Float[Tensor, "tokens vocabulary"]:
    """Logits after the query's last token and each of the continuation, without the context; attached patches act."""
    n = len(passage.plain)
    keep = torch.arange(n - 1 - len(passage.continuation), n)
    return forward(loaded.model, passage.plain, position_ids=passage.position_ids, logits_to_keep=keep)
