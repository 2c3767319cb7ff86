"""The heatmap shades every cell, marks one, and says in numbers what it shows."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.geometry import Region

from icltui.tui.draw.colormap import GLYPHS, level, ramp
from icltui.tui.draw.heatmap_layout import HeatmapLayout
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.heatmap import Heatmap
from tests.tui import HOSTILE, board_of, fill, samples, tokenized, wait_for

TEXTS = [f"t{i}" for i in range(1, 41)]


class Watched(Heatmap):
    """A heatmap that remembers which regions it repainted; none stands for all of it."""

    def __init__(self, *, glyphs: bool | None = None) -> None:
        super().__init__(glyphs=glyphs)
        self.repainted: list[Region | None] = []

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Heatmap:
        if repaint and not layout:
            self.repainted += regions or [None]
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class Shown(App[None]):
    """A heatmap alone, and the facts it posts."""

    def __init__(self, measured: MeasuredUnits, *, glyphs: bool | None = None) -> None:
        super().__init__()
        self.heatmap = Watched(glyphs=glyphs)
        self.measured = measured
        self.selected: list[tuple[int, int]] = []

    def compose(self) -> ComposeResult:
        yield self.heatmap

    def on_mount(self) -> None:
        self.heatmap.focus()
        self.heatmap.show(self.measured)

    def on_unit_cursor_moved(self, event: Heatmap.Moved) -> None:
        self.selected.append((event.unit, event.layer))

    def lines(self) -> list[str]:
        return [self.heatmap.render_line(y).text.rstrip() for y in range(self.heatmap.size.height)]

    def cell(self, x: int, y: int) -> Segment:
        return next(iter(self.heatmap.render_line(y).crop(x, x + 1)))


def background(cell: Segment) -> Color | None:
    assert cell.style is not None
    return cell.style.bgcolor


# Ramp.


@pytest.mark.parametrize(
    ("value", "low", "high", "log", "expected"),
    [
        (None, 0.0, 1.0, False, None),
        (math.nan, 0.0, 1.0, False, None),
        (math.inf, 0.0, 1.0, True, None),
        (3.0, 2.0, 4.0, False, 0.5),
        (9.0, 2.0, 4.0, False, 1.0),
        (10.0, 1.0, 100.0, True, 0.5),
        (0.0, 1.0, 100.0, True, 0.0),
        (5.0, 0.0, 10.0, True, 0.5),
        (7.0, 7.0, 7.0, False, 0.5),
        (7.0, 7.0, 7.0, True, 0.5),
    ],
)
def test_levels(value: float | None, low: float, high: float, log: bool, expected: float | None) -> None:
    assert level(value, low, high, log) == expected


@given(
    st.floats(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
def test_a_level_is_on_the_ramp(value: float, low: float, high: float, log: bool) -> None:
    fraction = level(value, low, high, log)
    assert fraction is None or 0.0 <= fraction <= 1.0


# Grid.


@given(st.integers(0, 250), st.integers(0, 80), st.integers(0, 2000), st.integers(0, 60))
def test_places_and_cells_agree(width: int, height: int, n_units: int, n_layers: int) -> None:
    grid = HeatmapLayout(width, height, n_units, tuple(range(n_layers)))
    for unit in {0, n_units // 2, n_units - 1} & set(range(n_units)):
        assert grid.unit_at(unit * grid.cell_width + grid.cell_width - 1) == unit
    assert grid.unit_at(n_units * grid.cell_width) is None
    assert grid.layer_at(n_layers * grid.cell_height) is None
    assert grid.tick_step() * grid.cell_width > len(str(max(0, n_units - 1)))
    assert set(grid.units_in_sight(0)) <= set(range(n_units))


# Widget.


async def test_an_empty_board_says_what_to_do() -> None:
    app = Shown(MeasuredUnits())
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        assert ["then run" in line for line in app.lines()] == [True, *[False] * 9], "once"


async def test_legend_readout_ticks_and_labels() -> None:
    app = Shown(board_of(TEXTS), glyphs=False)
    async with app.run_test(size=(60, 8)) as pilot:
        app.heatmap.unit, app.heatmap.shown_layer = 13, 2
        await pilot.pause()
        legend, readout, ticks, *cells = app.lines()
        assert legend.split()[:5] == ["‖δ‖", "log", "≤", "4", "≥"]
        assert readout.startswith(" ‖δ‖ = 13.02  layer 2  unit 13 t13  ‖ΔW‖ of gate 1.08")
        assert ticks.split() == ["0", "5", "10", "13", "20", "25", "30", "35", "40"]
        assert [line.split()[0] for line in cells[:4]] == ["0", "1", "2", "3"]


async def test_shades_follow_the_numbers() -> None:
    app = Shown(board_of(TEXTS), glyphs=False)
    async with app.run_test(size=(60, 8)) as pilot:
        app.heatmap.unit = 20
        await pilot.pause()
        assert app.cell(3, 3).text == "·"  # unit 0 has no δ
        shades = ramp(app)
        assert background(app.cell(4, 3)) == shades.style(0.0).bgcolor
        assert background(app.cell(43, 6)) == shades.style(1.0).bgcolor
        logarithmic = background(app.cell(13, 3))
        app.heatmap.is_log = False
        assert background(app.cell(13, 3)) != logarithmic
        app.heatmap.is_log = True
        app.heatmap.measure = "cosine_previous"  # a log scale makes no sense for it
        assert "log" not in app.lines()[0]
        assert "-0.5" in app.lines()[1]


async def test_the_crosshair_is_seen_without_hue() -> None:
    for glyphs in (False, True):
        app = Shown(board_of(TEXTS[:10]), glyphs=glyphs)
        async with app.run_test(size=(60, 8)) as pilot:
            app.heatmap.unit, app.heatmap.shown_layer = 4, 1
            await pilot.pause()
            cell = app.heatmap.render_line(4).crop(3 + 4 * 3, 3 + 5 * 3)
            style = next(iter(cell)).style
            assert style is not None
            assert cell.text == "[ ]" or (glyphs and style.reverse)
            label = next(iter(app.heatmap.render_line(4))).style
            assert label is not None
            assert label.reverse


async def test_glyphs_show_levels_and_leave_the_unknown_blank() -> None:
    measured = MeasuredUnits(tokenized(TEXTS[:10]))
    fill(measured, range(6))
    app = Shown(measured, glyphs=True)
    async with app.run_test(size=(60, 8)) as pilot:
        await pilot.pause()
        app.heatmap.is_log = False
        row = app.heatmap.render_line(3).text[3:36]
        assert row == "   ···---+++###@@@" + " " * 15
        assert GLYPHS in app.lines()[0]


async def test_no_color_chooses_glyphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(60, 8)) as pilot:
        await pilot.pause()
        assert app.heatmap.glyphs
    monkeypatch.delenv("NO_COLOR", raising=False)
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(60, 8)) as pilot:
        await pilot.pause()
        assert not app.heatmap.glyphs


@pytest.mark.parametrize(
    ("keys", "cell"),
    [
        (["l", "right", "h"], (1, 0)),
        (["j", "down", "k"], (0, 1)),
        (["k", "h"], (0, 0)),
        (["G"], (40, 0)),
        (["end", "home", "l"], (1, 0)),
        (["j", "j", "j", "j", "j"], (0, 3)),
        (["pagedown"], (17, 0)),
        (["pagedown", "ctrl+d", "ctrl+u"], (17, 0)),
    ],
)
async def test_keys_move_the_crosshair_and_keep_it_in_sight(keys: list[str], cell: tuple[int, int]) -> None:
    app = Shown(board_of(TEXTS), glyphs=False)
    async with app.run_test(size=(20, 6)) as pilot:
        await pilot.press(*keys)
        await wait_for(pilot, lambda: (app.heatmap.unit, app.heatmap.shown_layer) == cell)
        await wait_for(pilot, lambda: any("+" in line or "·" in line[3:] for line in app.lines()[3:]))
        assert app.selected[-1:] == ([cell] if cell != (0, 0) else [])


async def test_layers_need_not_be_all_of_the_model() -> None:
    app = Shown(board_of(TEXTS[:5], layers=(2, 5, 9)))
    async with app.run_test(size=(60, 8)) as pilot:
        await pilot.press("j")
        await wait_for(pilot, lambda: app.selected == [(0, 2)])
        await pilot.press("j", "j", "j")
        await wait_for(pilot, lambda: app.selected == [(0, 2), (0, 5), (0, 9)])


async def test_a_click_selects_the_cell_under_it() -> None:
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(20, 6)) as pilot:
        app.heatmap.unit = 40
        await wait_for(pilot, lambda: app.heatmap.scroll_offset.x == 25)
        scroll = app.heatmap.scroll_offset
        await pilot.click(Heatmap, offset=(5, 3))
        await wait_for(pilot, lambda: app.selected == [(2 + scroll.x, scroll.y)])
        await pilot.click(Heatmap, offset=(5, 1))
        await pilot.click(Heatmap, offset=(1, 3))
        assert len(app.selected) == 1


async def test_only_new_columns_are_repainted_while_the_shades_hold() -> None:
    measured = MeasuredUnits(tokenized(TEXTS))
    fill(measured, [0, *range(7), *range(9, 30), 40])
    app = Shown(measured, glyphs=False)
    async with app.run_test(size=(60, 8)) as pilot:
        await wait_for(pilot, lambda: app.heatmap.content_size == (60, 8))
        app.heatmap.advance()
        app.heatmap.repainted.clear()
        fill(measured, [7, 8])
        app.heatmap.advance()
        assert app.heatmap.repainted == [Region(3 + 7, 0, 2, 8), Region(0, 0, 60, 3)]
        assert background(app.cell(10, 3)) in {style.bgcolor for style in ramp(app).shades}
        app.heatmap.repainted.clear()
        measured.add([], [])
        app.heatmap.advance()
        assert app.heatmap.repainted == []
        fill(measured, [60])
        app.heatmap.advance()
        assert None in app.heatmap.repainted


async def test_a_new_run_starts_over() -> None:
    measured = board_of(TEXTS)
    app = Shown(measured)
    async with app.run_test(size=(60, 8)) as pilot:
        app.heatmap.unit = 30
        await pilot.pause()
        measured = MeasuredUnits(tokenized(["x", "y"]))
        app.heatmap.show(measured)
        assert "no numbers yet" in app.lines()[0]
        fill(measured, [0, 1, 2])
        app.heatmap.advance()
        await wait_for(pilot, lambda: "2" in app.lines()[2])


async def test_hostile_tokens_are_drawn_at_every_size() -> None:
    app = Shown(board_of(HOSTILE))
    async with app.run_test(size=(80, 24)) as pilot:
        for glyphs in (True, False):
            app.heatmap.glyphs = glyphs
            for size in ((1, 1), (2, 3), (7, 4), (40, 10), (60, 18), (110, 30), (200, 60)):
                await pilot.resize_terminal(*size)
                await wait_for(pilot, lambda size=size: app.heatmap.outer_size == size)
                width = app.heatmap.scrollable_content_region.width
                for unit in range(len(HOSTILE) + 1):
                    app.heatmap.unit = unit
                    assert {app.heatmap.render_line(y).cell_length for y in range(size[1])} == {width}


async def test_the_readout_says_where_rounding_alone_makes_the_number() -> None:
    measured = board_of(TEXTS)
    measured.add([msgspec.structs.replace(samples.row(13, 2), delta_noise=1e9)], ())
    app = Shown(measured)
    async with app.run_test(size=(60, 8)) as pilot:
        app.heatmap.unit, app.heatmap.shown_layer = 13, 2
        await pilot.pause()
        assert ", within rounding  layer 2  unit 13" in app.lines()[1]
        app.heatmap.unit = 12
        await wait_for(pilot, lambda: "unit 12" in app.lines()[1])
        assert "rounding" not in app.lines()[1]
