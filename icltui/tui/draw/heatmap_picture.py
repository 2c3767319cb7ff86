"""A picture on the heatmap: units by layers, each cell a number and a shade; and the numbers of one measurement.

What is shown enters once; numbers, shades and what they mean leave. Another picture is another object.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from functools import cached_property

from icltui.tui.draw.clipboard_text import cells_copy
from icltui.tui.draw.colormap import level
from icltui.tui.draw.safe_text import display, fit, graduate, number
from icltui.tui.draw.shaded_lines import TOKEN_WIDTH, number_text
from icltui.tui.draw.token_colorings import measure_coloring
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.state.shade_bounds import Bounds

Legend = tuple[str, str, str]
"""The title, what is before the colorbar, what is after it."""


class HeatmapPicture(ABC):
    """What the heatmap shows of ``measured``."""

    is_diverging = False
    """Whether the scale has a middle, at 0.5."""
    refusal = ""
    """Why there is nothing to show, in one line; empty where there is something."""

    def __init__(self, measured: MeasuredUnits) -> None:
        self.measured, self.layers = measured, measured.layers
        self._shades: dict[int, list[float | None]] = {}

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """What the shades depend on besides the numbers of a unit."""

    @property
    @abstractmethod
    def legend(self) -> Legend:
        """What the shades mean."""

    @abstractmethod
    def value(self, unit: int, layer: int) -> float | None:
        """The number of a cell; None where there is none."""

    @abstractmethod
    def shade(self, unit: int, layer: int) -> float | None:
        """The number as a fraction of the scale."""

    @abstractmethod
    def number(self, unit: int, layer: int) -> str:
        """The number of a cell, in words."""

    def more(self, unit: int, layer: int) -> str:  # noqa: ARG002
        """What else is known of a cell."""
        return ""

    def shades(self, layer: int) -> list[float | None]:
        """The fractions of all units."""
        if layer not in self._shades:
            self._shades[layer] = self._all_shades(layer)
        return self._shades[layer]

    def _all_shades(self, layer: int) -> list[float | None]:
        return [self.shade(unit, layer) for unit in range(self.measured.n_units)]

    @property
    def units(self) -> frozenset[int]:
        """The units with any number."""
        return self.measured.units

    def changed_at(self, units: Iterable[int]) -> int:
        """A number that grows when the cells of any of ``units`` change."""
        return self.measured.changed_at(units)

    def readout(self, unit: int, layer: int) -> str:
        """One line on a cell."""
        shown = self.number(unit, layer) if layer in self.layers else "not measured"
        token = fit(self.measured.unit_text(unit), TOKEN_WIDTH).rstrip()
        more = self.more(unit, layer)
        return f"{shown}  layer {layer}  unit {unit} {token}{more and '  '}{more}"

    @property
    def name(self) -> str:
        """What a column of the copied table is called, before its layer."""
        raise NotImplementedError

    def copied(self) -> str:
        """All cells as a table."""
        return cells_copy(self.measured, self.name, self.layers, self.value)


class NumbersPicture(HeatmapPicture):
    """One measure."""

    def __init__(self, measured: MeasuredUnits, measure: str, has_log_scale: bool) -> None:
        super().__init__(measured)
        self.coloring = measure_coloring(measure)
        self.is_log = has_log_scale and self.coloring.log

    @property
    def name(self) -> str:
        return self.coloring.name

    @cached_property
    def bounds(self) -> Bounds | None:
        """The numbers at the ends of the ramp, at all layers."""
        return self.measured.shade_bounds(self.coloring.name, self.layers, positive=self.is_log)

    @property
    def key(self) -> Hashable:
        return self.name, self.is_log, self.bounds

    @property
    def legend(self) -> Legend:
        title = f"{self.coloring.title}{'  log' if self.is_log else ''}"
        if self.bounds is None:
            return title, "", ""
        low, high = graduate(self.bounds)
        return title, f"≤ {low}", f"≥ {high}   {self.coloring.meaning(self.measured)}"

    def value(self, unit: int, layer: int) -> float | None:
        return self.measured.value(self.name, unit, layer)

    def shade(self, unit: int, layer: int) -> float | None:
        return None if self.bounds is None else level(self.value(unit, layer), *self.bounds, self.is_log)

    def _all_shades(self, layer: int) -> list[float | None]:
        """In one go, as a first frame shows thousands."""
        series, bounds = self.measured.series(self.name, layer), self.bounds
        return [None if bounds is None else level(value, *bounds, self.is_log) for value in series]

    def number(self, unit: int, layer: int) -> str:
        return number_text(self.coloring, self.measured, unit, layer)

    def more(self, unit: int, layer: int) -> str:
        norms = self.measured.matrix_norms(unit, layer).items()
        each = (f"{display(name.removesuffix('_proj'))} {number(norm, 8).strip()}" for name, norm in norms)
        return f"‖ΔW‖ of {'  '.join(each)}" if norms else ""
