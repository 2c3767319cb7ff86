"""A query behind its context with what the model says then: what a held patch is made from, and tested on.

Enters: ids, and how far to go on. Leaves: a :class:`Passage`: the continuation, chosen greedily with the context there,
the contextual states of query and continuation, and the contextual logits behind each of these tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.capture import States
from icltui.engine.lanes import ContextRun, stop_tokens
from icltui.engine.model import LoadedModel
from icltui.engine.run import forward, places
from icltui.engine.site import Site
from icltui.engine.tokens import Ids
from icltui.prompt import Positions


@dataclass(frozen=True)
class Passage:
    """One query in its context, and the contextual text behind it."""

    ids: Ids
    continuation: tuple[int, ...]
    targets: States
    """Contextual states of the query's tokens and of the continuation's, in this order."""
    logits: Float[Tensor, "tokens vocabulary"]
    """Contextual ones, behind the query's last token and behind each of the continuation."""
    positions: Positions

    @property
    def plain(self) -> list[int]:
        """The row without the context."""
        return [*self.ids.plain, *self.continuation]

    @property
    def places(self) -> list[int]:
        """Where each token of :attr:`plain` stands."""
        gap = (0, len(self.ids.context))
        return list(places(self.ids, gap, self.positions, n_more=len(self.continuation)))


def read_passage(
    loaded: LoadedModel,
    sites: Sequence[Site],
    ids: Ids,
    n_more: int,
    positions: Positions,
    told: Callable[[], object] = lambda: None,
) -> Passage:
    """The passage of ``ids`` with ``n_more`` tokens behind it, fewer where the model ends the text itself.

    ``told`` is called before each token and may raise to stop.
    """
    run = ContextRun(loaded.model, sites=sites)
    logits, states = run.states(ids.full, len(ids.query))
    continuation: list[int] = []
    behind, parts = [logits], [states]
    for _ in range(n_more):
        told()
        token = int(behind[-1].argmax())
        if token in stop_tokens(loaded):
            break
        continuation.append(token)
        logits, states = run.states([token], 1)
        behind.append(logits)
        parts.append(states)
    return Passage(ids, tuple(continuation), States.join(parts), torch.stack(behind), positions)


def in_another_context(
    loaded: LoadedModel, sites: Sequence[Site], passage: Passage, context: tuple[int, ...]
) -> Passage:
    """The same tokens, at the same places without a context, with the states that ``context`` gives them."""
    row = [*replace(passage.ids, context=context).full, *passage.continuation]
    n = len(passage.ids.query) + len(passage.continuation)
    _, states = ContextRun(loaded.model, sites=sites).states(row, n)
    return replace(passage, targets=states)


def logits_without(loaded: LoadedModel, passage: Passage) -> Float[Tensor, "tokens vocabulary"]:
    """Logits behind the query's last token and each of the continuation, the context gone; patches act as attached."""
    n = len(passage.plain)
    keep = torch.arange(n - 1 - len(passage.continuation), n)
    return forward(loaded.model, passage.plain, at=passage.places, keep=keep)
