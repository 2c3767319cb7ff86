"""What contexts in one patch do to each other, measured on each one's own queries and on unrelated text.

Enters: the contexts, with patches that were made without the queries of the test. Leaves: a
:class:`~icltui.values.JoinedContext` of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.compile.join_contexts import ContextPart
from icltui.engine.compile.score_queries import recovered
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.patch.calibration import Passage, logits_without_context
from icltui.engine.patch.decoding import acting
from icltui.engine.patch.evaluate import ScoreSums, TokenSpan, score
from icltui.engine.patch.patch import HeldPatch
from icltui.values import JoinedContext


@dataclass(frozen=True)
class PatchesToCompare:
    """The patch of each context alone, and both ways to make one of them."""

    alone: Sequence[HeldPatch]
    joined: HeldPatch
    concatenated: HeldPatch


def compare_contexts(
    parts: Sequence[ContextPart],
    patches: PatchesToCompare,
    collaterals: Sequence[float | None],
    on_progress: ProgressCallback,
) -> tuple[JoinedContext, ...]:
    """Each context on its own queries, with every patch; ``collaterals``: those of each context's own adapter."""
    return tuple(
        _compare(parts, patches, number, collateral, on_progress)
        for number, collateral in enumerate(collaterals)
    )


def _compare(
    parts: Sequence[ContextPart],
    patches: PatchesToCompare,
    number: int,
    collateral: float | None,
    on_progress: ProgressCallback,
) -> JoinedContext:
    part, tests = parts[number], []
    for done, passage in enumerate(parts[number].tested):
        on_progress(f"testing the queries of {part.source.name}", done, len(part.tested))
        tests.append(_Query(part, passage))
    told = [query for query in tests if query.is_changed]
    others = [[query.under(patch) for query in told] for patch in patches.alone]
    return JoinedContext(
        name=part.source.name,
        n_fitted=len(part.passages.calibration) or 1,
        is_unseen=part.is_unseen,
        n_queries=len(told),
        n_unchanged=len(tests) - len(told),
        r_alone=_median(others[number]),
        r_joined=_median([query.under(patches.joined) for query in told]),
        r_concatenated=_median([query.under(patches.concatenated) for query in told]),
        r_others=tuple(map(_median, others)),
        kl_others=tuple(map(_mean_moved, others)),
        collateral=collateral,
    )


@dataclass(frozen=True)
class _Effect:
    """What a patch does on one query."""

    r: float | None
    moved: ScoreSums
    """Against the model without a patch."""


class _Query:
    """A query of the test, as it is answered without a patch."""

    def __init__(self, part: ContextPart, passage: Passage) -> None:
        self.loaded, self.passage = part.spec.loaded, passage
        self.plain = self._logits()
        self.sums = score(TokenSpan(passage, 0), self.plain)
        self.is_changed = recovered(self.sums, self.sums) is not None

    def under(self, patch: HeldPatch) -> _Effect:
        with acting(patch):
            logits = self._logits()
        bare = TokenSpan(replace(self.passage, logits=self.plain), 0)
        return _Effect(recovered(score(TokenSpan(self.passage, 0), logits), self.sums), score(bare, logits))

    def _logits(self) -> Float[Tensor, "tokens vocabulary"]:
        return logits_without_context(self.loaded, self.passage)


def _median(outcomes: Sequence[_Effect]) -> float | None:
    known = [outcome.r for outcome in outcomes if outcome.r is not None]
    return median(known) if known else None


def _mean_moved(outcomes: Sequence[_Effect]) -> float | None:
    n = sum(outcome.moved.n for outcome in outcomes)
    return finite_or_none(sum(outcome.moved.kl for outcome in outcomes) / n) if n else None
