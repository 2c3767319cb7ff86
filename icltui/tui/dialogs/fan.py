"""A grid of one choice, run from the present run: the line that says which, and the KL of each as they come."""

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from icltui.tui.dialogs.dialog import Dialog, key_hints
from icltui.tui.draw.exam_lines import Cells
from icltui.tui.draw.grid_lines import grid_cells, grid_header
from icltui.tui.draw.safe_text import content
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.fan_line import NEED
from icltui.tui.state.run_grid import FanGrid, grid_of, grid_of_fan
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.line_input import LineInput
from icltui.tui.widgets.row_table import RowTable
from icltui.values.errors import BadInput

FIRST_LINE = "alpha 0 0.25 0.5 1 1.5"
"""What the field holds at first."""
_SEEN_EVERY = 0.25
"""Seconds between two looks at a fan that is under way."""
_MOST_NAMED = 6


class FanTable(RowTable):
    """The points of a grid, line by line."""

    DEFAULT_CSS = """
    FanTable > .row-table--mark { color: $accent; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-table--mark"}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.grid, self.present = FanGrid(), 0

    def show(self, grid: FanGrid, present: int | None) -> None:
        """Show these points; ``present``: the run on the screen."""
        if (grid, present or 0) != (self.grid, self.present):
            self.grid, self.present = grid, present or 0
            self.lay_out()

    @property
    def n_rows(self) -> int:
        """One for each point."""
        return len(self.grid.points)

    def header_at(self, width: int) -> str:
        """The names of the columns."""
        return grid_header(self.grid, width)

    def cells_at(self, row: int, width: int) -> Cells:
        """One point."""
        run = self.grid.points[row].run
        return grid_cells(self.grid, row, width, run is not None and run.number == self.present)


class FanDialog(Dialog[int | None]):
    """Closes with the number of the run to go to, or with None; the fan goes on after it is closed.

    Args:
        explorer: whose present run the others come of.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("fan.stop", "escape", "stop", "Stop", "Let the present run be the last; else close"),
        key_binding("fan.close", "q", "dismiss(None)", "Close", "Close; the fan goes on"),
        key_binding("fan.go", "enter", "go", "Go", "Go to this run"),
        key_binding("fan.line", "slash,i", "edit", "Line", "Write what is varied"),
    ]

    def __init__(self, explorer: Explorer) -> None:
        super().__init__()
        self._explorer = explorer
        self._table = FanTable(id="grid")

    def compose(self) -> ComposeResult:
        at = self._explorer.history.at
        with Vertical(classes="dialog fan") as frame:
            frame.border_title = f"Fan from run {at}" if at else "Fan"
            fan = self._explorer.fan
            yield LineInput(fan.line if fan else FIRST_LINE, placeholder=NEED, id="fan-line")
            yield Static("", id="fan-meaning", markup=False)
            yield self._table
            yield Static("", classes="error", markup=False)
            yield Static(key_hints(self._keys()), classes="answers")

    def _keys(self) -> Iterator[tuple[str, str]]:
        yield from (("enter", "runs them; in the table: goes there"), ("tab", "to the table"))
        yield from (("esc", "stops, closes"), ("q", "closes, goes on"))

    def on_mount(self) -> None:
        """Begin in the field; in the table where a fan is under way."""
        self.query_one(".error").display = False
        self._follow()
        (self._table if self._explorer.is_fanning else self.query_one("#fan-line", Input)).focus()
        self.set_interval(_SEEN_EVERY, self._follow)

    def _follow(self) -> None:
        """Show how far the fan is."""
        self._table.show(self._grid(), self._explorer.history.at)
        self.query_one(".fan").border_subtitle = content(self._progress())

    def _grid(self) -> FanGrid:
        """The fan that is under way, or the last one where the screen shows it; else the present run's grid."""
        explorer, history = self._explorer, self._explorer.history
        if (fan := explorer.fan) and (explorer.is_fanning or history.at in fan.family):
            return grid_of_fan(history, fan)
        return grid_of(history, history.at)

    def _progress(self) -> str:
        fan = self._explorer.fan
        if fan is None or not self._explorer.is_fanning:
            return "esc closes"
        end = "esc stops after this one" if fan.state == "runs" else "the last one; esc again stops it"
        return f"{fan.place} of {len(fan.points)} · {end}"

    @on(Input.Changed, "#fan-line")
    def explain(self, changed: Input.Changed) -> None:
        """Say which runs the line asks for."""
        self.query_one(".error").display = False
        self.query_one("#fan-meaning", Static).update(content(self._meaning(changed.value)))

    def _meaning(self, line: str) -> str:
        try:
            asked = self._explorer.variations(line)
        except BadInput as error:
            return str(error)
        named = ", ".join(one.value for one in asked[:_MOST_NAMED])
        more = ", …" if len(asked) > _MOST_NAMED else ""
        return (
            f"{len(asked)} run{'s' if len(asked) > 1 else ''}: {asked[0].name} {named}{more}"
            if asked
            else NEED
        )

    @on(Input.Submitted, "#fan-line")
    def begin(self, submitted: Input.Submitted) -> None:
        """Run what the line asks for, or say what is wrong with it."""
        try:
            begun = self._explorer.fan_out(submitted.value)
        except BadInput as error:
            self.say(str(error))
            return
        if begun:
            self._table.focus()
        self._follow()

    def action_edit(self) -> None:
        self.query_one("#fan-line").focus()

    async def action_stop(self) -> None:
        """Stop the fan after its present run, or at once where it is stopping; else close."""
        if self._explorer.is_fanning:
            await self._explorer.stop()
            self._follow()
        else:
            self.dismiss(None)

    def action_go(self) -> None:
        """Close, and go to the run under the cursor."""
        points = self._table.grid.points
        if points and (run := points[self._table.row].run):
            self.dismiss(run.number)
