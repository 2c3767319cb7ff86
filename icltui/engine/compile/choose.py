"""How a patch is made, chosen by how it does on each calibration query when that is left out.

Enters: a spec and passages that were read. Leaves: a :class:`Choice`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.compile.score_queries import recovered
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.patch.alpha_search import patched_logits, with_alpha
from icltui.engine.patch.build import BuiltPatch, PatchSpec, build_from
from icltui.engine.patch.calibration import Passage, logits_without_context
from icltui.engine.patch.evaluate import TokenSpan, score, sum_scores
from icltui.values import ChoicePoint, CollateralSummary, LeaveOneOut


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
    pinned: Sequence[str] = (),  # noqa: ARG001
    budget: float = 60.0,  # noqa: ARG001
    on_progress: ProgressCallback = ignore_progress,
    on_point: Callable[[ChoicePoint], object] = lambda _point: None,  # noqa: ARG001
) -> Choice:
    """The patch of the ``calibration`` passages; what is not ``pinned`` is chosen within ``budget`` seconds.

    Raises:
        BadInput: no patch can be made of these passages.
    """
    built = with_alpha(build_from(spec, own, calibration), on_progress)
    return Choice(built, _left_out(spec, own, calibration, on_progress), None)


def _left_out(
    spec: PatchSpec, own: Passage, calibration: Sequence[Passage], on_progress: ProgressCallback
) -> LeaveOneOut:
    patched, plain = [], []
    for number, passage in enumerate(calibration):
        on_progress("leaving queries out", number, len(calibration))
        rest = [*calibration[:number], *calibration[number + 1 :]]
        built = build_from(replace(spec, calibration=tuple(one.ids for one in rest)), own, rest)
        span = TokenSpan(passage, 0)
        patched.append(score(span, patched_logits(built, passage)))
        plain.append(score(span, logits_without_context(spec.loaded, passage)))
    r = [known for pair in zip(patched, plain, strict=True) if (known := recovered(*pair)) is not None]
    ours, theirs = sum_scores(patched), sum_scores(plain)
    return LeaveOneOut(
        r_median=median(r) if r else None,
        n_queries=len(r),
        kl=finite_or_none(ours.kl / ours.n),
        kl_plain=finite_or_none(theirs.kl / theirs.n),
        n_harmed=sum(one < 0 for one in r),
    )
