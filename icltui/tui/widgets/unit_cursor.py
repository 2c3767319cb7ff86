"""The cursor on one unit at one layer, which the stream table, token strip, heatmap and layer list share.

A subclass says which cells show a unit (:meth:`UnitCursor.region_of`), which unit a cell shows
(:meth:`UnitCursor.cell_at`) and what does not scroll (:attr:`UnitCursor.frozen`). The base moves the cursor by keys and
mouse, keeps it in sight, repaints the cells that it left and reached, and posts :class:`UnitCursor.Moved`.
"""

from typing import ClassVar

from rich.style import Style
from textual.events import Click
from textual.geometry import Offset, Region, Spacing
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView

from icltui.tui.draw.colormap import Ramp, needs_glyphs, ramp
from icltui.tui.draw.token_colorings import Coloring
from icltui.tui.state.measurement_so_far import MeasuredUnits

LinesState = tuple[MeasuredUnits, Coloring, bool, Ramp, int, int, Style, Style, Style]
NOT_MEASURED = "Nothing measured yet: write a context and a query, then run."


class UnitCursor(ScrollView, can_focus=True):
    """A pane with a cursor."""

    class Moved(Message):
        """The user moved ``cursor`` to ``unit`` at ``layer``."""

        def __init__(self, cursor: "UnitCursor") -> None:
            super().__init__()
            self.cursor = cursor
            self.unit, self.layer = cursor.unit, cursor.shown_layer

    unit: reactive[int] = reactive(0, repaint=False)
    """The cursor's unit."""
    shown_layer: reactive[int] = reactive(0, repaint=False)
    """The cursor's layer, whose numbers are shown."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.measured = MeasuredUnits()
        self.last_move: UnitCursor.Moved | None = None
        """The user's last move; an earlier one that still waits is out of date."""

    @property
    def frozen(self) -> Spacing:
        """The lines above and the columns left of the cells, which do not scroll."""
        return Spacing()

    def region_of(self, unit: int, layer: int) -> Region:
        """The cells of ``unit`` at ``layer`` before scrolling, the frozen lines and columns counted."""
        raise NotImplementedError

    def cell_at(self, offset: Offset) -> tuple[int, int] | None:
        """The unit and the layer at an offset before scrolling, the frozen lines and columns counted."""
        raise NotImplementedError

    def forget_lines(self) -> None:
        """Draw every line again, since the styles have changed."""

    def validate_unit(self, unit: int) -> int:
        """The nearest unit there is."""
        return max(0, min(unit, self.measured.n_units - 1))

    def watch_unit(self, before: int, after: int) -> None:
        """Repaint the cells of two units."""
        for unit in (before, after):
            self.refresh_cells(self.region_of(unit, self.shown_layer))
        self.reveal()

    def notify_style_update(self) -> None:
        """Follow another theme, or the focus."""
        self.forget_lines()
        super().notify_style_update()

    def refresh_cells(self, region: Region) -> None:
        """Repaint what of a region, given before scrolling, is in sight below the frozen lines."""
        top, (width, height) = self.frozen.top, self.size
        in_sight = region.translate(-self.scroll_offset).intersection(Region(0, top, width, height - top))
        if in_sight:
            self.refresh(in_sight)

    def reveal(self) -> None:
        """Scroll no further than it takes to see the cursor."""
        if self.scrollable_content_region:
            region = self.region_of(self.unit, self.shown_layer)
            self.scroll_to_region(region, spacing=self.frozen, animate=False, force=True, immediate=True)

    def action_move_first(self) -> None:
        """Move the cursor to the empty context."""
        self.select(0, self.shown_layer)

    def action_move_last(self) -> None:
        """Move the cursor to the newest unit."""
        self.select(self.measured.last_unit, self.shown_layer)

    def on_click(self, event: Click) -> None:
        """Move the cursor to the cell under the mouse."""
        offset, frozen = event.get_content_offset(self), self.frozen
        if offset is not None and offset.x >= frozen.left and offset.y >= frozen.top:
            cell = self.cell_at(offset + self.scroll_offset)
            if cell is not None:
                self.select(*cell)

    def select(self, unit: int, layer: int) -> None:
        """Move the cursor for the user, and post :class:`Moved` where it moved."""
        before = self.unit, self.shown_layer
        self.unit, self.shown_layer = unit, layer
        if (self.unit, self.shown_layer) != before:
            self.last_move = self.Moved(self)
            self.post_message(self.last_move)


class ShadedUnits(UnitCursor):
    """Units in shades of colour, or with characters where the terminal has too few colours, below a read-out."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"shaded--muted", "shaded--strong"}
    DEFAULT_CSS = """
    ShadedUnits {
        & > .shaded--muted { color: $text-muted; }
        & > .shaded--strong { text-style: bold; }
    }
    """

    is_log: reactive[bool] = reactive(True)
    """Whether shades follow the logarithm, where the number allows it."""
    glyphs: reactive[bool] = reactive(False)
    """Whether characters replace colours; chosen for the terminal when the widget is mounted."""

    def __init__(self, *, glyphs: bool | None = None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs_asked = glyphs

    def on_mount(self) -> None:
        """See what the terminal can do."""
        self.glyphs = needs_glyphs(self.app) if self._glyphs_asked is None else self._glyphs_asked

    def watch_unit(self, before: int, after: int) -> None:
        """Repaint the cells of two units, and the read-out."""
        super().watch_unit(before, after)
        self.refresh_header()

    def refresh_header(self) -> None:
        """Repaint the lines above the cells."""
        self.refresh(Region(0, 0, self.size.width, self.frozen.top))

    def state_of_lines(self, coloring: Coloring) -> LinesState:
        """What :class:`~icltui.tui.draw.shaded_lines.ShadedLines` draws."""
        cursor, component = (self.unit, self.shown_layer), self.get_component_rich_style
        styles = (self.rich_style, component("shaded--muted"), component("shaded--strong"))
        return self.measured, coloring, self.is_log, ramp(self.app, self.glyphs), *cursor, *styles
