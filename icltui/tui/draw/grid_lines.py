"""The runs of one choice as lines: the value, the KL as a number and as a bar, and what the patch said.

Points of a grid enter; cells of exact width leave, each with its role.
"""

from collections.abc import Sequence

from rich.cells import set_cell_size

from icltui.tui.draw.exam_lines import Cells
from icltui.tui.draw.safe_text import fit, number
from icltui.tui.state.run_grid import FanGrid, GridPoint
from icltui.tui.state.run_words import RunNumbers, first_words

_VALUE, _RUN, _NUMBER, _EQUAL = 10, 4, 7, 7
_NARROWEST_BAR, _WIDEST_BAR = 8, 24
_FIXED = _VALUE + _RUN + 2 * _NUMBER + _EQUAL + 5
_EIGHTHS = "▏▎▍▌▋▊▉█"


def grid_header(grid: FanGrid, width: int) -> str:
    """The names of the columns."""
    bar, words = _widths(width)
    name = fit({"alpha": "α"}.get(grid.name, grid.name.replace("_", " ")) or "value", _VALUE)
    numbers = f"{'run':>{_RUN}} {'KL':>{_NUMBER}} {' ' * bar} {'in text':>{_NUMBER}} {'equal':>{_EQUAL}}"
    return f"{name} {numbers} {set_cell_size('ΔW says', words)}"


def grid_cells(grid: FanGrid, row: int, width: int, is_present: bool) -> Cells:
    """One point: ``KL`` after the query, its bar, the mean KL along the text, tokens equal, and the first words."""
    point = grid.points[row]
    bar, words = _widths(width)
    value = fit(point.value, _VALUE)
    if point.run is None:
        state = fit(point.state, max(width - _VALUE - _RUN - 2, 0))
        return [(value, ""), (f" {'·':>{_RUN}} {state}", "quiet")]
    found = RunNumbers.of(point.run.session)
    mark = "●" if is_present else " "
    equal = f"{found.n_equal}/{found.n_tokens}" if found.n_tokens else "·"
    return [
        (f"{value} ", ""),
        (f"{mark}{point.run.number:>{_RUN - 1}}", "quiet"),
        (f" {number(found.kl, _NUMBER)} ", ""),
        (bar_of(found.kl, _most(grid.points), bar), "mark"),
        (f" {number(found.kl_text, _NUMBER)} {equal:>{_EQUAL}} ", ""),
        (fit(first_words(point.run.session).strip(), words) if words else "", ""),
    ]


def bar_of(value: float | None, most: float, width: int) -> str:
    """A bar of ``value`` on ``width`` cells, which ``most`` fills; in eighths of a cell.

    >>> bar_of(0.5, 1.0, 4), bar_of(0.1, 1.0, 2)
    ('██  ', '▎ ')
    """
    if value is None or most <= 0 or width < 1:
        return " " * max(width, 0)
    eighths = min(round(value / most * width * 8), width * 8)
    whole, rest = divmod(eighths or (value > 0), 8)
    return ("█" * whole + (_EIGHTHS[rest - 1] if rest else "")).ljust(width)


def _most(points: Sequence[GridPoint]) -> float:
    values = (RunNumbers.of(point.run.session).kl for point in points if point.run)
    return max((value for value in values if value is not None), default=0.0)


def _widths(width: int) -> tuple[int, int]:
    """Cells of the bar and of the first words."""
    left = max(width - _FIXED, 0)
    bar = min(max(left // 2, min(_NARROWEST_BAR, left)), _WIDEST_BAR)
    return bar, left - bar
