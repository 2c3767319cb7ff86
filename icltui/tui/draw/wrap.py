"""The units of a text wrapped into lines: words stay whole where they fit, and what is invisible is shown.

A line holds pieces, each a part of one unit. A line end is shown, and ends the line.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len, chop_cells

from icltui.tui.draw.safe_text import readable

_PARTS = re.compile(r" +|\n|[^ \n]+")
_NO_TEXT = "␣"


@dataclass(frozen=True)
class Piece:
    """The part of a unit on one line."""

    unit: int
    text: str
    column: int
    width: int


Line = tuple[Piece, ...]


@dataclass(frozen=True)
class WrappedText:
    """The lines, and the positions of the units in them."""

    lines: tuple[Line, ...]

    @cached_property
    def rows(self) -> dict[int, int]:
        """The first line of each unit."""
        rows: dict[int, int] = {}
        for row, line in enumerate(self.lines):
            for piece in line:
                rows.setdefault(piece.unit, row)
        return rows

    @cached_property
    def last_rows(self) -> dict[int, int]:
        """The last line of each unit."""
        return {piece.unit: row for row, line in enumerate(self.lines) for piece in line}

    def column(self, unit: int) -> int:
        """The column at which ``unit`` begins in its first line."""
        pieces = self.lines[self.rows[unit]] if unit in self.rows else ()
        return next((piece.column for piece in pieces if piece.unit == unit), 0)

    def unit_at(self, row: int, column: int, *, nearest: bool = False) -> int | None:
        """The unit at a row and column, or else the last one of the row where ``nearest``."""
        if not (0 <= row < len(self.lines) and self.lines[row]):
            return None
        line = self.lines[row]
        inside = (piece.unit for piece in line if piece.column <= column < piece.column + piece.width)
        return next(inside, line[-1].unit if nearest else None)


def wrap_units(units: Iterable[tuple[int, str]], width: int) -> WrappedText:
    """``units``, numbers with their texts, on lines of at most ``width`` cells; only a space is in the last cell.

    >>> page = wrap_units([(1, "a b"), (2, " cd\\n"), (3, "e")], 4)
    >>> [[(piece.unit, piece.text) for piece in line] for line in page.lines]
    [[(1, 'a b'), (2, ' ')], [(2, 'cd⏎')], [(3, 'e')]]
    """
    setter = _LineFiller(max(width, 2))
    for unit, text in units:
        for kind, shown in _parts(text):
            setter.add(unit, kind, shown)
    setter.end_word()
    setter.end_line()
    return WrappedText(tuple(setter.lines))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Words, runs of spaces and line ends, as they are shown."""
    for part in _PARTS.findall(text) or [_NO_TEXT]:
        yield ("space" if part[0] == " " else "end" if part == "\n" else "word"), readable(part)


class _LineFiller:
    """The line that is being filled, and the word that comes next."""

    def __init__(self, width: int) -> None:
        self.lines: list[Line] = []
        self._width = width
        self._line: list[Piece] = []
        self._used = 0
        self._word: list[tuple[int, str, int]] = []

    def add(self, unit: int, kind: str, text: str) -> None:
        """One part of a unit; words of neighbouring units without a space between them are one word."""
        if kind == "space":
            self.end_word()
            self._fill(unit, text, self._width)
            return
        self._word.append((unit, text, cell_len(text)))
        if kind == "end":
            self.end_word()
            self.end_line()

    def end_word(self) -> None:
        """Put the word on this line, or on the next where it fits whole, or on as many as it needs."""
        size, room = sum(cells for _, _, cells in self._word), self._width - 1
        if self._used + size > room and self._used:
            self.end_line()
        for unit, text, cells in self._word:
            if self._used + cells <= room:
                self._put(unit, text, cells)
            else:
                self._fill(unit, text, room)
        self._word.clear()

    def end_line(self) -> None:
        """The next part begins a line."""
        if self._line:
            self.lines.append(tuple(self._line))
        self._line, self._used = [], 0

    def _fill(self, unit: int, text: str, room: int) -> None:
        """Put a text character by character where that is the only way."""
        for some in _chopped(text, max(1, room - self._used), room):
            if self._used + cell_len(some) > room and self._used:
                self.end_line()
            self._put(unit, some, cell_len(some))

    def _put(self, unit: int, text: str, cells: int) -> None:
        last = self._line[-1] if self._line else None
        if last and last.unit == unit:
            self._line[-1] = Piece(unit, last.text + text, last.column, last.width + cells)
        else:
            self._line.append(Piece(unit, text, self._used, cells))
        self._used += cells


def _chopped(text: str, first: int, others: int) -> Sequence[str]:
    """``text`` in parts of ``first`` cells and then of ``others``."""
    head = chop_cells(text, first)[0]
    rest = text[len(head) :]
    return [part for part in (head, *(chop_cells(rest, others) if rest else ())) if part]
