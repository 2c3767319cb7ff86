"""The two tables of the exam as lines: patches, and one patch's answers; which columns a width has room for.

A line of either enters; cells of exact width leave, each with what decides its style.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Generic, TypeVar

from rich.cells import cell_len, chop_cells

from icltui.text.escape import token_text
from icltui.text.spreadsheet import write_tsv
from icltui.text.units import short
from icltui.tui.draw.safe_text import display, fit, number
from icltui.tui.state.exam_table import AnswerLine, PatchLine

Line = TypeVar("Line")
Cells = list[tuple[str, str]]
"""Texts, and for each ``right``, ``wrong``, ``quiet`` or nothing."""
NOTHING = (
    "No exam yet.\n\n"
    "Q  writes the queries: those that a patch is fitted on, and held-out ones to test it with.\n"
    "W  compiles this context into one patch: chosen by leaving out each query in turn, then tested.\n"
    "X  examines every way from this context to weights on the held-out queries."
)

_WIDEST = 104
"""Cells of a patch with all its numbers: with more, these would be far from its name."""


@dataclass(frozen=True)
class TableColumn(Generic[Line]):
    """One column, ``width`` cells wide; 0: a share of what the others leave."""

    title: str
    width: int
    cell: Callable[[Line, int], str]
    role: Callable[[Line], str] = lambda _line: ""
    is_text: bool = False


def _right(is_right: bool) -> str:
    return "right" if is_right else "wrong"


def _interval(line: PatchLine, width: int) -> str:
    if line.r_low is None or line.r_high is None:
        return "·".rjust(width)
    return f"{number(line.r_low, 5).strip()} to {number(line.r_high, 5).strip()}".rjust(width)[:width]


_TITLE = TableColumn[PatchLine]("patch", 0, lambda line, width: fit(line.title, width), is_text=True)
_R = TableColumn[PatchLine]("R", 6, lambda line, width: number(line.r_median, width))
_INTERVAL = TableColumn[PatchLine]("95 %", 14, _interval, lambda _line: "quiet")
_RIGHT = TableColumn[PatchLine](
    "right", 7, lambda line, width: (f"{line.right}/{line.n_queries}" if line.n_queries else "·").rjust(width)
)
_COLLATERAL = TableColumn[PatchLine]("other text", 10, lambda line, width: number(line.collateral, width))
_SECONDS = TableColumn[PatchLine]("seconds", 8, lambda line, width: number(line.seconds, width))
_RANK = TableColumn[PatchLine](
    "rank", 5, lambda line, width: ("·" if line.rank is None else str(line.rank)).rjust(width)
)
_FLOATS = TableColumn[PatchLine](
    "floats", 8, lambda line, width: ("·" if line.floats is None else short(line.floats)).rjust(width)
)


@lru_cache(32)
def patch_columns(width: int) -> tuple[TableColumn[PatchLine], ...]:
    """The columns of the patches in ``width`` cells."""
    if width < 58:
        return _shared((_TITLE, _R, _RIGHT, _COLLATERAL), width)
    if width < 88:
        return _shared((_TITLE, _R, _INTERVAL, _RIGHT, _COLLATERAL, _SECONDS), width)
    columns = (_TITLE, _R, _INTERVAL, _RIGHT, _COLLATERAL, _SECONDS, _RANK, _FLOATS)
    return _shared(columns, min(width, _WIDEST))


_QUERY = TableColumn[AnswerLine]("query", 0, lambda line, width: fit_end(line.query, width), is_text=True)
_CONTEXT = TableColumn[AnswerLine](
    "context",
    0,
    lambda line, width: fit(line.context, width),
    lambda line: "" if line.is_context_right else "wrong",
    is_text=True,
)
_PATCHED = TableColumn[AnswerLine](
    "patched",
    0,
    lambda line, width: fit(f"{'✓' if line.is_right else '✗'}{line.patched}", width),
    lambda line: _right(line.is_right),
    is_text=True,
)
_PLAIN = TableColumn[AnswerLine](
    "without", 0, lambda line, width: fit(line.plain, width), lambda _line: "quiet", is_text=True
)
_ANSWER = TableColumn[AnswerLine](
    "true", 0, lambda line, width: fit(line.answer or "", width) if line.answer else " " * width, is_text=True
)
_KIND = TableColumn[AnswerLine](
    "", 6, lambda line, width: fit("fitted" if line.is_fitted else "unseen", width), lambda _line: "quiet"
)
_KL = TableColumn[AnswerLine]("KL", 7, lambda line, width: number(line.kl, width))
_KL_PLAIN = TableColumn[AnswerLine](
    "no patch", 8, lambda line, width: number(line.kl_plain, width), lambda _line: "quiet"
)
_ANSWER_R = TableColumn[AnswerLine]("R", 6, lambda line, width: number(line.r, width))


@lru_cache(64)
def answer_columns(width: int, has_answers: bool, has_fitted: bool) -> tuple[TableColumn[AnswerLine], ...]:
    """The columns of the answers in ``width`` cells."""
    kind = (_KIND,) if has_fitted and width >= 70 else ()
    if width < 58:
        return _shared((_QUERY, _CONTEXT, _PATCHED, _KL), width)
    texts = (_QUERY, *((_ANSWER,) if has_answers and width >= 100 else ()), _CONTEXT, _PATCHED, _PLAIN)
    return _shared((*kind, *texts, _KL, _KL_PLAIN, *((_ANSWER_R,) if width >= 70 else ())), width)


def _shared(columns: tuple[TableColumn[Line], ...], width: int) -> tuple[TableColumn[Line], ...]:
    """The columns with their widths, one space between two; the first one without a width gets a double share."""
    flexible = [at for at, column in enumerate(columns) if not column.width]
    left = width - sum(column.width for column in columns) - len(columns) + 1
    share = max(left // (len(flexible) + 1), 4)
    widths = dict.fromkeys(flexible, share) | {flexible[0]: max(left - share * (len(flexible) - 1), 4)}
    return tuple(replace(column, width=widths.get(at, column.width)) for at, column in enumerate(columns))


def header(columns: Sequence[TableColumn[Line]]) -> str:
    """The titles, over their cells."""
    return " ".join(
        fit(column.title, column.width) if column.is_text else column.title.rjust(column.width)
        for column in columns
    )


def cells(columns: Sequence[TableColumn[Line]], line: Line) -> Cells:
    """The cells of a line, one space after each."""
    return [(column.cell(line, column.width) + " ", column.role(line)) for column in columns]


def fit_end(text: str, width: int) -> str:
    """``text`` on exactly ``width`` cells, cut at its beginning, since queries differ at their ends.

    >>> fit_end("The capital of France is", 12)
    '…f France is'
    """
    shown = display(text) or "␣"
    if cell_len(shown) <= width or width < 2:
        return fit(text, width)
    backwards = chop_cells(shown[::-1], width - 1)[0]
    return ("…" + backwards[::-1]).ljust(width - cell_len(backwards) + len(backwards))


def patches_copy(lines: Sequence[PatchLine]) -> str:
    """Every patch, tabs between its numbers."""
    names = ("patch", "r_median", "r_low", "r_high", "right", "n_queries", "collateral_kl", "seconds")
    rows = (
        (
            *(token_text(line.title), line.r_median, line.r_low, line.r_high, line.right, line.n_queries),
            *(line.collateral, line.seconds, line.rank, line.floats, token_text(line.reason)),
        )
        for line in lines
    )
    return write_tsv(((*names, "rank", "floats", "reason"), *rows)) if lines else ""


def answers_copy(lines: Sequence[AnswerLine]) -> str:
    """Every answer of one patch, tabs between."""
    names = ("query", "role", "true", "context", "patched", "plain", "right", "kl", "kl_plain", "r")
    rows = (
        (
            *(token_text(line.query), "fitted" if line.is_fitted else "unseen"),
            *(token_text(text or "") for text in (line.answer, line.context, line.patched, line.plain)),
            *("yes" if line.is_right else "no", line.kl, line.kl_plain, line.r),
        )
        for line in lines
    )
    return write_tsv((names, *rows)) if lines else ""
