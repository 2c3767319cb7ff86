"""One way to make a patch, tried: how it does on each calibration query when that is left out, and on other text.

Enters: passages that were read, and a recipe's spec. Leaves: :class:`Trial`.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from msgspec.structs import replace as with_changes

from icltui.engine.compile.score_queries import recovered
from icltui.engine.hooks.site import Site
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.patch.build import BuiltPatch, PatchSpec
from icltui.engine.patch.calibration import Passage
from icltui.engine.patch.collateral import UnrelatedText
from icltui.engine.patch.decoding import acting
from icltui.engine.patch.evaluate import ScoreSums, sum_scores
from icltui.engine.patch.leave_one_out import leave_one_out, refit_without
from icltui.values import ChoicePoint, LeaveOneOut

NO_PATCH = 0.0
"""The strength at which a left-out row is one without a patch."""


@dataclass(frozen=True)
class Trial:
    """A patch at its strength, and what is known of it before any unseen query."""

    built: BuiltPatch
    point: ChoicePoint
    scores: tuple[ScoreSums, ...]
    """Each calibration query through the patch made without it."""
    r: tuple[float, ...]
    """R of these, where the context changes something."""
    collateral: float
    """Mean KL per token of unrelated text, in nats."""
    seconds: float
    """What trying it took, other strengths of the same patch included."""

    @property
    def kls(self) -> tuple[float, ...]:
        """KL(context ‖ patched) of each query in nats, summed over its tokens."""
        return tuple(score.kl for score in self.scores)

    @property
    def n_agreeing(self) -> int:
        """Queries after which the most probable token is the contextual one."""
        return sum_scores(self.scores).n_agreeing

    @property
    def price(self) -> float:
        """The collateral, to be compared: more than any where it is no number."""
        return self.collateral if math.isfinite(self.collateral) else math.inf

    @property
    def standard_error(self) -> float:
        """Of the median R, from the median absolute deviation, as a few queries may be far off.

        For a normal distribution the deviation is 1.4826 times it, and the median's error 1.2533 times the mean's.
        """
        middle = median(self.r)
        deviation: float = median(abs(r - middle) for r in self.r)
        return 1.2533 * 1.4826 * deviation / math.sqrt(len(self.r))


@dataclass
class LeftOutTrials:
    """Tries ways to make a patch of the same passages."""

    own: Passage
    passages: Sequence[Passage]
    unrelated: UnrelatedText
    sites: Sequence[Site]
    """Those that the passages' targets are of."""
    plain: tuple[ScoreSums, ...] = ()
    """The queries without a patch, known from the first trial on."""
    done: list[Trial] = field(default_factory=list)

    def run(self, step: str, spec: PatchSpec, strengths: Sequence[float]) -> list[Trial]:
        """The patch of ``spec`` at each of the ``strengths``.

        Raises:
            BadInput: no such patch can be made.
        """
        start = time.perf_counter()
        made = leave_one_out(spec, *self._targets(spec), (*strengths, *(() if self.plain else (NO_PATCH,))))
        self.plain = self.plain or made.scores[NO_PATCH]
        trials = []
        for strength in strengths:
            built = replace(made.built, alpha=strength)
            assert built.patch is not None
            collateral = self.unrelated.collateral(acting(built.patch.at(strength)))
            r, total = self._recovered(made.scores[strength]), sum_scores(made.scores[strength])
            point = ChoicePoint(
                step=step,
                metric=spec.recipe.metric,
                epsilon=spec.recipe.epsilon,
                ridge=spec.recipe.ridge,
                layers=tuple(site.layer for site in spec.sites),
                components=spec.recipe.components,
                rank=spec.recipe.rank,
                cross_fit=spec.recipe.cross_fit,
                alpha=strength,
                r_median=median(r) if r else None,
                kl=finite_or_none(total.kl / total.n),
                collateral=finite_or_none(collateral),
                seconds=(seconds := time.perf_counter() - start),
            )
            trials.append(Trial(built, point, made.scores[strength], r, collateral, seconds))
        self.done += trials
        return trials

    def summarize(self, chosen: Trial, winners: Sequence[Trial], n_refits: int) -> LeaveOneOut:
        """The chosen patch on its queries, each left out; ``n_refits`` of them are also left out of one made anew."""
        ours, theirs, n = sum_scores(chosen.scores), sum_scores(self.plain), len(self.passages)
        numbers = [k * n // n_refits for k in range(n_refits)]
        differences = [
            difference for number in numbers if (difference := self._refit(chosen, number)) is not None
        ]
        return LeaveOneOut(
            r_median=chosen.point.r_median,
            n_queries=len(chosen.r),
            kl=finite_or_none(ours.kl / ours.n),
            kl_plain=finite_or_none(theirs.kl / theirs.n),
            n_harmed=sum(r < 0 for r in chosen.r),
            curve=tuple(
                with_changes(trial.point, chosen=any(trial is winner for winner in winners))
                for trial in self.done
            ),
            standard_error=chosen.standard_error if chosen.r else None,
            n_refits=len(differences),
            refit_difference=max(differences, default=None),
        )

    def _refit(self, chosen: Trial, number: int) -> float | None:
        """|R left out in closed form − R of a patch made anew without the query|."""
        spec, plain = chosen.built.spec, self.plain[number]
        anew = refit_without(spec, *self._targets(spec), number, chosen.built.alpha)
        r, honest = recovered(chosen.scores[number], plain), recovered(anew, plain)
        return None if r is None or honest is None else abs(r - honest)

    def _recovered(self, scores: Sequence[ScoreSums]) -> tuple[float, ...]:
        found = (recovered(ours, plain) for ours, plain in zip(scores, self.plain, strict=True))
        return tuple(r for r in found if r is not None)

    def _targets(self, spec: PatchSpec) -> tuple[Passage, list[Passage]]:
        """The prompt's passage and the calibration's with the contextual states at the spec's layers."""
        begin = self.sites.index(spec.sites[0])
        at = slice(begin, begin + len(spec.sites))
        own, *others = (
            replace(passage, targets=passage.targets.layers(at)) for passage in (self.own, *self.passages)
        )
        return own, others
