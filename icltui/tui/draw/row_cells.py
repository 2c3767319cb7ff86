"""Values of any row as cells of exact width, and which columns a width has room for."""

from collections.abc import Sequence

from rich.cells import cell_len

from icltui.tui.draw.safe_text import fit, number
from icltui.tui.state.rows.columns import Kind
from icltui.tui.state.rows.grid import GridColumn

_BARS = "▁▂▃▄▅▆▇█"
_LEAST = 4
"""Cells with which a column is still worth showing."""
MISSING = "·"


def columns_in(columns: Sequence[GridColumn], first: int, width: int) -> list[tuple[int, int]]:
    """Index and width of the columns from ``first`` on that fit side by side; the last one may be cut."""
    placed: list[tuple[int, int]] = []
    for at in range(first, len(columns)):
        room = min(columns[at].width, width)
        if room < columns[at].width and placed and room < _LEAST:
            break
        placed.append((at, room))
        width -= room + 1
        if width < 1:
            break
    return placed


def first_in_sight(columns: Sequence[GridColumn], first: int, wanted: int, width: int) -> int:
    """The first column to draw, as near to ``first`` as shows all of the column ``wanted``."""
    if wanted <= first:
        return max(wanted, 0)
    while first < wanted and (wanted, columns[wanted].width) not in columns_in(columns, first, width):
        first += 1
    return first


def cell(kind: Kind, value: object, width: int) -> str:
    """A value on exactly ``width`` cells: numbers to the right, several of them as bars from the least to the most."""
    if value is None or value in ([], ""):
        return fit(MISSING, width) if kind in ("text", "texts", "numbers") else MISSING.rjust(width)[:width]
    match value:
        case bool():
            return ("yes" if value else "no").rjust(width)[:width]
        case int():
            whole = str(value)
            return whole.rjust(width) if len(whole) <= width else number(float(value), width)
        case float():
            return number(value, width)
        case list():
            if kind == "numbers":
                return bars(value, width)
            return fit(", ".join(map(str, value)), width)
    return fit(str(value), width)


def bars(values: Sequence[float | None], width: int) -> str:
    """A bar for each number; where there are more numbers than cells, the largest of those that share a cell."""
    n = min(len(values), max(width, 0))
    shared = [values[at * len(values) // n : (at + 1) * len(values) // n] for at in range(n)]
    peaks = [max((v for v in some if v is not None and v == v), default=None) for some in shared]
    known = [peak for peak in peaks if peak is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    return "".join(_bar(peak, low, high) for peak in peaks).ljust(max(width, 0))


def _bar(value: float | None, low: float, high: float) -> str:
    if value is None:
        return " "
    share = (
        0.0 if high <= low else (value / 2 - low / 2) / (high / 2 - low / 2)
    )  # the difference may overflow
    return _BARS[max(0, min(int(share * len(_BARS)), len(_BARS) - 1))]


def title(column: GridColumn, width: int, mark: str) -> str:
    """The column's name over its cells, numbers' to the right, with a mark such as ↓ that is never cut."""
    name = fit(column.name, max(width - len(mark), 0)).rstrip(" ") + mark
    blank = " " * (width - cell_len(name))
    return blank + name if column.kind in ("number", "flag") else name + blank


def field_text(value: object) -> str:
    """A field's whole value, in words."""
    match value:
        case None:
            return MISSING
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case list() | tuple():
            return ", ".join(map(field_text, value)) or MISSING
    return str(value)
