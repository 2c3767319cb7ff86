"""Patches of one context with their answers, whichever job tested them: the rows of the exam and the compilation.

An exam and a compilation enter; lines to draw leave.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from icltui.values import Compilation, CompiledQuery, Exam, ExamAnswer, ExamQuery, ExamRow
from icltui.values.exam import EXAM_TITLES

COMPILED = "compiled, chosen"


@dataclass(frozen=True, kw_only=True)
class AnswerLine:
    """One query, answered with the context, through the patch, and without either."""

    query: str
    answer: str | None = None
    """The true answer; None where the contextual one counts as right."""
    context: str
    patched: str
    plain: str
    is_right: bool
    """Whether the answer through the patch is right."""
    is_context_right: bool
    is_plain_right: bool
    kl: float | None
    """Mean KL(context ‖ patched) a token, in nats."""
    kl_plain: float | None
    """The same without a patch."""
    r: float | None
    is_fitted: bool = False
    """Whether the patch was made from the query."""


@dataclass(frozen=True, kw_only=True)
class PatchLine:
    """One patch."""

    title: str
    reason: str = ""
    """Why there is none; empty where there is one."""
    r_median: float | None = None
    r_low: float | None = None
    r_high: float | None = None
    right: int = 0
    n_queries: int = 0
    collateral: float | None = None
    """Mean KL(model ‖ patched model) a token of unrelated text, in nats."""
    seconds: float | None = None
    floats: int | None = None
    rank: int | None = None
    answers: tuple[AnswerLine, ...] = ()


def patch_lines(exam: Exam | None, compilation: Compilation | None) -> tuple[PatchLine, ...]:
    """The compiled patch, then every row of the exam."""
    compiled = [_compiled(compilation)] if compilation else []
    examined = [_examined(exam, row) for row in exam.rows] if exam else []
    return (*compiled, *examined)


def tested_with(exam: Exam | None, compilation: Compilation | None) -> str:
    """What the patches were tested with: ``12 unseen queries, 12 fitted · right with context 12, without 3``."""
    if exam is None:
        if compilation is None:
            return ""
        unseen = compilation.unseen.n_queries if compilation.unseen else 0
        return _tested(unseen, compilation.calibration.n_queries)
    words = _tested(len(exam.queries), len(exam.calibration))
    context, plain = (
        sum(getattr(query, f"right_{name}") for query in exam.queries) for name in ("context", "plain")
    )
    return f"{words} · right with context {context}, without {plain}"


def _tested(n_unseen: int, n_fitted: int) -> str:
    return f"{n_unseen} unseen quer{'y' if n_unseen == 1 else 'ies'}, {n_fitted} fitted"


def _compiled(made: Compilation) -> PatchLine:
    unseen, refusal = made.unseen, "refused, " if made.refused else ""
    return PatchLine(
        title=f"{refusal}{COMPILED}",
        r_median=unseen.r_median if unseen else made.leave_one_out.r_median,
        right=unseen.n_agreeing if unseen else 0,
        n_queries=unseen.n_queries if unseen else 0,
        collateral=made.collateral.kl if made.collateral else None,
        seconds=made.seconds,
        rank=made.chosen.rank,
        answers=tuple(map(_compiled_answer, made.queries)),
    )


def _compiled_answer(query: CompiledQuery) -> AnswerLine:
    return AnswerLine(
        query=query.query,
        context=query.context,
        patched=query.patched,
        plain=query.plain,
        is_right=query.agrees,
        is_context_right=True,
        is_plain_right=query.agrees_plain,
        kl=query.kl,
        kl_plain=query.kl_plain,
        r=query.r,
        is_fitted=query.role == "calibration",
    )


def _examined(exam: Exam, row: ExamRow) -> PatchLine:
    return PatchLine(
        title=EXAM_TITLES[row.patch],
        reason=row.reason,
        r_median=row.r_median,
        r_low=row.r_low,
        r_high=row.r_high,
        right=row.right,
        n_queries=len(exam.queries),
        collateral=row.collateral_kl,
        seconds=row.seconds,
        floats=row.floats,
        rank=row.rank,
        answers=tuple(_examined_answers(exam, row)),
    )


def _examined_answers(exam: Exam, row: ExamRow) -> Iterator[AnswerLine]:
    for query, answer in zip(exam.queries, row.queries, strict=False):
        yield _examined_answer(query, answer)


def _examined_answer(query: ExamQuery, answer: ExamAnswer) -> AnswerLine:
    n = max(query.n_tokens, 1)
    return AnswerLine(
        query=query.query,
        answer=query.answer,
        context=query.context,
        patched=answer.text,
        plain=query.plain,
        is_right=answer.right,
        is_context_right=query.right_context,
        is_plain_right=query.right_plain,
        kl=None if answer.kl is None else answer.kl / n,
        kl_plain=None if query.kl_plain is None else query.kl_plain / n,
        r=answer.r,
    )
