"""The panel draws no more often than needed; its cursor moves over units and lines; pins stay, panels page."""

import pytest
from textual.app import App, ComposeResult
from textual.containers import Container
from textual.pilot import Pilot

from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets import plot_panel
from icltui.tui.widgets.plot_panel import PlotPanel
from icltui.tui.widgets.unit_cursor import UnitCursor
from tests.tui import board_of, fill, samples, tokenized, wait_for


class Shown(App[None]):
    """A panel that can be hidden."""

    def __init__(self, measured: MeasuredUnits, *, glyphs: bool | None = None) -> None:
        super().__init__()
        self.panel = PlotPanel(glyphs=glyphs)
        self.measured = measured
        self.moves: list[tuple[int, int]] = []

    def compose(self) -> ComposeResult:
        with Container():
            yield self.panel

    def on_mount(self) -> None:
        self.panel.show(self.measured)

    def text(self) -> str:
        panel = self.panel
        return "\n".join(panel.drawing.line(y, panel.cursor).text for y in range(panel.size.height))

    def on_unit_cursor_moved(self, event: UnitCursor.Moved) -> None:
        self.moves.append((event.unit, event.layer))


async def settled(app: Shown, pilot: Pilot[None]) -> int:
    """How many drawings there are once mounting asks for no more."""
    n_drawings = 0
    while n_drawings != app.panel.n_drawings or not n_drawings:
        n_drawings = app.panel.n_drawings
        await pilot.pause(0.05)
    return n_drawings


async def test_the_panel_names_measure_layers_and_scale() -> None:
    app = Shown(board_of(["a", "b", "c"], layers=range(24)))
    async with app.run_test(size=(80, 20)) as pilot:
        await wait_for(pilot, lambda: "how far this unit moved the MLP's input  " in app.text())
        app.panel.measure, app.panel.is_log, app.panel.shown_layers = "patch_norm", True, (1, 2)
        app.panel.shown_layer = 2
        await wait_for(pilot, lambda: "‖ΔW‖, log scale" in app.text())
        assert "2 of 24 layers" in app.text()
        assert "unit 0 ∅  ━ L2  ━ L1 " in app.text()
        app.panel.unit = 2
        await wait_for(pilot, lambda: "unit 2 b  ━ L2 0.202  ━ L1 0.201 " in app.text())
        app.panel.measure = "cosine_previous"
        await wait_for(pilot, lambda: app.text().startswith("cos  whether"))


async def test_another_run_lies_over_the_shown_layer() -> None:
    ours, theirs = board_of(["a", "b"]), board_of(["a", "b", "c"])
    app = Shown(ours)
    async with app.run_test(size=(80, 20)) as pilot:
        app.panel.compare(theirs, "[/INST] old")
        app.panel.shown_layer, app.panel.unit = 2, 1
        await wait_for(pilot, lambda: "× [/INST] old L2 1.02" in app.text())
        app.panel.shown_layer = 3
        await wait_for(pilot, lambda: "× [/INST] old L3 1.03" in app.text())
        fill(theirs, [4])
        app.panel.advance()
        await wait_for(pilot, lambda: app.text().split("\n")[-2].split()[-1] == "4")
        app.panel.compare(None)
        await wait_for(pilot, lambda: "×" not in app.text())


async def test_an_empty_panel_is_friendly() -> None:
    app = Shown(MeasuredUnits())
    async with app.run_test(size=(80, 20)) as pilot:
        await wait_for(pilot, lambda: "No numbers to draw yet." in app.text())


async def test_many_changes_make_few_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(plot_panel, "monotonic", lambda: now[0])
    monkeypatch.setattr(plot_panel, "INTERVAL", 60.0)
    measured = MeasuredUnits(tokenized([str(i) for i in range(20)]))
    app = Shown(measured)
    async with app.run_test(size=(80, 20)) as pilot:
        before = await settled(app, pilot)
        for unit in range(10):
            fill(measured, [unit])
            app.panel.advance()
            app.panel.unit = unit
            await pilot.pause()
        assert app.panel.n_drawings == before
        now[0] = 60.0
        app.panel.advance()
        await wait_for(pilot, lambda: app.panel.n_drawings > before)
        app.panel.refresh()
        await pilot.pause()
        assert app.panel.n_drawings == before + 1


async def test_the_last_change_is_drawn_without_another() -> None:
    measured = board_of(["a", "b", "c"])
    app = Shown(measured)
    async with app.run_test(size=(80, 20)) as pilot:
        before = await settled(app, pilot)
        fill(measured, [4])
        app.panel.advance()
        await wait_for(pilot, lambda: app.panel.n_drawings > before)


async def test_a_hidden_panel_draws_nothing() -> None:
    measured = board_of(["a", "b", "c"])
    app = Shown(measured)
    async with app.run_test(size=(80, 20)) as pilot:
        await wait_for(pilot, lambda: app.panel.n_drawings > 0)
        app.panel.display = False
        await pilot.pause()
        before = app.panel.n_drawings
        fill(measured, [4])
        app.panel.advance()
        await wait_for(pilot, lambda: app.panel._timer is None)
        await pilot.pause()
        assert app.panel.n_drawings == before
        app.panel.display = True
        await wait_for(pilot, lambda: app.panel.n_drawings == before + 1)


async def test_every_size_is_survived() -> None:
    app = Shown(board_of(["a", "b", "c"]))
    async with app.run_test(size=(80, 24)) as pilot:
        for size in ((1, 1), (2, 3), (7, 4), (40, 10), (60, 18), (110, 30), (200, 60)):
            await pilot.resize_terminal(*size)
            await wait_for(pilot, lambda size=size: app.panel.outer_size == size)
        await wait_for(pilot, lambda: "┤" in app.text())


async def test_the_cursor_moves_over_units_and_the_lines_of_layers() -> None:
    app = Shown(board_of(["a", "b", "c"]))
    async with app.run_test(size=(80, 20)) as pilot:
        app.panel.focus()
        await pilot.press("l", "l", "h", "j", "j", "k", "G", "g", "l")
        await wait_for(pilot, lambda: app.moves[-1:] == [(1, 1)])
        assert app.moves == [(1, 0), (2, 0), (1, 0), (1, 1), (1, 2), (1, 1), (3, 1), (0, 1), (1, 1)]
        await wait_for(pilot, lambda: "unit 1 a  ━ L1 1.01" in app.text())
        before = app.panel.n_drawings
        await pilot.press("l")
        await wait_for(pilot, lambda: "unit 2 b  ━ L1 2.01" in app.text())
        assert app.panel.n_drawings == before, "a move over units draws no line again"
        column = app.panel.region_of(3, 0)
        await pilot.click(app.panel, offset=(column.x, column.bottom - 1))
        await wait_for(pilot, lambda: app.moves[-1] == (3, 1))


async def test_the_cursor_over_points_is_the_plots_own() -> None:
    app = Shown(board_of(["a", "b", "c"]))
    async with app.run_test(size=(80, 20)) as pilot:
        app.panel.show_patch(samples.VARIED)
        app.panel.view = "alpha"
        app.panel.focus()
        await wait_for(pilot, lambda: "α 1  ━ this query" in app.text())
        await pilot.press("l", "j")
        await wait_for(pilot, lambda: "α 1.1  ━ elsewhere" in app.text())
        await pilot.press("g")
        await wait_for(pilot, lambda: "α 0  ━ elsewhere" in app.text())
        assert not app.moves
        app.panel.view = "measure"
        await wait_for(pilot, lambda: "unit 0 ∅  ━ L0" in app.text())


async def test_a_pin_stays_while_runs_come_and_go_and_the_same_key_lets_it_go() -> None:
    app = Shown(board_of(["a", "b", "c"]))
    async with app.run_test(size=(80, 20)) as pilot:
        app.panel.focus()
        app.panel.run_name, app.panel.unit = "run 1", 2
        await pilot.press("j", "plus")
        await wait_for(pilot, lambda: "L1 run 1 2.01" in app.text())
        other = MeasuredUnits(tokenized(["x", "y"]))
        fill(other, [0, 1], (0, 1))
        app.panel.run_name = "run 2"
        app.panel.show(other)
        await wait_for(pilot, lambda: "unit 2 y  ━ L1  ━ L0  ━ L1 run 1 2.01" in app.text())
        await pilot.press("plus")
        await wait_for(pilot, lambda: len(app.panel.pins) == 2)
        await pilot.press("plus")
        await wait_for(pilot, lambda: [pin.name for pin in app.panel.pins] == ["L1 run 1"])
        app.panel.measure = "patch_norm"
        await wait_for(pilot, lambda: "run 1" not in app.text())
        app.panel.measure = "delta_norm"
        await pilot.press("j")
        await wait_for(pilot, lambda: "━ L1 run 1 2.01  ━ L0" in app.text())
        await pilot.press("plus")
        await wait_for(pilot, lambda: "run 1" not in app.text())
        assert not app.panel.pins


async def test_small_multiples_follow_the_layer_and_the_measure() -> None:
    app = Shown(board_of(["a", "b", "c"], layers=range(28)))
    async with app.run_test(size=(80, 20)) as pilot:
        app.panel.focus()
        app.panel.unit = 2
        await pilot.press("V")
        await wait_for(pilot, lambda: "a panel for each layer, 1 to" in app.text())
        app.panel.shown_layer = 27
        await wait_for(pilot, lambda: "of 28" in app.text() and "L27 2.27" in app.text())
        await pilot.press("k")
        await wait_for(pilot, lambda: app.moves == [(2, 26)])
        await pilot.press("V")
        await wait_for(pilot, lambda: "‖δ‖ L26  a panel for each measure" in app.text())
        await pilot.press("V")
        await wait_for(pilot, lambda: "panel" not in app.text())
