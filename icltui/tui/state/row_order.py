"""In which order the table shows its units: as the text has them, or by one of its columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from icltui.tui.state.measurement_so_far import MeasuredUnits

SortKey = Callable[[MeasuredUnits, int, int], Any]
"""What a unit at a layer is sorted by: a number or a text; None where there is none."""


@dataclass(frozen=True)
class SortedBy:
    """A column by its name, and the direction."""

    column: str
    is_descending: bool

    @property
    def arrow(self) -> str:
        """The mark in the column's title."""
        return "↓" if self.is_descending else "↑"


def sorted_units(measured: MeasuredUnits, layer: int, key: SortKey, is_descending: bool) -> Sequence[int]:
    """The units measured so far by ``key``; equal ones as in the text, those without a value last."""
    keys = {unit: key(measured, unit, layer) for unit in range(measured.last_unit + 1)}
    known = [unit for unit, value in keys.items() if value is not None and value == value]
    known.sort(key=lambda unit: keys[unit], reverse=is_descending)
    unknown = [unit for unit, value in keys.items() if value is None or value != value]
    return [*known, *unknown]
