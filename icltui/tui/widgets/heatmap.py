"""The heatmap: units from left to right, layers from top to bottom, as shades: of one measure, of its difference to
another run, or of what each layer's patch does alone.

A crosshair marks one cell; the colorbar and the read-out above the cells say in numbers what the shades say.
"""

from typing import ClassVar, Literal

from rich.segment import Segment
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.geometry import Offset, Region, Size, Spacing
from textual.reactive import reactive
from textual.strip import Strip

from icltui.tui.draw.colormap import Ramp, ramp
from icltui.tui.draw.heatmap_layout import HeatmapLayout
from icltui.tui.draw.heatmap_lines import HeatmapLines
from icltui.tui.draw.heatmap_picture import HeatmapPicture, NumbersPicture
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.bindings import first_and_last, key_binding
from icltui.tui.widgets.unit_cursor import NOT_MEASURED, ShadedUnits
from icltui.values import PatchEffects

PictureName = Literal["numbers", "difference", "effects"]
PICTURES: tuple[PictureName, ...] = ("numbers", "difference", "effects")


class Heatmap(ShadedUnits):
    """Units by layers, as shades of one measure."""

    DEFAULT_CSS = """
    Heatmap {
        scrollbar-size: 1 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("heatmap.left", "h,left", "move_cursor(-1,0)", "Unit before", "One unit left"),
        key_binding("heatmap.right", "l,right", "move_cursor(1,0)", "Unit after", "One unit right"),
        key_binding("heatmap.up", "k,up", "move_cursor(0,-1)", "Layer before", "One layer up"),
        key_binding("heatmap.down", "j,down", "move_cursor(0,1)", "Layer after", "One layer down"),
        *first_and_last("heatmap"),
        key_binding("heatmap.page_down", "ctrl+d,pagedown", "move_page(1)", "Page right", "A page on"),
        key_binding("heatmap.page_up", "ctrl+u,pageup", "move_page(-1)", "Page left", "A page back"),
    ]

    measure: reactive[str] = reactive("delta_norm", repaint=False)
    """The name of one of :data:`~icltui.report.measures.MEASURES`."""
    picture: reactive[PictureName] = reactive("numbers", repaint=False)
    """What is shown: the numbers, their difference to the compared run, or the patch effects."""

    def __init__(self, *, glyphs: bool | None = None, id: str | None = None) -> None:
        super().__init__(glyphs=glyphs, id=id)
        self._shown: tuple[object, ...] = ()
        self._units_shown: frozenset[int] = frozenset()
        self._lines: LRUCache[tuple[object, ...], Strip] = LRUCache(512)
        self._other: tuple[MeasuredUnits, str] | None = None
        self._effects: PatchEffects | None = None
        self._made: tuple[tuple[object, ...], HeatmapPicture] | None = None

    # What comes in.

    def show(self, measured: MeasuredUnits) -> None:
        """Show ``measured`` from now on."""
        self.measured = measured
        self._start_over()
        self.unit = self.unit
        self.call_after_refresh(self.reveal)

    def compare(self, other: MeasuredUnits | None, label: str = "") -> None:
        """The run that differences are to from now on, None for none."""
        before, self._other = self._other, (other, label) if other else None
        if before != self._other and self.picture == "difference":
            self._start_over()

    def show_effects(self, effects: PatchEffects | None) -> None:
        """The patch effects from now on, as far as they have come."""
        before, self._effects = self._effects, effects
        is_continued = before and effects and effects.tokens is before.tokens
        if before is not effects and self.picture == "effects":
            self.advance() if is_continued else self._start_over()

    def _start_over(self) -> None:
        self._lines.clear()  # another measurement may have the same versions
        self._shown, self._made = (), None
        self.advance()

    def advance(self) -> None:
        """Paint what came in since: only its columns, as long as the shades of the others hold."""
        picture = self._picture
        units, shown = picture.units, (self._grid, picture.key)
        new = units - self._units_shown
        if shown != self._shown or not self._units_shown <= units:
            self.virtual_size = Size(*self._grid.total)
            self.refresh()
        elif new:
            self._refresh_units(min(new), max(new))
            self.refresh_header()
        self._shown, self._units_shown = shown, units

    def copied(self) -> str:
        """The present picture: a number of every unit at every layer."""
        return self._picture.copied()

    @property
    def pictures(self) -> tuple[PictureName, ...]:
        """What there is to show, in the order in which a key cycles through it."""
        there = {"numbers": True, "difference": self._other, "effects": self._effects}
        return tuple(name for name in PICTURES if there[name])

    def next_picture(self) -> bool:
        """Show the next picture; whether there is another one."""
        names = self.pictures
        at = names.index(self.picture) if self.picture in names else -1
        self.picture = names[(at + 1) % len(names)]
        return len(names) > 1

    @property
    def _picture(self) -> HeatmapPicture:
        """The present picture; it keeps its shades as long as nothing changes."""
        measured = self.measured
        key = (
            self.picture,
            self.measure,
            self.is_log,
            measured,
            measured.version,
            self._other,
            self._effects,
        )
        if self._made is None or self._made[0] != key:
            self._made = key, self._make_picture()
        return self._made[1]

    def _make_picture(self) -> HeatmapPicture:
        # Imported where they are shown: the first frame does not wait for them.
        if self.picture == "effects":
            from icltui.tui.draw.effects_picture import EffectsPicture

            return EffectsPicture(self.measured, self._effects)
        if self.picture == "difference" and self._other:
            from icltui.tui.draw.difference_picture import DifferencePicture

            return DifferencePicture(self.measured, *self._other, self.measure, self.is_log)
        return NumbersPicture(self.measured, self.measure, self.is_log)

    @property
    def _grid(self) -> HeatmapLayout:
        picture = self._picture
        return HeatmapLayout(*self.content_size, self.measured.n_units, picture.layers, not self.glyphs)

    def watch_picture(self) -> None:
        """Lay the layers out anew, which may be others."""
        self._start_over()

    def watch_measure(self) -> None:
        """Show another measure."""
        self._start_over()

    def watch_shown_layer(self, before: int, after: int) -> None:
        """Repaint two rows, and the read-out."""
        for layer in {before, after} & set(self._grid.layers):
            _, y, _, height = self.region_of(self.unit, layer)
            self.refresh_cells(Region(self.scroll_offset.x, y, self.size.width, height))
        self.refresh_header()
        self.reveal()

    def on_resize(self) -> None:
        """Fit the cells to the room."""
        self.virtual_size = Size(*self._grid.total)
        self.call_after_refresh(self.reveal)

    def forget_lines(self) -> None:
        """Draw every line again."""
        self._lines.clear()

    @property
    def frozen(self) -> Spacing:
        """The colorbar, the read-out and the axis; the numbers of the layers."""
        return Spacing(top=self._grid.header, left=self._grid.label)

    def region_of(self, unit: int, layer: int) -> Region:
        """The cells; of a layer that was not measured, nothing high."""
        grid = self._grid
        x, width = grid.label + grid.left(unit), grid.width_of(unit)
        if layer not in grid.layers:
            return Region(x, self.scroll_offset.y + grid.header, width, 0)
        lines = grid.lines_of(layer)
        return Region(x, grid.header + lines.start, width, len(lines))

    def cell_at(self, offset: Offset) -> tuple[int, int] | None:
        """The unit and the layer whose cell it is."""
        grid = self._grid
        unit, layer = grid.unit_at(offset.x - grid.label), grid.layer_at(offset.y - grid.header)
        return None if unit is None or layer is None else (unit, layer)

    def _refresh_units(self, first: int, last: int) -> None:
        grid = self._grid
        x = grid.label + grid.left(first) - self.scroll_offset.x
        self.refresh(Region(x, 0, grid.left(last + 1) - grid.left(first), self.size.height))

    # What the user does.

    def action_move_cursor(self, units: int, layers: int) -> None:
        """Move the crosshair by so many units and layers."""
        known = self._picture.layers
        if known:
            nearest = min(known, key=lambda layer: abs(layer - self.shown_layer))
            at = known.index(nearest) + (layers if nearest == self.shown_layer else 0)
            self.select(self.unit + units, known[max(0, min(at, len(known) - 1))])

    def action_move_page(self, pages: int) -> None:
        """Move the crosshair by ``pages`` screens of units."""
        self.select(self.unit + pages * self._grid.page, self.shown_layer)

    # What is drawn.

    def render_line(self, y: int) -> Strip:
        """The colorbar, read-out or axis, or a line of the layers below them."""
        grid, picture, width = self._grid, self._picture, self.scrollable_content_region.width
        line = y - grid.header + (0 if y < grid.header else self.scroll_offset.y)
        is_crossed = line < 0 or self.shown_layer in grid.both_at(line)  # no other line shows the crosshair
        cursor = (self.unit, self.shown_layer) if is_crossed else None
        view = (self.picture, self.glyphs, cursor, self.scroll_offset.x)
        units = grid.units_in_sight(self.scroll_offset.x) if line >= 0 else (self.unit,)
        key = (line, grid, width, picture.changed_at(units), picture.key, view)
        if (strip := self._lines.get(key)) is None:
            strip = Strip(self._draw(line, grid, picture)).adjust_cell_length(width, self.rich_style)
            self._lines[key] = strip
        return strip

    def _draw(self, line: int, grid: HeatmapLayout, picture: HeatmapPicture) -> list[Segment]:
        if not grid.n_units:
            return [Segment(NOT_MEASURED, self.rich_style)] if line == -grid.header else []
        component = self.get_component_rich_style
        styles = (self.rich_style, component("shaded--muted"), component("shaded--strong"))
        lines = HeatmapLines(picture, grid, self._scale(picture), self.unit, self.shown_layer, *styles)
        scroll = self.scroll_offset.x
        return lines.cells(line, scroll) if line >= 0 else lines.above(line + grid.header, scroll)

    def _scale(self, picture: HeatmapPicture) -> Ramp:
        if not picture.is_diverging:
            return ramp(self.app, self.glyphs)
        from icltui.tui.draw.diverging import diverging

        return diverging(self.app, self.glyphs)
