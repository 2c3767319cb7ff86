"""An experiment's summary as text for a terminal, as Markdown and as JSON; sentences and tables are the same in all."""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import Any

import msgspec
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Column, Table

from icltui import __version__
from icltui.report.json_document import as_json
from icltui.text.escape import visible
from icltui.text.markdown import plain
from icltui.text.markdown import table as set_table
from icltui.text.tables import NARROWEST, number, numbers, phrases, render, table, yes
from icltui.values.results import Cell, Summary, SummaryTable

_SHOWS_NOT = "What this does not show"
_TITLE_LINES = 2
_GAP = 1
"""Columns between two columns."""
_ENDLESS = 10_000
_PHRASE = 24
"""Columns of the terminal in which words are readable."""


def summary_text(summary: Summary, width: int) -> str:
    """For a terminal of ``width`` columns: question, tables, answer, and what it does not show."""
    return render(summary_parts(summary, max(width, NARROWEST)), width)


def summary_parts(summary: Summary, width: int) -> Iterator[RenderableType]:
    """The paragraphs and tables of :func:`summary_text`; no table is wider than ``width``, if two columns fit."""
    yield visible(summary.title)
    if summary.question:
        yield visible(summary.question)
    for shown in summary.tables:
        yield visible(shown.title)
        yield from (_as_table(piece, width) for piece in _pieces(shown, width))
        if shown.note:
            yield visible(shown.note)
    if summary.answer:
        yield "\n".join(map(visible, summary.answer))
    if summary.shows_not:
        yield "\n".join((f"{_SHOWS_NOT}:", *(f"* {visible(line)}" for line in summary.shows_not)))
    yield _count(summary)


def _count(summary: Summary) -> str:
    rows = f"{summary.n_rows:,} row{'' if summary.n_rows == 1 else 's'}"
    return f"{rows}, {summary.n_failed:,} of them without a result" if summary.n_failed else rows


def _pieces(shown: SummaryTable, width: int) -> Iterator[SummaryTable]:
    """The table, or where it is wider than ``width`` its columns in several: the first one, which names the rows, is
    in each. So no number is ever cut."""
    columns = list(zip(*_filled(shown), strict=True)) or [()] * len(shown.columns)
    wide = [_width(title, cells) for title, cells in zip(shown.columns, columns, strict=True)]
    pieces: list[list[int]] = [[0]]
    for at in range(1, len(wide)):
        if len(pieces[-1]) > 1 and sum(wide[held] + _GAP for held in pieces[-1]) + wide[at] > width:
            pieces.append([0])
        pieces[-1].append(at)
    for piece in pieces if shown.columns else []:
        rows = tuple(zip(*(columns[at] for at in piece), strict=True))
        yield replace(shown, columns=tuple(shown.columns[at] for at in piece), rows=rows)


def _width(title: str, cells: Sequence[Cell]) -> int:
    """Columns of the terminal that a column needs: its numbers whole and its title on two lines, or a phrase."""
    texts = [visible(title), *map(_cell, cells)]
    word = max(cell_len(word) for text in texts for word in text.split() or [""])
    if not _are_numbers(cells):
        return max(word, min(_PHRASE, max(map(cell_len, texts))))
    return next(width for width in count(word) if len(textwrap.wrap(texts[0], max(width, 1))) <= _TITLE_LINES)


def _as_table(shown: SummaryTable, width: int | None = None) -> Table:
    """Columns of numbers to the right, words to the left; titles go on below where ``width`` is not enough."""
    rows = _filled(shown)
    columns = [_column(visible(title), [row[at] for row in rows]) for at, title in enumerate(shown.columns)]
    made = table(columns, (map(_cell, row) for row in rows))
    if width is not None and Console(width=_ENDLESS).measure(made).maximum > width:
        for at, column in enumerate(made.columns):
            if column.justify == "right":
                column.width = _width(shown.columns[at], [row[at] for row in rows])
                column.no_wrap, column.overflow = False, "fold"
    return made


def _filled(shown: SummaryTable) -> list[tuple[Cell, ...]]:
    """The rows; one that is too short ends in dots."""
    n_columns = len(shown.columns)
    return [(*row, *(None,) * (n_columns - len(row)))[:n_columns] for row in shown.rows]


def _column(title: str, cells: Sequence[Cell]) -> Column:
    return numbers(title)[0] if _are_numbers(cells) else phrases(title)


def _are_numbers(cells: Sequence[Cell]) -> bool:
    return all(cell is None or type(cell) in (int, float) for cell in cells)


def _cell(cell: Cell) -> str:
    match cell:
        case bool():
            return yes(cell)
        case str():
            return visible(cell)
        case int():
            return str(cell)
        case _:
            return number(cell)


def summary_markdown(summary: Summary) -> str:
    """The same, with the figures of ``figures/`` as links; no text of it becomes a mark."""
    return "\n\n".join(_sections(summary)) + "\n"


def _sections(summary: Summary) -> Iterator[str]:
    yield f"# {plain(summary.title)}"
    if summary.question:
        yield plain(summary.question)
    for shown in summary.tables:
        yield set_table(shown.title, _as_table(shown), in_words=True)
        if shown.note:
            yield plain(shown.note)
    yield from map(plain, summary.answer)
    for stem, figure in zip(figure_stems(summary), summary.figures, strict=True):
        yield f"![{plain(figure.title)}](figures/{stem}.svg)"
    if summary.shows_not:
        yield f"## {_SHOWS_NOT}"
        yield "\n".join(f"- {plain(line)}" for line in summary.shows_not)
    yield f"{_count(summary)}. Written by icltui {__version__}."


def figure_stems(summary: Summary) -> list[str]:
    """The name of each figure's file without its ending: letters, digits and dashes, and no name twice.

    >>> from icltui.values.results import SummaryFigure
    >>> named = [SummaryFigure(name=n, title="", kind="bars", x_label="", y_label="") for n in ("a", "../A", "é b")]
    >>> figure_stems(Summary(title="", figures=tuple(named)))
    ['a', 'A-2', 'b']
    """
    stems: list[str] = []
    for figure in summary.figures:
        stem = re.sub("[^A-Za-z0-9_]+", "-", figure.name)[:60].strip("-") or "figure"
        numbered = (f"{stem}-{at}" for at in count(2))
        taken = {other.lower() for other in stems}  # to some file systems they are one name
        stems.append(next(name for name in chain([stem], numbered) if name.lower() not in taken))
    return stems


def summary_json(summary: Summary) -> str:
    """Every number of the summary, those of the figures too; null where one is not finite."""
    return as_json(_finite(msgspec.to_builtins(summary)))


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(held) for key, held in value.items()}
        case list() | tuple():
            return [_finite(held) for held in value]
        case _:
            return value
