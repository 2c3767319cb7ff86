"""One patch put to the test: its row of the exam.

Enters: an examinee, the questions, and unrelated text. Leaves: an :class:`~icltui.values.ExamRow`.
"""

from collections.abc import Mapping, Sequence

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.exam.bootstrap import median, median_interval
from icltui.engine.exam.examinee import Examinee, held_patch
from icltui.engine.exam.prior_margin import by_prior
from icltui.engine.exam.questions import Questions, each_answer, judge
from icltui.engine.exam.rank_curve import rank_curve
from icltui.engine.exam.score import forced_logits, kl_sum, r_of
from icltui.engine.hooks.site import Site
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.patch.collateral import SMALL, UnrelatedText
from icltui.engine.patch.decoding import acting
from icltui.engine.patch.patch import HeldPatch, LayerPatch
from icltui.values import ExamAnswer, ExamPatch, ExamRow, RankPoint

FLOAT_BYTES = 4


def answer_all(questions: Questions, examinee: Examinee) -> tuple[ExamAnswer, ...]:
    """Every question through the patch."""
    found = each_answer(questions.loaded, questions.passages, examinee, questions.n_answer)
    made = []
    for item, (passage, answer, logits) in zip(questions.items, found, strict=True):
        kl = kl_sum(passage, logits, questions.n_scored)
        made.append(
            ExamAnswer(
                kl=finite_or_none(kl),
                r=r_of(kl, item.record.kl_plain, item.record.n_tokens),
                text=answer.text(questions.loaded),
                right=judge(questions.loaded, item.wanted, item.record.answer, answer),
            )
        )
    return tuple(made)


def row_of(
    name: ExamPatch, examinee: Examinee, questions: Questions, said: tuple[ExamAnswer, ...], seed: int
) -> ExamRow:
    """The row, but for what is not asked by a question: collateral, ranks."""
    rs, records = [answer.r for answer in said if answer.r is not None], questions.records
    interval = median_interval(rs, seed)
    both = zip(records, said, strict=True)
    return ExamRow(
        patch=name,
        made=examinee.made,
        r_median=interval.median,
        r_low=interval.low,
        r_high=interval.high,
        r_mean=sum(rs) / len(rs) if rs else None,
        n_queries=len(rs),
        n_tokens=sum(record.n_tokens for record in records),
        right=sum(answer.right for answer in said),
        right_context=sum(record.right_context for record in records),
        right_plain=sum(record.right_plain for record in records),
        right_of_context=sum(record.right_context and answer.right for record, answer in both),
        seconds=examinee.seconds,
        floats=examinee.floats,
        bytes=None if examinee.floats is None else FLOAT_BYTES * examinee.floats,
        rank=examinee.rank,
        by_prior=by_prior([record.prior_margin for record in records], said),
        queries=said,
    )


def cut_medians(questions: Questions, examinee: Examinee, sites: Sequence[Site]) -> tuple[RankPoint, ...]:
    """Median R of the held patch at lower ranks."""

    def r_median(layers: Mapping[int, LayerPatch]) -> float | None:
        cut = held_patch(questions.loaded, HeldPatch(_patched(sites, layers), layers))
        logits = (
            one for _, some in forced_logits(questions.loaded, questions.passages, cut.acting) for one in some
        )
        rs = (
            r_of(kl_sum(item.passage, one, questions.n_scored), item.record.kl_plain, item.record.n_tokens)
            for item, one in zip(questions.items, logits, strict=True)
        )
        return median([r for r in rs if r is not None])

    return rank_curve(examinee.layers, r_median)


def collateral_of(
    examinee: Examinee, sites: Sequence[Site], text: UnrelatedText, on_progress: ProgressCallback
) -> dict[str, float | None]:
    """What the held patch does to unrelated text, and the same of second order where it has a strength.

    Of second order it is the KL at a tenth of the strength, times 100, as
    :meth:`icltui.engine.patch.collateral.UnrelatedText.summarize` says.
    """
    found = {"collateral_kl": finite_or_none(text.collateral(examinee.acting([]), on_progress))}
    if examinee.layers:
        patch = HeldPatch(_patched(sites, examinee.layers), examinee.layers).at(SMALL)
        small = text.collateral(acting(patch), on_progress)
        found["collateral_predicted"] = finite_or_none(small / SMALL**2)
    return found


def _patched(sites: Sequence[Site], layers: Mapping[int, LayerPatch]) -> list[Site]:
    """The sites at which the patch acts: a choice may leave some out."""
    return [site for site in sites if site.layer in layers]
