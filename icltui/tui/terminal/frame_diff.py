"""The difference between two frames, so that only changed cells are sent: over a slow line every byte counts.

Textual's updates hold every cell of each region that a widget asked to repaint. The first frame, and a frame of another
size, is sent as it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import cast

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

Codes = tuple[str, str]
"""The escape sequences before and after a text that give it its style."""
Cell = tuple[str, Codes]
"""One column: its character with its combining marks, or nothing after a wide one; and its style."""
Run = tuple[int, int, list[Cell]]
"""Line, column, and the cells to write from there on."""

_UNKNOWN: Cell = ("", ("", ""))
_MARKS = 32
"""Most combining marks of a cell that are sent: no script has as many, but a hostile text may."""


class FrameDiff:
    """The cells of a terminal as they were last written."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._lines: list[list[Cell]] = []

    def reduce(self, update: RenderableType, console: Console) -> RenderableType | None:
        """The part of ``update`` that must be sent; None where nothing changed."""
        colours = console._color_system or ColorSystem.TRUECOLOR
        if isinstance(update, ChopsUpdate):
            return self._difference(_pieces(update), colours)
        if not isinstance(update, LayoutUpdate):
            self._size = (0, 0)
            return update
        if update.region.size == self._size:
            return self._difference(((0, y, strips) for y, strips in enumerate(update.strips)), colours)
        self._size = update.region.size
        self._lines = [_cells(strips, colours) for strips in update.strips]
        return update

    def _difference(
        self, pieces: Iterable[tuple[int, int, Iterable[Strip]]], colours: ColorSystem
    ) -> RenderableType | None:
        runs = [run for x, y, strips in pieces for run in self._write(x, y, _cells(strips, colours))]
        # Textual passes its own updates as renderables too.
        return cast(RenderableType, CellRuns(runs)) if runs else None

    def _write(self, x: int, y: int, new: list[Cell]) -> Iterable[Run]:
        """Keep the cells, and return the runs of new ones."""
        if y >= len(self._lines):
            return ()
        line = self._lines[y]
        line += [_UNKNOWN] * (x + len(new) - len(line))
        old, line[x : x + len(new)] = line[x : x + len(new)], new
        if new == old:
            return ()
        if any(len(text) != 1 for text, _ in (*old, *new)):
            # Terminals differ on the width of such text: a part of it could land in another column.
            return [(y, x, new)]
        return ((y, x + first, new[first:last]) for first, last in _changes(old, new))


class CellRuns(CompositorUpdate):
    """Cells to write, ordered by style, since a change of style costs more bytes than a cursor move."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs

    def render_segments(self, console: Console) -> str:  # noqa: ARG002
        places: dict[Codes, list[str]] = {}
        at: dict[Codes, tuple[int, int]] = {}
        for y, x, cells in self.runs:
            for (codes, has_marks), run in groupby(cells, key=_codes_and_marks):
                for texts in ([text] for text, _ in run) if has_marks else [[text for text, _ in run]]:
                    places.setdefault(codes, []).append(_step(*at.get(codes, (-1, 0)), y, x) + "".join(texts))
                    x += len(texts)
                    at[codes] = (-1, 0) if has_marks else (y, x)
        return "".join(f"{before}{''.join(texts)}{after}" for (before, after), texts in places.items())


def _codes_and_marks(cell: Cell) -> tuple[Codes, bool]:
    """A cell's style, and whether terminals may differ on its width, so that the next one has to name its column."""
    text, codes = cell
    return codes, len(text) > 1


def _step(from_y: int, from_x: int, y: int, x: int) -> str:
    """The sequence that moves the cursor to the next text."""
    if y != from_y or x < from_x:
        return f"\x1b[{y + 1};{x + 1}H"
    n_over = x - from_x
    return "" if not n_over else "\x1b[C" if n_over == 1 else f"\x1b[{n_over}C"


def _changes(old: Sequence[Cell], new: Sequence[Cell]) -> Iterator[tuple[int, int]]:
    """The stretches in which ``new`` differs from ``old``."""
    first = None
    for at, (a, b) in enumerate(zip(old, new, strict=True)):
        if a != b and first is None:
            first = at
        elif a == b and first is not None:
            yield first, at
            first = None
    if first is not None:
        yield first, len(new)


def _pieces(update: ChopsUpdate) -> Iterator[tuple[int, int, Iterable[Strip]]]:
    """The strips that ``update`` paints, each with its column and line."""
    for y, left, right in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x < right and end > left:
                start, stop = max(x, left), min(end, right)
                yield start, y, (strip if (start, stop) == (x, end) else strip.crop(start - x, stop - x),)


def _cells(strips: Iterable[Strip], colours: ColorSystem) -> list[Cell]:
    cells: list[Cell] = []
    for strip in strips:
        for segment in strip:
            codes = _codes(segment.style, colours) if segment.style else ("", "")
            if segment.text.isascii() or all(map(_is_one_column, {*segment.text})):
                cells += [(character, codes) for character in segment.text]
            else:
                _add_odd(cells, segment.text, codes)
    return cells


@lru_cache(4096)
def _is_one_column(character: str) -> bool:
    """Whether the character alone takes one column."""
    return cell_len(character) == 1


def _add_odd(cells: list[Cell], text: str, codes: Codes) -> None:
    """Add a text with characters of two columns, and of none, which join the character before."""
    for character in text:
        width = cell_len(character)
        if width:
            cells += [(character, codes), *[("", codes)] * (width - 1)]
        elif cells:
            at = -1 if cells[-1][0] or len(cells) == 1 else -2  # the second column of a wide one is empty
            if len(cells[at][0]) <= _MARKS:
                cells[at] = (cells[at][0] + character, cells[at][1])


@lru_cache(4096)
def _codes(style: Style, colours: ColorSystem) -> Codes:
    before, _, after = Strip.render_style(style, "\0", colours).partition("\0")
    return before, after
