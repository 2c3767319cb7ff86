"""How a patch is made, chosen by how it does on each calibration query when that is left out.

Enters: a spec and passages that were read. Leaves: a :class:`Choice`. From where *compile* begins one thing is varied
after the other: ridge, rank, ε, components, layers, strength. Of all that was tried, that of least collateral is taken
which is as good as the best to within chance, see :func:`least_collateral`. What is tried depends on the numbers alone,
unless the time ends first.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from types import MappingProxyType

from msgspec.structs import replace as with_changes

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.compile.leaving_out import LeftOutTrials, Trial
from icltui.engine.metric.background import read_background
from icltui.engine.patch.alpha_search import with_alpha
from icltui.engine.patch.build import BuiltPatch, PatchSpec, fitted_tokens
from icltui.engine.patch.calibration import Passage
from icltui.engine.patch.collateral import read_unrelated
from icltui.values import ChoicePoint, CollateralSummary, LeaveOneOut
from icltui.values.errors import BadInput, EngineError

RIDGE_FACTORS, RANK_FACTORS, EPSILON_FACTORS = (1 / 3, 3.0, 10.0, 30.0), (0.5, 4), (0.1, 10.0)
STRENGTHS = (0.8, 0.9, 1.1)
MOST_LOST = 1
"""Left-out queries whose first token may be another than with the context, beyond those of the way with fewest."""
MOST_ERRORS = 1.0
"""Standard errors of the mean difference of left-out KL that a way may be above the best."""
N_TOKENS = 512
"""Of the unrelated text that ways are compared on; the chosen one is measured on more."""
N_REFITS = 2
"""Queries that the chosen patch is made anew without, to say what the closed form leaves out."""


@dataclass(frozen=True)
class Choice:
    """The patch at its strength, and what is known of it before any unseen query."""

    built: BuiltPatch
    leave_one_out: LeaveOneOut
    collateral: CollateralSummary | None
    notes: tuple[str, ...] = ()


def choose(
    spec: PatchSpec,
    own: Passage,
    calibration: Sequence[Passage],
    *,
    pinned: Sequence[str] = (),
    budget: float = 60.0,
    on_progress: ProgressCallback = ignore_progress,
    on_point: Callable[[ChoicePoint], object] = lambda _point: None,
) -> Choice:
    """The patch of the ``calibration`` passages; what is not ``pinned`` is chosen within ``budget`` seconds.

    The first way is tried whatever the budget.

    Raises:
        BadInput: no patch can be made of these passages.
    """
    spec.metrics(on_progress)  # so that no way is charged for reading the ordinary text
    background = spec.background or read_background(spec.loaded, spec.recipe.background)
    unrelated = read_unrelated(spec.loaded, background, on_progress, N_TOKENS)
    trials = LeftOutTrials(own, calibration, unrelated, spec.sites)
    search = _Search(trials, budget, on_progress, on_point)
    best = search.run(_first(spec, calibration, pinned), pinned)
    collateral = read_unrelated(spec.loaded, background, on_progress).summarize(best.built, on_progress)
    n_refits = N_REFITS if best.r and search.has_time(N_REFITS) else 0
    leave_one_out = trials.summarize(best, search.winners, n_refits)
    return Choice(best.built, leave_one_out, collateral, tuple(search.notes))


@dataclass
class _Search:
    """One thing varied after the other, until the budget ends."""

    trials: LeftOutTrials
    budget: float
    on_progress: ProgressCallback
    on_point: Callable[[ChoicePoint], object]
    winners: list[Trial] = field(default_factory=list)
    """What each step ended with."""
    notes: list[str] = field(default_factory=list)
    start: float = field(default_factory=time.perf_counter)

    def run(self, first: PatchSpec, pinned: Sequence[str]) -> Trial:
        """The best of what is tried, at its strength."""
        alpha = first.recipe.alpha
        self.attempt("start", _Way(first, (1.0 if isinstance(alpha, str) else float(alpha),)))
        best = self.end_step()
        for step, ways in STEPS.items():
            if step not in pinned and best.r:
                self.vary(step, ways(best.built.spec), best.built.alpha)
                best = self.end_step()
        if isinstance(alpha, str):
            self.attempt("alpha", _Way(best.built.spec, (with_alpha(best.built, self.on_progress).alpha,)))
            self.winners.append(self.trials.done[-1])
        return self.winners[-1]

    def vary(self, step: str, ways: Iterator["_Way"], alpha: float) -> None:
        """Try ``ways`` while there is time; one that gives no patch, or no numbers, is passed over."""
        for way in ways:
            if not self.has_time(1 + N_REFITS):
                if not self.notes:
                    self.notes.append(
                        f"the choice ended at its budget of {self.budget:g} s after {len(self.trials.done)} ways, when "
                        f"{step} was varied: --budget gives it longer"
                    )
                return
            with suppress(BadInput, EngineError):
                self.attempt(step, way if way.strengths else replace(way, strengths=(alpha,)))

    def attempt(self, step: str, way: "_Way") -> None:
        """Try one way, and tell of it."""
        self.on_progress(f"trying ways to make the patch: {step}", len(self.trials.done), 0)
        for trial in self.trials.run(step, way.spec, way.strengths):
            self.on_point(trial.point)

    def end_step(self) -> Trial:
        """The best of all so far."""
        best = least_collateral(self.trials.done)
        self.winners.append(best)
        return best

    def has_time(self, n: int = 1) -> bool:
        """Whether ``n`` more ways can be tried."""
        slowest = max(trial.seconds for trial in self.trials.done)
        return time.perf_counter() - self.start + n * slowest <= self.budget


def least_collateral(trials: Sequence[Trial]) -> Trial:
    """The trial of least collateral among those as good as the best.

    First those with too few left-out queries that begin as with the context go, see :data:`MOST_LOST`. Of the others
    that of least left-out KL is the best, and one is as good whose KL is larger by a standard error at most (the
    one-standard-error rule of Breiman et al. 1984). The error is that of the differences, query by query, as queries
    differ more than ways do; a median would not see the few queries that a way loses.
    """
    known = [trial for trial in trials if trial.r]
    if not known:
        return trials[0]
    fewest = max(trial.n_agreeing for trial in known) - MOST_LOST
    keeping = [trial for trial in known if trial.n_agreeing >= fewest]
    best = min(keeping, key=lambda trial: sum(trial.kls))
    return min((trial for trial in keeping if _is_as_good(trial, best)), key=lambda trial: trial.price)


def _is_as_good(trial: Trial, best: Trial) -> bool:
    """Whether its left-out KL is above that of ``best`` by chance alone."""
    worse = [ours - theirs for ours, theirs in zip(trial.kls, best.kls, strict=True)]
    return fmean(worse) <= MOST_ERRORS * stdev(worse) / math.sqrt(len(worse))


@dataclass(frozen=True)
class _Way:
    """A spec to try, at one or several strengths; none: at that of the best so far."""

    spec: PatchSpec
    strengths: tuple[float, ...] = ()


def _first(spec: PatchSpec, calibration: Sequence[Passage], pinned: Sequence[str]) -> PatchSpec:
    """Where the choice begins: a rank that was not given is at most that of the tokens."""
    rank = spec.recipe.rank
    if rank is None or "rank" in pinned:
        return spec
    n_tokens = sum(part.n_tokens for part in fitted_tokens(spec, calibration[0], calibration))
    width = int(calibration[0].targets.z.shape[-1])
    return _with(spec, rank=min(rank, n_tokens, width))


def _with(spec: PatchSpec, **changes: object) -> PatchSpec:
    return replace(spec, recipe=with_changes(spec.recipe, **changes))


def _ridges(spec: PatchSpec) -> Iterator[_Way]:
    for factor in RIDGE_FACTORS:
        yield _Way(_with(spec, ridge=spec.recipe.ridge * factor))


def _ranks(spec: PatchSpec) -> Iterator[_Way]:
    if spec.recipe.rank is not None:
        for factor in RANK_FACTORS:
            yield _Way(_with(spec, rank=max(1, int(spec.recipe.rank * factor))))


def _epsilons(spec: PatchSpec) -> Iterator[_Way]:
    if spec.recipe.metric == "ordinary":
        for factor in EPSILON_FACTORS:
            yield _Way(_with(spec, epsilon=spec.recipe.epsilon * factor))


def _components(spec: PatchSpec) -> Iterator[_Way]:
    if spec.recipe.components == "both":
        yield _Way(_with(spec, components="shift"))


def _layers(spec: PatchSpec) -> Iterator[_Way]:
    """Without the lowest sixth, and without the highest."""
    n = max(1, len(spec.sites) // 6)
    for at in (slice(n, None), slice(None, -n)):
        if spec.sites[at]:
            yield _Way(replace(spec, sites=spec.sites[at]))


def _strengths(spec: PatchSpec) -> Iterator[_Way]:
    yield _Way(spec, STRENGTHS)


STEPS: Mapping[str, Callable[[PatchSpec], Iterator[_Way]]] = MappingProxyType(
    {
        "ridge": _ridges,
        "rank": _ranks,
        "epsilon": _epsilons,
        "components": _components,
        "layers": _layers,
        "alpha": _strengths,
    }
)
"""What is varied, in this order, unless it was given."""
