"""The lines of the heatmap: cells in shades, below a colorbar, a read-out and the units' texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from icltui.tui.draw.colormap import Ramp
from icltui.tui.draw.heatmap_layout import HeatmapLayout
from icltui.tui.draw.heatmap_picture import HeatmapPicture
from icltui.tui.draw.safe_text import display, number
from icltui.tui.draw.unit_axis import AxisText, axis_lines

_CURSOR = Style(reverse=True, bold=True)
_BOLD = Style(bold=True)
_UNKNOWN = "·"
_UPPER = "▀"

Cell = tuple[str, Style]


@lru_cache(4096)
def _two_colours(base: Style, top: Style, bottom: Style) -> Style:
    """The background of ``top`` as ink on that of ``bottom``."""
    return base + Style.from_color(top.bgcolor, bottom.bgcolor)


@dataclass(frozen=True)
class HeatmapLines:
    """One state of the heatmap."""

    picture: HeatmapPicture
    grid: HeatmapLayout
    scale: Ramp
    unit: int
    layer: int
    """The crosshair's unit and layer."""
    base: Style
    muted: Style
    strong: Style

    def above(self, line: int, scroll: int) -> list[Segment]:
        """A line above the cells: colorbar, read-out, or units' texts scrolled by ``scroll`` columns."""
        if line == 0:
            return self._cut([*self._colorbar()])
        if line == 1:
            return self._cut([Segment(" " + self.picture.readout(self.unit, self.layer), self.strong)])
        return self._axis(line - 2, scroll)

    def _cut(self, segments: list[Segment]) -> list[Segment]:
        """The segments, of which the last one ends with ``…`` where the pane ends before it does."""
        *others, last = segments
        room = self.grid.width - sum(one.cell_length for one in others)
        if last.cell_length <= room or room <= 0:
            return segments
        cut = set_cell_size(last.text, room - 1).rstrip() + "…"
        return [*others, Segment(cut, last.style)]

    def _colorbar(self) -> Iterator[Segment]:
        if self.picture.refusal:
            yield Segment(" " + display(self.picture.refusal), self.strong)
            return
        title, low, high = map(display, self.picture.legend)
        yield Segment(f" {title}  ", self.muted)
        if not low:
            yield Segment("no numbers yet", self.muted)
            return
        yield Segment(f"{low} ", self.muted)
        yield from self.scale.bar(self.base, 13)
        yield Segment(f" {high}", self.muted)

    def _axis(self, line: int, scroll: int) -> list[Segment]:
        grid, room = self.grid, (scroll, scroll + self._room())
        units = grid.units_in_sight(scroll)
        text = self.picture.measured.unit_text
        texts = axis_lines(units, grid.left, text, self.unit, room, grid.axis)[line]
        return [Segment(" " * grid.label, self.base), *self._spaced(texts, scroll)]

    def _spaced(self, texts: list[AxisText], at: int) -> Iterator[Segment]:
        """The texts with the blanks between them; those that are not selected are one segment, which is fewer bytes."""
        before = ""
        for one in sorted(texts, key=lambda one: one.start):
            gap, at = " " * (one.start - at), one.end
            if before:
                before += gap
            elif gap:
                yield Segment(gap, self.base)  # apart, as a picture in SVG drops blanks at a segment's start
            if one.unit == self.unit:
                yield Segment(before, self.muted)
                yield Segment(one.text, self.base + _CURSOR)
                before = ""
            else:
                before += one.text
        yield Segment(before, self.muted)

    def _room(self) -> int:
        return max(0, self.grid.width - self.grid.label)

    def cells(self, line: int, scroll: int) -> list[Segment]:
        """One line of cells after the layer's number, scrolled by ``scroll`` columns."""
        grid = self.grid
        upper, lower = grid.both_at(line)
        if upper is None or self.picture.refusal:
            return []
        units = grid.units_in_sight(scroll)
        if not units:
            return []
        drawn = list(
            self._one_layer(line, upper, units) if upper == lower else self._two(upper, lower, units)
        )
        if self.layer in (upper, lower) and self.unit in units:
            drawn[self.unit - units.start] = self._crosshair(line)
        # Cells of one shade become one segment: over a slow line each segment costs its escape sequence.
        runs = groupby(drawn, key=lambda cell: cell[1])
        strip = Strip([Segment("".join(text for text, _ in run), style) for style, run in runs])
        start = scroll - grid.left(units.start)
        return [*self._label(line, upper, lower), *strip.crop(start, start + self._room())]

    def _label(self, line: int, upper: int, lower: int | None) -> Iterator[Segment]:
        """The layer's number; of two layers that share a line the crosshair's, else the upper one's."""
        is_on = self.layer in (upper, lower)
        layer = self.layer if is_on else upper
        text = str(layer) if self.grid.label_line(layer) == line else ""
        style = self.base + _CURSOR if is_on and text else self.muted
        yield Segment(text.rjust(self.grid.label - 1), style)
        yield Segment(" ", self.base)

    def _one_layer(self, line: int, layer: int, units: range) -> Iterator[Cell]:
        shades, is_labelled = self.picture.shades(layer), self.grid.label_line(layer) == line
        has_numbers = is_labelled and self.grid.has_numbers
        for unit in units:
            fraction, width = shades[unit], self.grid.width_of(unit)
            if fraction is None:
                yield self._missing(unit, width, is_labelled)
            elif self.scale.needs_glyphs:
                yield self.scale.glyph(fraction) * width, self.base
            else:
                text = self._number(unit, layer, width - 1) if has_numbers else ""
                look = self.base + self.scale.style(fraction) if text else self.scale.ground(fraction)
                yield text.center(width), look

    def _number(self, unit: int, layer: int, width: int) -> str:
        """The number in ``width`` cells, as ``2e-7`` where it is that small; empty where none fits."""
        value = self.picture.value(unit, layer)
        shown = number(value, min(width, 8)).strip()
        if value is None or "#" not in shown:
            return shown
        short = f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
        return short if len(short) <= width else ""

    def _missing(self, unit: int, width: int, is_marked: bool = True) -> Cell:
        is_undefined = is_marked and not self.scale.needs_glyphs and unit in self.picture.units
        return (_UNKNOWN if is_undefined else " ").center(width), self.base

    def _two(self, upper: int, lower: int | None, units: range) -> Iterator[Cell]:
        tops, bottoms = self._grounds(upper, units), self._grounds(lower, units)
        widths, base, ground = self.grid.widths, self.base, self.base.background_style
        for unit, top, bottom in zip(units, tops, bottoms, strict=True):
            if top is bottom:
                yield self._missing(unit, widths[unit]) if top is None else (" " * widths[unit], top)
            else:
                yield _UPPER * widths[unit], _two_colours(base, top or ground, bottom or ground)

    def _grounds(self, layer: int | None, units: range) -> list[Style | None]:
        """The shades of some units at a layer; None where there is none."""
        if layer is None:
            return [None] * len(units)
        ground, shades = self.scale.ground, self.picture.shades(layer)
        return [None if one is None else ground(one) for one in shades[units.start : units.stop]]

    def _crosshair(self, line: int) -> Cell:
        """The crosshair's cell, which hides the other layer of its line."""
        fraction, width = self.picture.shades(self.layer)[self.unit], self.grid.width_of(self.unit)
        is_plain = fraction is None or self.scale.needs_glyphs
        style = self.base + (_CURSOR if is_plain else self.scale.style(fraction or 0.0) + _BOLD)
        if fraction is None:
            text = self._missing(self.unit, width)[0]
        elif self.scale.needs_glyphs:
            text = self.scale.glyph(fraction) * width
        else:
            text = ""
        if width < 3:
            return text or ("+" if width == 1 else "[]"), style
        has_number = self.grid.has_numbers and not text and self.grid.label_line(self.layer) == line
        inner = self._number(self.unit, self.layer, width - 2) if has_number else ""
        return f"[{(inner or text[1:-1]).center(width - 2)}]", style
