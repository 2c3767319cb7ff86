"""The difference of one measure between this run and the compared one, cell by cell, on a scale with 0 in the middle.

Two measurements enter. Units are compared as far as their texts agree: under *grow* a unit's number depends on the
units before it alone, so a common beginning suffices; under the others all units must be the same.
"""

import math
from collections.abc import Hashable
from functools import cached_property

from icltui.tui.draw.heatmap_picture import HeatmapPicture, Legend
from icltui.tui.draw.token_colorings import measure_coloring
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.state.shade_bounds import shade_bounds


def common_units(ours: MeasuredUnits, theirs: MeasuredUnits) -> int | str:
    """How many units from 0 on may be compared; or why none may be."""
    if ours.dynamics != theirs.dynamics:
        return f"units {ours.dynamics} here and {theirs.dynamics} there: D changes that, then ^r"
    if not set(ours.layers) & set(theirs.layers):
        return "no layer was measured in both"
    n = min(ours.n_units, theirs.n_units)
    same = next((unit for unit in range(n) if ours.unit_text(unit) != theirs.unit_text(unit)), n)
    is_all = same == ours.n_units == theirs.n_units
    if same < 2 or (ours.dynamics != "grow" and not is_all):
        return "the units of the two contexts differ"
    return same


class DifferencePicture(HeatmapPicture):
    """This run's measure minus the other's, or the logarithm of their ratio."""

    is_diverging = True

    def __init__(
        self, measured: MeasuredUnits, other: MeasuredUnits, label: str, measure: str, has_log_scale: bool
    ) -> None:
        super().__init__(measured)
        self.other, self.label, self.coloring = other, label, measure_coloring(measure)
        self.is_log = has_log_scale and self.coloring.log
        found = common_units(measured, other)
        self.refusal = f"no difference to {label}: {found}" if isinstance(found, str) else ""
        self.n_common = 0 if isinstance(found, str) else found
        self.layers = tuple(layer for layer in measured.layers if layer in other.layers)

    @property
    def name(self) -> str:
        return f"{self.coloring.name}_{'ratio' if self.is_log else 'difference'}"

    @cached_property
    def bound(self) -> float:
        """The greatest shade's number; 0 where no cell can be compared."""
        cells = (self._signed(unit, layer) for layer in self.layers for unit in range(self.n_common))
        sizes = sorted(abs(cell) for cell in cells if cell is not None)
        ends = shade_bounds([size for size in sizes if size > 0])
        return ends[1] if ends else 0.0

    @property
    def key(self) -> Hashable:
        return self.name, self.is_log, self.bound, self.label, self.other.version, self.n_common

    @property
    def legend(self) -> Legend:
        sign = "÷" if self.is_log else "−"
        title = f"{self.coloring.title} {sign} {self.label}"
        low, high = (f"÷ {10**self.bound:.3g}", f"× {10**self.bound:.3g}") if self.is_log else self._ends
        meaning = self.coloring.meaning(self.measured)
        return title, low, f"{high}   no shade: equal   {meaning}"

    @property
    def _ends(self) -> tuple[str, str]:
        return f"−{self.bound:.3g}", f"+{self.bound:.3g}"

    def value(self, unit: int, layer: int) -> float | None:
        """The ratio on a log scale, else the difference."""
        if (signed := self._signed(unit, layer)) is None:
            return None
        return 10.0**signed if self.is_log and abs(signed) < 300 else signed

    def _signed(self, unit: int, layer: int) -> float | None:
        ours, theirs = self._pair(unit, layer)
        if ours is None or theirs is None or not math.isfinite(ours) or not math.isfinite(theirs):
            return None
        if not self.is_log:
            return ours - theirs
        return math.log10(ours) - math.log10(theirs) if ours > 0 and theirs > 0 else None

    def _pair(self, unit: int, layer: int) -> tuple[float | None, float | None]:
        if unit >= self.n_common:
            return None, None
        name = self.coloring.name
        return self.measured.value(name, unit, layer), self.other.value(name, unit, layer)

    def shade(self, unit: int, layer: int) -> float | None:
        signed = self._signed(unit, layer)
        if signed is None:
            return None
        return 0.5 + 0.5 * max(-1.0, min(1.0, signed / self.bound)) if self.bound else 0.5

    def number(self, unit: int, layer: int) -> str:
        ours, theirs = self._pair(unit, layer)
        if ours is None or theirs is None:
            return "nothing to compare"
        value = self.value(unit, layer)
        change = "" if value is None else f"  {f'×{value:.3g}' if self.is_log else f'{value:+.3g}'}"
        return f"{self.coloring.title} = {ours:.4g}, {self.label} {theirs:.4g}{change}"
