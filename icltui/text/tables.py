"""Tables and paragraphs as plain text of a given width: no colour, no markup, and nothing a terminal acts on."""

import io
from collections.abc import Iterable, Mapping

from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

NARROWEST = 80
"""Below this a terminal wraps the lines, which shows more than cut numbers would."""


def number(value: float | None) -> str:
    """A number in three digits; a dot where there is none.

    >>> number(0.41234), number(None)
    ('0.412', '·')
    """
    return "·" if value is None else f"{value:.3g}"


def yes(value: bool) -> str:
    """A truth value as the word in a table."""
    return "yes" if value else "no"


def words(title: str) -> Column:
    """A column of text, which is cut where the table is too wide."""
    return Column(Text(title), overflow="ellipsis")


def phrases(title: str) -> Column:
    """A column of text, which goes on below where the table is too wide."""
    return Column(Text(title), overflow="fold")


def numbers(*titles: str) -> list[Column]:
    """Columns of numbers, which are never cut while there is text to cut."""
    return [Column(Text(title), justify="right", no_wrap=True) for title in titles]


def table(columns: Iterable[Column], rows: Iterable[Iterable[str]]) -> Table:
    """A table with one line for each row, but where :func:`phrases` need more."""
    made = Table(*columns, box=None, padding=(0, 1), pad_edge=False, collapse_padding=True)
    folds = [column.overflow == "fold" for column in made.columns]
    for row in rows:
        made.add_row(*(Text(c, no_wrap=not f, overflow="ellipsis") for c, f in zip(row, folds, strict=True)))
    return made


def numbers_table(records: Iterable[object], titles: Mapping[str, str]) -> Table:
    """A line for each record, a column for each of its fields under that field's title; whole numbers in full."""
    values = ([getattr(record, field) for field in titles] for record in records)
    rows = ([str(value) if isinstance(value, int) else number(value) for value in row] for row in values)
    return table(numbers(*titles.values()), rows)


def render(parts: Iterable[RenderableType], width: int) -> str:
    """The parts one below the other, with an empty line between them."""
    page = io.StringIO()
    console = Console(
        file=page,
        width=max(width, NARROWEST),
        color_system=None,
        force_terminal=False,
        force_jupyter=False,  # else in a notebook each part is shown there, and the page stays empty
        legacy_windows=False,
    )
    for part in parts:
        console.print(Text(part) if isinstance(part, str) else part)
        console.print()
    lines = [line.rstrip() for line in page.getvalue().split("\n")]
    return "\n".join(lines).rstrip("\n") + "\n"
