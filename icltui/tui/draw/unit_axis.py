"""The texts of units along an axis: as many as fit without being cut, on a few lines; the selected one always.

Enters: where each unit begins, and its text. Leaves: the texts of each line with the columns where they begin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from icltui.tui.draw.safe_text import display, fit

_WIDEST = 24
"""Most cells of a text that is not selected."""


@dataclass(frozen=True)
class AxisText:
    """One text on an axis."""

    unit: int
    start: int
    """Its first column."""
    text: str

    @property
    def end(self) -> int:
        """The column after its last one."""
        return self.start + cell_len(self.text)


def axis_lines(
    units: Sequence[int],
    left: Callable[[int], int],
    text: Callable[[int], str],
    selected: int,
    room: tuple[int, int],
    n_lines: int,
) -> list[list[AxisText]]:
    """The texts of ``n_lines`` lines between the columns ``room``, the line nearest to the cells last.

    ``left`` tells a unit's first column. A text that does not fit whole beside the others is left out, but for the
    selected unit's, which moves to the left where the room ends.
    """
    lines: list[list[AxisText]] = [[] for _ in range(n_lines)]
    first, end = room
    ends = [first] * n_lines
    chosen = _selected(selected, left(selected), text(selected), room) if selected in units else None
    for unit in units:
        shown = chosen if chosen and unit == selected else AxisText(unit, left(unit), _short(text(unit)))
        if shown is not chosen and (shown.end > end or shown.end - shown.start > _WIDEST):
            continue
        for at in reversed(range(n_lines)):
            is_taken = (
                chosen is not None and at == n_lines - 1 and shown is not chosen and _meets(shown, chosen)
            )
            if shown is chosen and at == n_lines - 1:
                lines[at] = [one for one in lines[at] if not _meets(one, shown)]
            elif is_taken or shown.start < ends[at]:
                continue
            lines[at].append(shown)
            ends[at] = max(ends[at], shown.end + 1)
            break
    return lines


def _short(text: str) -> str:
    """A unit's text without the spaces around it, which cost cells and tell nothing here."""
    return display(text.strip(" ") or text)


def _selected(unit: int, start: int, text: str, room: tuple[int, int]) -> AxisText:
    shown = _short(text)
    width = room[1] - room[0]
    if cell_len(shown) > width:
        shown = fit(shown, width)
    return AxisText(unit, max(room[0], min(start, room[1] - cell_len(shown))), shown)


def _meets(one: AxisText, other: AxisText) -> bool:
    return one.start <= other.end and other.start <= one.end
