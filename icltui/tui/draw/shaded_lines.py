"""The lines of the token strip: numbers as shades, the colorbar, the number at the cursor."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from rich.segment import Segment
from rich.style import Style

from icltui.report.kept_prefix import SINK
from icltui.report.measures import NOISE
from icltui.tui.draw.colormap import Ramp, level
from icltui.tui.draw.safe_text import fit, graduate
from icltui.tui.draw.token_colorings import Coloring
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.state.shade_bounds import Bounds

_MARKS = {NOISE: ", within rounding", SINK: ", about the sink"}
TOKEN_WIDTH = 24
"""Most cells of a token in a read-out."""


def number_text(coloring: Coloring, measured: MeasuredUnits, unit: int, layer: int) -> str:
    """The number of a unit at a layer, whole, and what it is no more than."""
    value = coloring.value(measured, unit, layer)
    if value is not None:
        mark = measured.mark(coloring.name, unit, layer)
        return f"{coloring.title} = {value:.7g}{_MARKS.get(mark, '')}"
    return f"{coloring.title} undefined" if measured.is_measured(unit) else "not yet"


@dataclass(frozen=True)
class ShadedLines:
    """One state of a pane, ready to be drawn line by line."""

    measured: MeasuredUnits
    coloring: Coloring
    has_log_scale: bool
    """Whether shades follow the logarithm, where the number allows it."""
    ramp: Ramp
    unit: int
    layer: int
    """The cursor's unit and layer."""
    base: Style
    muted: Style
    strong: Style

    @property
    def glyphs(self) -> bool:
        """Whether characters replace colours."""
        return self.ramp.needs_glyphs

    @property
    def is_log(self) -> bool:
        """Whether shades follow the logarithm."""
        return self.has_log_scale and self.coloring.log

    @cached_property
    def bounds(self) -> Bounds | None:
        """The numbers at the ends of the ramp."""
        raise NotImplementedError

    def fraction(self, unit: int, layer: int) -> float | None:
        """The number of a cell as a fraction of the ramp; None where there is no number."""
        if self.bounds is None:
            return None
        return level(self.coloring.value(self.measured, unit, layer), *self.bounds, self.is_log)

    def colorbar(self) -> Iterator[Segment]:
        """One line: the symbol, the ramp between its numbers, the meaning."""
        yield Segment(f" {self.coloring.title}{'  log' if self.is_log else ''}  ", self.muted)
        if self.bounds is None:
            yield Segment("no numbers yet", self.muted)
            return
        low, high = graduate(self.bounds)
        yield Segment(f"≤ {low} ", self.muted)
        yield from self.ramp.bar(self.base)
        yield Segment(f" ≥ {high}   {self.coloring.meaning(self.measured)}", self.muted)

    def token(self) -> str:
        """The cursor's unit as text."""
        return fit(self.measured.unit_text(self.unit), TOKEN_WIDTH).rstrip()

    def number(self) -> str:
        """The number at the cursor."""
        return number_text(self.coloring, self.measured, self.unit, self.layer)
