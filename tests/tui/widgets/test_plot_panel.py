"""The plot draws any numbers, and the panel draws them no more often than needed."""

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.containers import Container
from textual.pilot import Pilot

from icltui.report.figure_data import curve_layers
from icltui.tui.draw.plotext_renderer import FLAG, LINE_COLOURS, OTHER, Figure, Series, render_plot, thinned
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets import plot_panel
from icltui.tui.widgets.plot_panel import PlotPanel
from tests.tui import board_of, fill, tokenized, wait_for


def drawn(values: list[float | None], *, log: bool = False, width: int = 60, height: int = 16) -> str:
    return render_plot(figure(("L0", values), log=log, cursor=1), width, height).plain


def figure(*lines: tuple[str, list[float | None]], **options: Any) -> Figure:
    """Lines that are marked with the last character of their names."""
    return Figure(title="T", series=[Series(name, values, name[-1]) for name, values in lines], **options)


def test_a_line_with_its_axes_and_legend() -> None:
    lines = drawn([float(unit) for unit in range(11)]).split("\n")
    assert len(lines) == 16
    assert {cell_len(line) for line in lines} == {60}
    assert lines[0].startswith("T")
    assert lines[1] == "━0 L0 1.000".ljust(60)
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line] == ["10", "7.5", "5", "2.5", "0"]
    assert lines[-1].split() == ["0", "5", "10"]
    assert any("⠁" <= character <= "⣿" for line in lines for character in line)
    assert any("│" in line[9:-2] for line in lines)


def test_a_log_scale_is_even_in_decades() -> None:
    lines = drawn([1e-8, 1e-6, 1e-4], log=True).split("\n")
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line] == [
        "0.0001",
        "1e-05",
        "1e-06",
        "1e-07",
        "1e-08",
    ]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[], [None], [None, math.nan, math.inf]])
def test_nothing_to_draw_is_said(values: list[float | None], log: bool) -> None:
    assert "No numbers to draw yet." in drawn(values, log=log)


def test_zeros_are_left_out_of_a_log_scale() -> None:
    assert "No numbers to draw yet." in drawn([0.0, 0.0], log=True)
    assert "┤" in drawn([0.0, 1.0, None, -1.0, 2.0], log=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.one_of(st.none(), st.floats()), max_size=40),
    st.integers(0, 90),
    st.integers(0, 30),
    st.booleans(),
    st.booleans(),
)
def test_any_numbers_fill_any_size(
    values: list[float | None], width: int, height: int, log: bool, coloured: bool
) -> None:
    two = figure(("L0", values), ("L1", values[::-1]), log=log, cursor=3, place="‖δ‖", flags=[0, 3])
    text = render_plot(two, width, height, colours=LINE_COLOURS if coloured else ())
    lines = text.plain.split("\n")
    assert len(lines) <= max(height, 1)
    assert all(cell_len(line) == width for line in lines if line)


def test_without_colours_lines_are_made_of_digits() -> None:
    text = render_plot(figure(("L3", [1.0, 2.0]), ("L7", [2.0, 1.0])), 60, 16, colours=())
    assert "33 L3  77 L7" in text.plain
    assert all(digit in "".join(text.plain.split("\n")[3:-2]) for digit in "37")
    assert not any("color(" in str(span.style) for span in text.spans)


def test_each_line_has_its_colour() -> None:
    text = render_plot(figure(("L3", [1.0, 2.0]), ("L7", [2.0, 1.0])), 60, 16)
    styles = {str(span.style) for span in text.spans}
    assert all(any(f"color({colour})" in style for style in styles) for colour in LINE_COLOURS[:2])


def test_lines_are_told_apart_without_their_colours() -> None:
    text = render_plot(figure(("L3", [1.0, 2.0]), ("L7", [2.0, 1.0])), 60, 16).plain
    drawing = "".join(line[9:-1] for line in text.split("\n")[2:-2])
    assert (drawing.count("3"), drawing.count("7")) == (1, 1)


def test_another_run_is_drawn_with_points_of_its_own() -> None:
    for colours in (LINE_COLOURS, ()):
        ours, theirs = Series("L3", [1.0, 2.0, 3.0], "3"), Series("old L3", [3.0, 2.5, 1.0], OTHER)
        text = render_plot(Figure(title="T", series=[ours, theirs], cursor=1), 60, 16, colours=colours).plain
        assert "×× old L3 2.5" in text.split("\n")[1]
        assert "".join(text.split("\n")[2:]).count(OTHER) == 3


def test_flags_stand_above_their_places() -> None:
    lines = render_plot(figure(("L0", [0.0, 1.0] * 6), flags=[0, 5, 11]), 60, 16).plain.split("\n")
    ticks = [at for at, character in enumerate(lines[-2]) if character == "┬"]
    flags = [at for at, character in enumerate(lines[2]) if character == FLAG]
    assert flags[:2] == ticks[:2]
    assert flags[2] == 60 - 2


def test_a_long_legend_takes_more_lines() -> None:
    many = [(f"a long name {at}", [float(at), 1.0]) for at in range(5)]
    lines = render_plot(figure(*many, cursor=0), 60, 20).plain.split("\n")
    assert all(f"name {at} {at}" in "".join(lines[1:4]) for at in range(5))


def test_places_may_have_names() -> None:
    lines = render_plot(figure(("L0", [1.0, 2.0, 3.0]), x_names=["0", "half", "1"]), 60, 16).plain
    assert lines.split("\n")[-1].split() == ["0", "half", "1"]


def test_thinning_keeps_peaks_and_order() -> None:
    points = [(unit, float(unit == 505) - float(unit == 710)) for unit in range(1000)]
    kept = thinned(points, 50)
    assert len(kept) <= 100
    assert {(505, 1.0), (710, -1.0)} <= set(kept)
    assert kept == sorted(kept)
    assert thinned(points[:100], 50) == points[:100]


def test_a_few_layers_are_chosen_evenly() -> None:
    assert curve_layers((0, 3, 5)) == (0, 3, 5)
    assert curve_layers(range(24)) == (0, 5, 9, 14, 18, 23)


class Shown(App[None]):
    """A panel that can be hidden."""

    def __init__(self, measured: MeasuredUnits, *, glyphs: bool | None = None) -> None:
        super().__init__()
        self.panel = PlotPanel(glyphs=glyphs)
        self.measured = measured

    def compose(self) -> ComposeResult:
        with Container():
            yield self.panel

    def on_mount(self) -> None:
        self.panel.show(self.measured)

    def text(self) -> str:
        return self.panel.render().plain


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
        await wait_for(pilot, lambda: "6 of 24 layers" in app.text())
        app.panel.measure, app.panel.is_log, app.panel.shown_layers = "patch_norm", True, (1, 2)
        await wait_for(pilot, lambda: "‖ΔW‖ by unit, log scale" in app.text())
        assert "unit 0 ∅  ━1 L1  ━2 L2 " in app.text()
        app.panel.unit = 2
        await wait_for(pilot, lambda: "unit 2 b  ━1 L1 0.201  ━2 L2 0.202 " in app.text())
        app.panel.measure = "cosine_previous"
        await wait_for(pilot, lambda: app.text().startswith("cos by unit: whether"))


async def test_another_run_lies_over_the_shown_layer() -> None:
    ours, theirs = board_of(["a", "b"]), board_of(["a", "b", "c"])
    app = Shown(ours)
    async with app.run_test(size=(80, 20)) as pilot:
        app.panel.compare(theirs, "[/INST] old")
        app.panel.shown_layer, app.panel.unit = 2, 1
        await wait_for(pilot, lambda: "×× [/INST] old L2 1.02" in app.text())
        app.panel.shown_layer = 3
        await wait_for(pilot, lambda: "×× [/INST] old L3 1.03" in app.text())
        fill(theirs, [4])
        app.panel.advance()
        await wait_for(pilot, lambda: app.text().split("\n")[-1].split()[-1] == "4")
        app.panel.compare(None)
        await wait_for(pilot, lambda: OTHER not in app.text())


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
        app.panel.unit = 2
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
