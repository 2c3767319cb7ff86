"""A series of numbers as upright bars of one row or more, in shades of the ramp.

Numbers enter; segments of an exact width leave.
"""

from collections.abc import Sequence
from itertools import groupby

from rich.segment import Segment
from rich.style import Style

from icltui.tui.draw.colormap import Ramp, level

_EIGHTHS = " ▁▂▃▄▅▆▇█"
Heights = tuple[float | None, ...]
"""Of each bar, as a fraction of the greatest; None: nothing is known."""


def heights(
    series: Sequence[float | None], bounds: tuple[float, float] | None, width: int, is_log: bool
) -> Heights:
    """``series`` stretched over exactly ``width`` bars, the largest of each bin."""
    if bounds is None or not series:
        return (None,) * max(width, 0)
    found = []
    for column in range(width):
        first, last = column * len(series) // width, (column + 1) * len(series) // width
        known = [value for value in series[first : max(last, first + 1)] if value is not None]
        fraction = level(max(known), *bounds, is_log) if known else None
        found.append(None if fraction is None else round(fraction, 2))
    return tuple(found)


def bars(shown: Heights, row: int, n_rows: int) -> str:
    """Row ``row`` from the top, of ``n_rows``, as characters: the least bar is an eighth of a cell high.

    >>> bars((0.0, 0.5, 1.0, None), 0, 1), bars((0.0, 0.5, 1.0), 0, 2), bars((0.0, 0.5, 1.0), 1, 2)
    ('▁▅█ ', ' ▁█', '▁██')
    """
    below = (n_rows - 1 - row) * 8
    return "".join(_EIGHTHS[max(0, min(8, _eighths(height, n_rows) - below))] for height in shown)


def _eighths(height: float | None, n_rows: int) -> int:
    return 0 if height is None else min(n_rows * 8, int(height * n_rows * 8) + 1)


def bar_segments(
    shown: Heights, shades: Heights, row: int, n_rows: int, ramp: Ramp, base: Style, *, is_plain: bool
) -> list[Segment]:
    """The same in the ramp's inks at ``shades``, or in ``base`` alone where that is asked for."""
    text = bars(shown, row, n_rows)
    if is_plain:
        return [Segment(text, base)]
    inks = (base if shade is None else base + ramp.ink(shade) for shade in shades)
    runs = groupby(zip(text, inks, strict=True), key=lambda cell: cell[1])
    return [Segment("".join(character for character, _ in run), ink) for ink, run in runs]
