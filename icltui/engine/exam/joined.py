"""Two contexts in one patch: solved together, and put to the test on the queries of both.

Enters: the material and the questions of two contexts. Leaves: the row of the joined patch, with what each context
loses by sharing it; and what a patch of one context does on the other's queries.
"""

from dataclasses import dataclass, replace

from msgspec.structs import replace as with_changes

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.exam.bootstrap import median_interval
from icltui.engine.exam.examine import answer_all
from icltui.engine.exam.examinee import Examinee, Material
from icltui.engine.exam.questions import Questions
from icltui.engine.exam.ways import WAYS
from icltui.values import ScoresOnOther


@dataclass(frozen=True)
class OtherMaterial:
    """The second context."""

    material: Material
    questions: Questions


def join(ours: Material, other: OtherMaterial, on_progress: ProgressCallback) -> Examinee:
    """One patch of all calibration queries, each with the states of its own context, by our recipe and layers."""
    theirs = other.material
    both = replace(
        ours,
        calibration=(*ours.calibration, *theirs.calibration),
        seconds=ours.seconds + theirs.seconds,
    )
    return WAYS["ordinary"](both, on_progress)


def scores_on_other(examinee: Examinee, other: OtherMaterial, seed: int) -> ScoresOnOther:
    """The patch on the other context's queries, against that context."""
    said = answer_all(other.questions, examinee)
    rs = [answer.r for answer in said if answer.r is not None]
    interval = median_interval(rs, seed)
    return ScoresOnOther(
        r_median=interval.median,
        r_low=interval.low,
        r_high=interval.high,
        n_queries=len(rs),
        right=sum(answer.right for answer in said),
    )


def with_interference(
    scores: ScoresOnOther, ours: Material, other: OtherMaterial, seed: int, on_progress: ProgressCallback
) -> ScoresOnOther:
    """``scores`` of the joined patch beside those of the patch of the other context alone, by the same recipe."""
    theirs = replace(other.material, ordinary=ours.ordinary)
    alone = scores_on_other(WAYS["ordinary"](theirs, on_progress), other, seed).r_median
    return with_changes(scores, r_alone=alone, interference=lost(alone, scores.r_median))


def lost(alone: float | None, together: float | None) -> float | None:
    """R lost by sharing a patch."""
    return None if alone is None or together is None else alone - together
