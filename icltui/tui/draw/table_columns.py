"""The columns of the stream table: which of them a width has room for, and the text of their cells.

A measurement, a unit and a layer enter; texts of exact width leave.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from icltui.report.measures import CHANGED, MEASURES, NEXT_TOKEN, PREDICTIONS
from icltui.tui.draw.safe_text import fit, number
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import Dynamics

Cell = Callable[[MeasuredUnits, int, int, int], str]
"""The text of a cell on ``measured`` for ``unit`` and ``layer``, exactly ``width`` cells wide."""

_WIDEST_TEXT = 24
_NARROWEST_TEXT = 6


@dataclass(frozen=True)
class Column:
    """One column, ``width`` cells wide; a width of 0: a share of what the others leave."""

    title: str
    width: int
    cell: Cell
    role: str = "number"
    """``unit``, ``token``, ``number`` or ``next``: what decides the style."""

    def header(self) -> str:
        """The title, over its cells."""
        if self.role == "next":
            return " " + fit(self.title, self.width - 1)  # below it, the mark of change
        return fit(self.title, self.width) if self.role == "token" else self.title.rjust(self.width)


@lru_cache(64)
def columns(width: int, n_units: int, dynamics: Dynamics = "grow") -> tuple[Column, ...]:
    """The columns for a table ``width`` cells wide, one space between two of them."""
    token = replace(_TOKEN, title=_TOKEN_TITLES[dynamics])
    chosen = _chosen(width, Column("#", max(3, len(str(n_units))), _unit, "unit"), token, dynamics)
    n_flexible = sum(column.width == 0 for column in chosen)
    left = width - sum(column.width for column in chosen) - len(chosen) + 1
    share = min(_WIDEST_TEXT, max(_NARROWEST_TEXT, left // n_flexible))
    return tuple(replace(column, width=column.width or share) for column in chosen)


def _chosen(width: int, unit: Column, token: Column, dynamics: Dynamics) -> tuple[Column, ...]:
    delta, relative = _measure("delta_norm"), _measure("relative_patch_norm")
    p, kl, entropy = map(_predicted, ("probability", "kl_to_full", "entropy"))
    if width < 44:
        return (unit, token, delta, _NEXT)
    if width < 60:
        return (unit, token, delta, relative, _NEXT, p)
    is_way = MEASURES["net_patch_norm"].is_defined(dynamics)
    last = _measure("net_patch_norm") if is_way else _measure("amplification")
    measures = (delta, _measure("learning_rate"), relative, last)
    if width <= 110:
        return (unit, token, *measures, _NEXT, p)
    more = _measure("cumulative_patch_norm") if is_way else _measure("shift_norm")
    return (unit, token, *measures, more, _measure("cosine_previous"), _NEXT, p, kl, entropy)


def _measure(name: str) -> Column:
    spec = MEASURES[name]

    def cell(measured: MeasuredUnits, unit: int, layer: int, width: int) -> str:
        value = measured.value(name, unit, layer)
        if mark := measured.mark(name, unit, layer):
            return (mark + number(value, width - 1).strip()).rjust(width)
        return number(value, width)

    return Column(spec.short or spec.symbol, spec.width, cell)


def _predicted(name: str) -> Column:
    spec = PREDICTIONS[name]

    def cell(measured: MeasuredUnits, unit: int, _layer: int, width: int) -> str:
        prediction = measured.prediction(unit)
        return number(spec.value(prediction) if prediction else None, width)

    return Column(spec.symbol, spec.width, cell)


def _unit(_measured: MeasuredUnits, unit: int, _layer: int, width: int) -> str:
    return str(unit).rjust(width)


def _token(measured: MeasuredUnits, unit: int, _layer: int, width: int) -> str:
    return fit(measured.unit_text(unit), width)


def _next(measured: MeasuredUnits, unit: int, _layer: int, width: int) -> str:
    prediction = measured.prediction(unit)
    if prediction is None or not prediction.top:
        return " " + number(None, 1).ljust(width - 1)
    mark = CHANGED if measured.has_changed(unit) else " "
    return mark + fit(prediction.top[0].token.text, width - 1)


_TOKEN = Column("token", 0, _token, "token")
_TOKEN_TITLES: dict[Dynamics, str] = {"grow": "token", "shrink": "removed", "drop": "without"}
"""What a row's unit is: the newest, the last taken away from the left, the only one that is missing."""
_NEXT = Column(NEXT_TOKEN, 0, _next, "next")
