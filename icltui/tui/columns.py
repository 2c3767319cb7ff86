"""The columns of the stream table: which of them a width has room for, and the text of their cells.

A board, a unit and a layer enter; texts of exact width leave.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from icltui.record import Prediction
from icltui.tui.board import Board
from icltui.tui.cells import fit, number
from icltui.tui.measures import MEASURES

Cell = Callable[[Board, int, int, int], str]
"""The text of a cell on ``board`` for ``unit`` and ``layer``, exactly ``width`` cells wide."""

CHANGED = "▸"
"""In front of a next token that the unit before did not predict."""

_WIDEST_TEXT = 24
_NARROWEST_TEXT = 6


@dataclass(frozen=True)
class Column:
    """One column, ``width`` cells wide; a width of 0 stands for a share of what the others leave."""

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
def columns(width: int, n_units: int) -> tuple[Column, ...]:
    """The columns for a table ``width`` cells wide, one space between two of them."""
    chosen = _chosen(width, max(3, len(str(n_units))))
    n_flexible = sum(column.width == 0 for column in chosen)
    left = width - sum(column.width for column in chosen) - len(chosen) + 1
    share = min(_WIDEST_TEXT, max(_NARROWEST_TEXT, left // n_flexible))
    return tuple(replace(column, width=column.width or share) for column in chosen)


def _chosen(width: int, digits: int) -> tuple[Column, ...]:
    unit = Column("#", digits, _unit, "unit")
    if width < 44:
        return (unit, _TOKEN, _measure("delta_norm"), _NEXT)
    if width < 60:
        return (unit, _TOKEN, _measure("delta_norm"), _measure("relative_patch_norm", 9), _NEXT, _PROBABILITY)
    measures = (
        _measure("delta_norm"),
        _measure("learning_rate"),
        _measure("relative_patch_norm", 9),
        _measure("net_patch_norm", 7, "net"),
    )
    if width <= 110:
        return (unit, _TOKEN, *measures, _NEXT, _PROBABILITY)
    more = (_measure("cumulative_patch_norm"), _measure("cosine_previous"))
    return (unit, _TOKEN, *measures, *more, _NEXT, _PROBABILITY, _KL, _ENTROPY)


def _measure(name: str, width: int = 7, title: str = "") -> Column:
    def cell(board: Board, unit: int, layer: int, width: int) -> str:
        return number(board.value(name, unit, layer), width)

    return Column(title or MEASURES[name].title, width, cell)


def _predicted(title: str, width: int, value: Callable[[Prediction], float | None]) -> Column:
    def cell(board: Board, unit: int, _layer: int, width: int) -> str:
        prediction = board.prediction(unit)
        return number(value(prediction) if prediction else None, width)

    return Column(title, width, cell)


def _unit(_board: Board, unit: int, _layer: int, width: int) -> str:
    return str(unit).rjust(width)


def _token(board: Board, unit: int, _layer: int, width: int) -> str:
    return fit(board.unit_text(unit), width)


def _next(board: Board, unit: int, _layer: int, width: int) -> str:
    prediction = board.prediction(unit)
    if prediction is None or not prediction.top:
        return " " * width
    mark = CHANGED if board.has_changed(unit) else " "
    return mark + fit(prediction.top[0].token.text, width - 1)


_TOKEN = Column("token", 0, _token, "token")
_NEXT = Column("next token", 0, _next, "next")
_PROBABILITY = _predicted(
    "p", 5, lambda prediction: prediction.top[0].probability if prediction.top else None
)
_KL = _predicted("KL", 7, lambda prediction: prediction.kl_to_full)
_ENTROPY = _predicted("entropy", 7, lambda prediction: prediction.entropy)
