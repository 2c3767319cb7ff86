"""The heatmap shades every cell, marks one, and says in numbers what it shows."""

import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.geometry import Region

from icltui.tui.draw.colormap import GLYPHS, level, ramp
from icltui.tui.draw.diverging import diverging
from icltui.tui.draw.heatmap_layout import HeatmapLayout
from icltui.tui.draw.unit_axis import axis_lines
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.heatmap import Heatmap
from tests.curves_and_heads import EFFECTS
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
    columns = [grid.unit_at(column) for column in range(grid.span)]
    assert [columns.count(unit) for unit in range(n_units)] == [
        grid.width_of(unit) for unit in range(n_units)
    ]
    assert columns == sorted(columns)
    assert len({grid.width_of(unit) for unit in range(n_units)}) <= 2
    assert grid.unit_at(grid.span) is None
    halves = [layer for line in range(grid.n_lines) for layer in grid.both_at(line)]
    assert halves[: n_layers * grid.halves] == [
        layer for layer in range(n_layers) for _ in range(grid.halves)
    ]
    assert set(halves[n_layers * grid.halves :]) <= {None}
    for layer in grid.layers:
        assert all(layer in grid.both_at(line) for line in grid.lines_of(layer))
        assert grid.label_line(layer) in grid.lines_of(layer)
    assert set(grid.units_in_sight(0)) <= set(range(n_units))
    if n_units and n_units * 2 <= width - grid.label - 1:
        assert grid.span > min(16 * n_units, width - grid.label - 1) - 2  # the pane is filled


def test_layers_share_lines_before_they_scroll() -> None:
    assert HeatmapLayout(110, 20, 30, tuple(range(28))).total[1] == 5 + 14
    assert HeatmapLayout(110, 20, 30, tuple(range(28)), has_halves=False).total[1] == 5 + 28
    assert HeatmapLayout(110, 43, 30, tuple(range(80))).total[1] == 3 + 40  # the axis gives way
    assert HeatmapLayout(158, 35, 31, tuple(range(4))).total == (3 + 154, 5 + 24)


# Axis.


def test_an_axis_has_as_many_texts_as_fit_and_none_is_cut() -> None:
    texts = ["∅", " The", " capital", " of", " France", " is", " Paris"]
    lines = axis_lines(range(7), lambda unit: 3 * unit, texts.__getitem__, 4, (0, 21), 2)
    assert [[one.text for one in line] for line in lines] == [["capital", "is"], ["∅", "The", "of", "France"]]
    alone = axis_lines(range(7), lambda unit: unit, texts.__getitem__, 6, (0, 7), 1)
    assert [(one.text, one.start) for one in alone[0]] == [("∅", 0), ("Paris", 2)]


@given(
    st.lists(st.text(max_size=12), min_size=1, max_size=40),
    st.integers(1, 8),
    st.integers(1, 90),
    st.integers(1, 3),
    st.data(),
)
def test_texts_on_an_axis_never_meet(
    texts: list[str], width: int, room: int, n: int, data: st.DataObject
) -> None:
    selected = data.draw(st.integers(0, len(texts) - 1))
    lines = axis_lines(
        range(len(texts)), lambda unit: unit * width, texts.__getitem__, selected, (0, room), n
    )
    for line in lines:
        placed = sorted(line, key=lambda one: one.start)
        assert all(one.end < other.start or one.end == other.start == 0 for one, other in pairwise(placed))
        assert all(one.start >= 0 and one.end <= room for one in placed)
    named = [one.unit for line in lines for one in line]
    assert len(named) == len(set(named))
    assert selected in named


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
        assert ticks.split()[:2] == ["∅", "t2"]
        assert "t13" in ticks.split()
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
            region = app.heatmap.region_of(4, 1)
            cell = app.heatmap.render_line(region.y).crop(region.x, region.right)
            style = next(iter(cell)).style
            assert style is not None
            assert cell.text[0] + cell.text[-1] == "[]"
            assert bool(style.reverse) == glyphs
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
        row = app.heatmap.render_line(3).text
        starts = [app.heatmap.region_of(unit, 0).x for unit in range(11)]
        assert "".join(row[start + 1] for start in starts) == " ·-+#@     "
        assert set(row[starts[2] : starts[3]]) == {"-"}
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
        await wait_for(pilot, lambda: app.heatmap.scroll_offset.x == 24)
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
        await wait_for(pilot, lambda: "y" in app.lines()[2])


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


async def test_two_layers_share_a_line_and_the_crosshair_is_of_one() -> None:
    measured = board_of(TEXTS[:10], layers=range(12))
    measured.add([msgspec.structs.replace(samples.row(9, 2), delta_norm=1.0)], ())
    app = Shown(measured, glyphs=False)
    async with app.run_test(size=(60, 10)) as pilot:
        app.heatmap.unit, app.heatmap.shown_layer = 4, 3
        await pilot.pause()
        heatmap = app.heatmap
        assert len(heatmap.region_of(4, 3).line_range) == 1
        line = heatmap.region_of(4, 3).y
        assert line == heatmap.region_of(4, 2).y
        assert heatmap.render_line(line).text.split()[0] == "3"
        assert heatmap.render_line(line + 1).text.split()[0] == "4"
        cell = app.cell(heatmap.region_of(9, 2).x, line)
        assert (cell.text[0], cell.style is not None) == ("▀", True)
        shade = ramp(app).style
        fractions = [heatmap._picture.shade(9, layer) for layer in (2, 3)]
        upper, lower = (shade(fraction or 0.0).bgcolor for fraction in fractions)
        assert cell.style is not None
        assert (cell.style.color, cell.style.bgcolor) == (upper, lower)
        assert app.cell(heatmap.region_of(4, 3).x, line).text[0] == "["
        heatmap.glyphs = True
        await pilot.pause()
        assert "▀" not in "".join(app.lines())


async def test_words_without_room_end_with_a_sign() -> None:
    app = Shown(board_of(TEXTS), glyphs=False)
    async with app.run_test(size=(40, 12)) as pilot:
        app.heatmap.unit = 13
        await pilot.pause()
        legend, readout, *_ = app.lines()
        assert [line[-1] for line in (legend, readout)] == ["…", "…"]
        assert readout.startswith(" ‖δ‖ = ")
        await pilot.resize_terminal(160, 12)
        await pilot.pause()
        assert not [line for line in app.lines()[:2] if "…" in line]


async def test_wide_cells_hold_their_numbers() -> None:
    app = Shown(board_of(TEXTS[:5]), glyphs=False)
    async with app.run_test(size=(100, 16)) as pilot:
        app.heatmap.unit = 2
        await pilot.pause()
        grid = app.heatmap._grid
        line = app.heatmap.render_line(grid.header + grid.label_line(1)).text
        numbers = [app.heatmap.measured.value("delta_norm", unit, 1) for unit in range(1, 6)]
        assert line.split() == ["1", "·", *(f"{number:.2f}" for number in numbers if number)]
        assert app.heatmap.render_line(grid.header + grid.label_line(0)).text.count("[") == 1


# Pictures.


async def test_the_difference_to_another_run() -> None:
    other = board_of(TEXTS[:8], layers=(1, 2, 3))
    other.add([msgspec.structs.replace(samples.row(unit, 2), delta_norm=4.0) for unit in range(1, 9)], ())
    app = Shown(board_of(TEXTS[:10]), glyphs=False)
    async with app.run_test(size=(120, 12)) as pilot:
        heatmap = app.heatmap
        assert not heatmap.next_picture()
        heatmap.compare(other, "#2")
        assert heatmap.next_picture()
        heatmap.unit, heatmap.shown_layer, heatmap.is_log = 2, 2, False
        await pilot.pause()
        legend, readout = app.lines()[:2]
        assert legend.split()[:3] == ["‖δ‖", "−", "#2"]
        assert readout.startswith(" ‖δ‖ = 2.02, #2 4  -1.98  layer 2  unit 2 t2")
        assert heatmap._grid.layers == (1, 2, 3)
        picture = heatmap._picture
        assert [picture.shade(unit, 1) for unit in range(1, 9)] == [0.5] * 8  # the same in both
        assert [picture.value(unit, 2) for unit in (2, 6)] == pytest.approx([2.02 - 4, 6.02 - 4])
        below, above = picture.shade(2, 2), picture.shade(6, 2)
        assert below is not None and above is not None  # noqa: PT018
        assert below < 0.5 < above
        assert picture.value(9, 2) is None  # the other run has no such unit
        heatmap.is_log = True
        await pilot.pause()
        assert heatmap._picture.value(6, 2) == pytest.approx(6.02 / 4)
        assert app.lines()[0].startswith(" ‖δ‖ ÷ #2  ÷ ")
        assert heatmap.copied().startswith("unit\ttext\tdelta_norm_ratio_layer_1")
        heatmap.compare(None)
        assert heatmap._picture.name == "delta_norm"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (board_of(["x", *TEXTS[1:5]]), "the units of the two contexts differ"),
        (board_of(TEXTS[:5], layers=(7, 8)), "no layer was measured in both"),
        (board_of(TEXTS[:5], dynamics="drop"), "units grow here and drop there"),
    ],
)
async def test_what_cannot_be_compared_is_said_in_a_line(other: MeasuredUnits, words: str) -> None:
    app = Shown(board_of(TEXTS[:5]))
    async with app.run_test(size=(100, 10)) as pilot:
        app.heatmap.compare(other, "#2")
        app.heatmap.picture = "difference"
        await pilot.pause()
        assert f"no difference to #2: {words}" in app.lines()[0]
        assert not any(line.strip() for line in app.lines()[3:])


async def test_patch_effects_stream_in_beside_their_controls() -> None:
    texts = [unit.text for unit in EFFECTS.tokens.units]
    app = Shown(board_of(texts, layers=(0, 1)), glyphs=False)
    async with app.run_test(size=(120, 12)) as pilot:
        heatmap = app.heatmap
        heatmap.picture = "effects"
        await pilot.pause()
        assert "no patch effects yet: E" in app.lines()[0]
        heatmap.show_effects(
            msgspec.structs.replace(EFFECTS, units=EFFECTS.units[1:], random=(), seconds=0.0)
        )
        heatmap.unit, heatmap.shown_layer = 1, 0
        await pilot.pause()
        assert " not yet  layer 0  unit 1" in app.lines()[1]
        heatmap.repainted.clear()
        heatmap.show_effects(msgspec.structs.replace(EFFECTS, random=(), seconds=0.0))
        first, header = heatmap.repainted
        assert first is not None
        assert header is not None
        assert first.width == heatmap.region_of(1, 0).width
        heatmap.show_effects(EFFECTS)
        await pilot.pause()
        assert app.lines()[0].startswith(" KL(full context ‖ patched)  ≥ 4 ")
        assert " KL = 1.75  layer 0  unit 1" in app.lines()[1]
        assert "no patch 2  all layers 1.2  context 1.2  random 2.2" in app.lines()[1]
        picture = heatmap._picture
        assert [picture.shade(unit, 0) for unit in range(3)] == [0.5, 0.5625, 0.375]
        assert picture.shade(2, 1) is None
        assert heatmap.pictures == ("numbers", "effects")
        assert heatmap.copied().splitlines()[2].endswith("1.75\t1.25")
        heatmap.show(board_of(["other", "words"], layers=(0, 1)))
        await pilot.pause()
        assert "of another context: E computes them anew" in app.lines()[0]


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light"])
async def test_both_ways_of_the_scale_are_equally_far_from_the_background(theme: str) -> None:
    app = Shown(board_of(TEXTS[:5]))
    async with app.run_test(size=(60, 8)) as pilot:
        app.theme = theme
        await pilot.pause()
        shades = diverging(app, False).shades
        light = [sum(style.bgcolor.get_truecolor()) for style in shades if style.bgcolor]
        way = 1 if theme == "textual-dark" else -1
        middle = len(shades) // 2
        assert [way * light[at] for at in range(middle, len(shades))] == sorted(
            way * light[at] for at in range(middle, len(shades))
        )
        assert [way * light[at] for at in range(middle, -1, -1)] == sorted(
            way * light[at] for at in range(middle, -1, -1)
        )
        signs = diverging(app, True)
        assert set(signs.glyphs[:4]).isdisjoint(signs.glyphs[5:])
