"""An exam as text: JSON and CSV for scripts; for people one line a patch, then the queries through one of them.

No text of a token is passed on to a terminal as it is.
"""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table

from icltui.report.json_document import as_json, provenance
from icltui.report.model_notes import model_lines
from icltui.text.escape import token_text, visible
from icltui.text.spreadsheet import Cell, write_csv
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import EXAM_TITLES, Exam, ExamRow, ModelInfo
from icltui.values.prompt import Prompt

_CSV_FIELDS = tuple(
    name for name in ExamRow.__struct_fields__ if name not in ("ranks", "by_prior", "other", "queries")
)
"""A row's fields that are one cell."""


def exam_json(model: ModelInfo, prompt: Prompt, exam: Exam) -> str:
    """Every number of every row, and each query's answers."""
    fields = {name: getattr(exam, name) for name in Exam.__struct_fields__}
    return as_json({**provenance(model, prompt), **fields})


def exam_csv(exam: Exam) -> str:
    """One line for each row; :func:`icltui.text.spreadsheet.read_csv` reads it."""
    lines: list[Sequence[Cell]] = [_CSV_FIELDS]
    for row in exam.rows:
        values = (getattr(row, name) for name in _CSV_FIELDS)
        lines.append([visible(value) if isinstance(value, str) else value for value in values])
    return write_csv(lines)


_WIDE = 105
"""Columns of a terminal that has room for the whole table."""
_WIDE_ALONE = ("predicted", "90 % at", "s")
"""What a narrower one leaves out, so that the patches keep their names; JSON and CSV have it."""


def exam_text(model: ModelInfo, exam: Exam, width: int = 110) -> str:
    """The rows, then the queries through the row that says most."""
    return render([*model_lines(model), *exam_parts(exam, width)], width)


def exam_parts(exam: Exam, width: int = _WIDE) -> list[RenderableType]:
    """Sentences and tables, each table after its title."""
    parts: list[RenderableType] = ["\n".join(_heading(exam)), _rows(exam, width)]
    if lines := "\n".join(_after(exam)):
        parts.append(lines)
    row = shown_row(exam)
    if row is None:
        return parts
    parts += [f"The queries through the patch {EXAM_TITLES[row.patch]}", _queries(exam, row)]
    if row.by_prior:
        title = "The same by the prior's strength, log p of the model's own answer less that of the context's"
        parts += [title, _by_prior(row)]
    return parts


def shown_row(exam: Exam) -> ExamRow | None:
    """The row whose queries are shown: what an adapter would hold, else the first that was answered."""
    answered = {row.patch: row for row in exam.rows if row.queries}
    first = (answered[name] for name in ("ordinary", "plain", "joined") if name in answered)
    return next(first, next(iter(answered.values()), None))


def right_words(exam: Exam) -> str:
    """What counts as right."""
    return {
        "context": "the answer with the context, token by token",
        "file": "the answer in the file of queries",
        "both": "the answer in the file of queries, where it has one, else that with the context",
    }[exam.answers_from]


def _heading(exam: Exam) -> Iterator[str]:
    n_tokens = sum(query.n_tokens for query in exam.queries)
    n_fitted = len(exam.calibration)
    yield (
        f"Every patch of one context on {len(exam.queries)} unseen queries ({n_tokens} tokens), made from "
        f"{n_fitted} other{'' if n_fitted == 1 else 's'}"
    )
    yield "R = 1 − KL(context ‖ patched) / KL(context ‖ none): 1 as with the context, 0 as without, below 0 it harms"
    right = sum(query.right_context for query in exam.queries)
    plain = sum(query.right_plain for query in exam.queries)
    yield f"right: {right_words(exam)}; {right} right with the context, {plain} without it"


def _rows(exam: Exam, width: int) -> Table:
    titles = ("R", "95 %", "mean R", "right", "collateral", "predicted", "rank", "90 % at", "s", "numbers")
    shown = [k for k, title in enumerate(("patch", *titles)) if width >= _WIDE or title not in _WIDE_ALONE]
    columns = [words("patch"), *numbers(*titles)]
    cells = (_cells(exam, row) for row in exam.rows)
    return table([columns[k] for k in shown], ([row[k] for k in shown] for row in cells))


def _cells(exam: Exam, row: ExamRow) -> list[str]:
    title = EXAM_TITLES[row.patch]
    if row.reason:
        return [title, *["·"] * 10]
    interval = "·" if row.r_low is None else f"{_r(row.r_low)} … {_r(row.r_high)}"
    return [
        title,
        _r(row.r_median),
        interval,
        _r(row.r_mean),
        f"{row.right}/{len(exam.queries)}",
        number(row.collateral_kl),
        number(row.collateral_predicted),
        "·" if row.rank is None else str(row.rank),
        "·" if row.rank_90 is None else str(row.rank_90),
        f"{row.seconds:.1f}",
        "·" if row.floats is None else f"{row.floats:,}",
    ]


def _after(exam: Exam) -> Iterator[str]:
    """What the table cannot hold: patches that were not made, other contexts, what to know."""
    for row in exam.rows:
        if row.reason:
            yield f"no {EXAM_TITLES[row.patch]}: {visible(row.reason)}"
    for row in exam.rows:
        if (other := row.other) is not None:
            alone = "" if other.r_alone is None else f", {_r(other.r_alone)} by that context's own patch"
            yield (
                f"{EXAM_TITLES[row.patch]}: R {_r(other.r_median)} on the {other.n_queries} unseen queries of the "
                f"other context, {other.right} right{alone}"
            )
        if row.interference is not None:
            yield f"{EXAM_TITLES[row.patch]}: R {_r(row.interference)} lower on this context's own queries"
    if exam.n_without_effect:
        yield f"the context changes nothing on {exam.n_without_effect} queries, which have no R"
    if exam.collateral_tokens:
        yield (
            f"collateral: KL(model ‖ patched model) a token over {exam.collateral_tokens:,} tokens of unrelated text, "
            "in nats"
        )
    yield from (f"note: {visible(note)}" for note in exam.notes)
    if exam.seconds:
        yield f"{exam.seconds:.1f} s in all; intervals from {exam.n_resamples:,} resamples, seed {exam.seed}"


def _r(value: float | None) -> str:
    """R in three decimals: two that are near 1 are told apart."""
    return "·" if value is None else f"{value:.3f}"


def _queries(exam: Exam, row: ExamRow) -> Table:
    has_truth = exam.answers_from != "context"
    texts = ("query", *(["answer"] if has_truth else []), "with context", "patched", "without")
    rows = []
    for query, answer in zip(exam.queries, row.queries, strict=True):
        truth = [token_text(query.answer or "")] if has_truth else []
        rows.append(
            [
                token_text(query.query),
                *truth,
                *map(token_text, (query.context, answer.text, query.plain)),
                "yes" if answer.right else "no",
                _r(answer.r),
                *map(number, (answer.kl, query.kl_plain)),
            ]
        )
    return table([*map(words, texts), words("right"), *numbers("R", "KL", "KL without")], rows)


def _by_prior(row: ExamRow) -> Table:
    return table(
        numbers("from", "to", "queries", "R", "right"),
        (
            (
                *map(number, (group.lowest, group.highest)),
                str(group.n_queries),
                _r(group.r_median),
                f"{group.right}/{group.n_queries}",
            )
            for group in row.by_prior
        ),
    )
