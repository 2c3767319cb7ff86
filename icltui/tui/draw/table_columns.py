"""The columns of the stream table: which of them a width has room for, and the text of their cells.

A measurement, a unit and a layer enter; texts of exact width leave.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from icltui.report.measures import CHANGED, MEASURES, NEXT_TOKEN, PREDICTIONS
from icltui.tui.draw.safe_text import fit, number
from icltui.tui.draw.unit_texts import unit_cell
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.state.row_order import SortKey
from icltui.values import Dynamics

Cell = Callable[[MeasuredUnits, int, int, int], str]
"""The text of a cell on ``measured`` for ``unit`` and ``layer``, exactly ``width`` cells wide."""

USUAL_TEXT = 24
"""Cells of a unit's text where nothing is known of it."""
_NARROWEST_TEXT = 6
_NEXT_WIDTH = (12, 16)
"""Cells that the next token gets beside a long unit, and beside a short one."""
_HEAT_WIDTH = (2, 16)
"""Cells of the mark of a peak and the bar: the fewest, and the most."""


@dataclass(frozen=True)
class Column:
    """One column, ``width`` cells wide; a width of 0: what the others leave."""

    name: str
    """What the table is sorted by it as."""
    title: str
    width: int
    cell: Cell
    key: SortKey
    role: str = "number"
    """``unit``, ``token``, ``heat``, ``number`` or ``next``: what decides the style."""

    def header(self, arrow: str = "") -> str:
        """The title, over its cells, before the arrow of the order."""
        room = self.width - len(arrow)
        if self.role == "next":
            return " " + (fit(self.title, room - 1).rstrip() + arrow).ljust(self.width - 1)
        if self.role == "token":
            return (fit(self.title, room).rstrip() + arrow).ljust(self.width)
        return (self.title[: max(room, 0)] + arrow).rjust(self.width)


@lru_cache(64)
def columns(
    width: int,
    n_units: int,
    dynamics: Dynamics = "grow",
    measure: str = "delta_norm",
    widest: int = USUAL_TEXT,
) -> tuple[Column, ...]:
    """The columns for a table ``width`` cells wide, one space between two of them.

    Args:
        width: of all columns and the spaces between them.
        n_units: whose numbers the first column holds.
        dynamics: which numbers there are.
        measure: the number that the bar is of, which is always among the columns.
        widest: cells of the widest unit, whose text gets what the others can spare.
    """
    token = replace(_TOKEN, title=_TOKEN_TITLES[dynamics])
    unit = Column("unit", "#", max(3, len(str(n_units))), _unit, lambda _m, unit, _l: unit, "unit")
    chosen = [unit, token, *_numbers(width, dynamics, measure)]
    if width >= 30:
        chosen.insert(2, replace(_HEAT, width=_HEAT_WIDTH[0]))
    left = width - sum(column.width for column in chosen) - len(chosen) + 1
    shares = _shares(left, widest)
    return tuple(_sized(column, *shares) for column in chosen)


def _shares(left: int, widest: int) -> tuple[int, int, int]:
    """Of the cells left, how many the unit's text, the next token and a longer bar get."""
    long, short = _NEXT_WIDTH
    least = max(_NARROWEST_TEXT, min(long, left // 2))
    token = max(_NARROWEST_TEXT, min(widest, left - least))
    next_token = max(_NARROWEST_TEXT, min(short, left - token))
    return token, next_token, max(0, left - token - next_token)


def _sized(column: Column, token: int, next_token: int, spare: int) -> Column:
    if column.role == "heat":
        return replace(column, width=min(_HEAT_WIDTH[1], column.width + spare))
    return column if column.width else replace(column, width=token if column.role == "token" else next_token)


def _numbers(width: int, dynamics: Dynamics, measure: str) -> list[Column]:
    """The numbers and the next token, the chosen measure first."""
    p, kl, entropy = map(_predicted, ("probability", "kl_to_full", "entropy"))
    is_way = MEASURES["net_patch_norm"].is_defined(dynamics)
    last = "net_patch_norm" if is_way else "amplification"
    more = "cumulative_patch_norm" if is_way else "shift_norm"
    usual = ["delta_norm", "learning_rate", "relative_patch_norm", last, more, "cosine_previous"]
    if width < 44:
        usual, after = usual[:1], [_NEXT]
    elif width < 62:
        usual, after = [usual[0], usual[2]], [_NEXT, p]
    elif width <= 110:
        usual, after = usual[:4], [_NEXT, p]
    else:
        after = [_NEXT, p, kl, entropy]
    if measure not in usual and MEASURES[measure].is_defined(dynamics):
        usual = [measure, *usual[:-1]]
    elif measure in usual:
        usual = [measure, *(name for name in usual if name != measure)]
    return [*map(_measure, usual), *after]


def _measure(name: str) -> Column:
    spec = MEASURES[name]

    def cell(measured: MeasuredUnits, unit: int, layer: int, width: int) -> str:
        value = measured.value(name, unit, layer)
        if mark := measured.mark(name, unit, layer):
            return (mark + number(value, width - 1).strip()).rjust(width)
        return number(value, width)

    return Column(
        name,
        spec.short or spec.symbol,
        spec.width,
        cell,
        lambda measured, unit, layer: measured.value(name, unit, layer),
    )


def _predicted(name: str) -> Column:
    spec = PREDICTIONS[name]

    def value(measured: MeasuredUnits, unit: int, _layer: int) -> float | None:
        prediction = measured.prediction(unit)
        return spec.value(prediction) if prediction else None

    def cell(measured: MeasuredUnits, unit: int, layer: int, width: int) -> str:
        return number(value(measured, unit, layer), width)

    return Column(name, spec.symbol, spec.width, cell, value)


def _unit(_measured: MeasuredUnits, unit: int, _layer: int, width: int) -> str:
    return str(unit).rjust(width)


def _token(measured: MeasuredUnits, unit: int, _layer: int, width: int) -> str:
    return unit_cell(measured, unit, width)


def _blank(_measured: MeasuredUnits, _unit: int, _layer: int, width: int) -> str:
    """The table draws the bar, whose ramp is its own."""
    return " " * width


def _next_text(measured: MeasuredUnits, unit: int, _layer: int) -> str | None:
    prediction = measured.prediction(unit)
    return prediction.top[0].token.text if prediction and prediction.top else None


def _next(measured: MeasuredUnits, unit: int, layer: int, width: int) -> str:
    text = _next_text(measured, unit, layer)
    if text is None:
        return " " + number(None, 1).ljust(width - 1)
    mark = CHANGED if measured.has_changed(unit) else " "
    return mark + fit(text, width - 1)


_TOKEN = Column(
    "token", "token", 0, _token, lambda measured, unit, _l: measured.unit_text(unit).casefold(), "token"
)
_TOKEN_TITLES: dict[Dynamics, str] = {"grow": "token", "shrink": "removed", "drop": "without"}
"""What a row's unit is: the newest, the last taken away from the left, the only one that is missing."""
_HEAT = Column("heat", "", 0, _blank, lambda _measured, unit, _l: unit, "heat")
_NEXT = Column("next", NEXT_TOKEN, 0, _next, _next_text, "next")
