"""The token strip shows the context's text, shades each unit, marks one, and repaints only what changed."""

import msgspec
import pytest
from rich.color import Color
from textual.app import App, ComposeResult
from textual.geometry import Region

from icltui.tui.draw.colormap import ramp
from icltui.tui.draw.token_colorings import COLORINGS
from icltui.tui.draw.token_strip_lines import HEADER
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.token_strip import TokenStrip
from tests.tui import HOSTILE, board_of, fill, samples, tokenized, wait_for

TEXTS = ["The", " capital", " of", " France", " is", " Rome", ".\n", "And", " so", " on", "."]


class Watched(TokenStrip):
    """A strip that remembers which regions it repainted; none stands for all of it."""

    def __init__(self, *, glyphs: bool | None = None) -> None:
        super().__init__(glyphs=glyphs)
        self.repainted: list[Region | None] = []

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> TokenStrip:
        if repaint and not layout:
            self.repainted += regions or [None]
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class Shown(App[None]):
    """A strip alone, and the facts it posts."""

    def __init__(self, measured: MeasuredUnits, *, glyphs: bool | None = False) -> None:
        super().__init__()
        self.strip = Watched(glyphs=glyphs)
        self.measured = measured
        self.selected: list[int] = []

    def compose(self) -> ComposeResult:
        yield self.strip

    def on_mount(self) -> None:
        self.strip.focus()
        self.strip.show(self.measured)

    def on_unit_cursor_moved(self, event: TokenStrip.Moved) -> None:
        self.selected.append(event.unit)

    def lines(self) -> list[str]:
        return [self.strip.render_line(y).text.rstrip() for y in range(self.strip.size.height)]

    def background(self, x: int, y: int) -> Color | None:
        style = next(iter(self.strip.render_line(y).crop(x, x + 1))).style
        assert style is not None
        return style.bgcolor

    def is_marked(self, x: int, y: int) -> bool:
        style = next(iter(self.strip.render_line(y).crop(x, x + 1))).style
        return bool(style and style.reverse and style.underline)


async def test_an_empty_board_says_what_to_do() -> None:
    app = Shown(MeasuredUnits())
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        assert ["then run" in line for line in app.lines()] == [True, *[False] * 9], "once"


async def test_choice_legend_readout_and_text() -> None:
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(40, 9)) as pilot:
        app.strip.unit, app.strip.shown_layer, app.strip.is_log = 6, 2, False
        await pilot.pause()
        assert app.lines() == [
            " s  ‖δ‖  ‖ΔW‖/‖W‖  h  drop-one  KL  |ΔK",
            " ‖δ‖  ≤ 2              ≥ 10   how far t",
            " ‖δ‖ = 6.02  layer 2  unit 6 ·Rome  nex",
            "",
            " ∅ The capital of France is Rome.⏎",
            " And so on.",
            "",
            "",
            "",
        ]


async def test_without_colours_ink_stands_below_the_text() -> None:
    app = Shown(board_of(TEXTS), glyphs=True)
    async with app.run_test(size=(40, 9)) as pilot:
        app.strip.is_log = False
        await pilot.pause()
        assert app.lines()[HEADER:] == [
            " ∅ The capital of France is Rome.⏎",
            "   ···········:::-------===+++++**",
            " And so on.",
            " ###%%%@@@@",
            "",
        ]


async def test_no_color_chooses_ink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Shown(board_of(TEXTS), glyphs=None)
    async with app.run_test(size=(40, 9)) as pilot:
        await pilot.pause()
        assert app.strip.glyphs


async def test_shades_follow_the_numbers_and_the_selected_unit_is_marked() -> None:
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(60, 9)) as pilot:
        app.strip.unit = 4
        await pilot.pause()
        assert app.background(3, HEADER) == ramp(app).style(0.0).bgcolor
        assert app.background(10, HEADER + 1) == ramp(app).style(1.0).bgcolor
        assert [x for x in range(40) if app.is_marked(x, HEADER)] == list(range(17, 24)), "' France'"
        before = app.background(1, HEADER + 1)
        app.strip.is_log = False
        assert app.background(1, HEADER + 1) != before
        assert "log" not in app.lines()[1]


async def test_a_colouring_without_numbers_says_how_to_get_them() -> None:
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(80, 9)) as pilot:
        app.strip.coloring = "drop_one"
        await pilot.pause()
        assert app.lines()[1:3] == [
            " drop-one: these numbers are grow: press D until drop, then ^r",
            " drop-one undefined  layer 0  unit 0 ∅  next ·Paris 0.750",
        ]
        assert app.background(3, HEADER) not in {style.bgcolor for style in ramp(app).shades}
        app.strip.move_coloring(1)
        assert (app.strip.coloring, app.lines()[2].split()[:3]) == ("kl", ["KL", "=", "0.25"])


@pytest.mark.parametrize(
    ("keys", "unit"),
    [
        (["l", "right", "h"], 1),
        (["h"], 0),
        (["l", "l", "j"], 9),
        (["l", "l", "down", "up"], 1),
        (["j", "j", "j"], 8),
        (["G"], 11),
        (["end", "home", "l"], 1),
        (["ctrl+d"], 8),
        (["l", "l", "l", "l", "pagedown"], 11),
        (["G", "ctrl+u"], 2),
        (["G", "pageup"], 2),
    ],
)
async def test_keys_move_by_unit_and_by_line(keys: list[str], unit: int) -> None:
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(40, 9)) as pilot:
        await pilot.press(*keys)
        await wait_for(pilot, lambda: app.strip.unit == unit)
        assert app.selected[-1:] == ([unit] if unit else [])


async def test_a_unit_of_many_lines_is_left_with_one_key() -> None:
    app = Shown(board_of(["a sentence that goes on for lines.", " Another one."]))
    async with app.run_test(size=(20, 12)) as pilot:
        await pilot.press("l", "j")
        await wait_for(pilot, lambda: app.strip.unit == 2)
        await pilot.press("k")
        await wait_for(pilot, lambda: app.strip.unit == 1)


async def test_a_click_selects_the_unit_under_it() -> None:
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(40, 9)) as pilot:
        await pilot.click(TokenStrip, offset=(20, HEADER))
        await wait_for(pilot, lambda: app.selected == [4])
        await pilot.click(TokenStrip, offset=(20, 1))
        await pilot.click(TokenStrip, offset=(39, HEADER))
        assert app.selected == [4]


async def test_the_selected_unit_stays_in_sight() -> None:
    app = Shown(board_of([f" word{unit}" for unit in range(1, 400)]))
    async with app.run_test(size=(40, 12)) as pilot:
        for unit in (399, 200, 1, 399):
            app.strip.unit = unit
            await wait_for(
                pilot, lambda unit=unit: any(f"word{unit}" in line for line in app.lines()[HEADER:])
            )


async def test_only_lines_with_new_shades_are_repainted() -> None:
    measured = MeasuredUnits(tokenized(TEXTS))
    fill(measured, [0, 1, 11])
    app = Shown(measured)
    async with app.run_test(size=(40, 9)) as pilot:
        await wait_for(pilot, lambda: len(app.strip._page.lines) == 2)
        await pilot.pause()
        app.strip.repainted.clear()
        fill(measured, [8])
        app.strip.advance()
        assert app.strip.repainted == [Region(0, HEADER + 1, 40, 1)]
        app.strip.repainted.clear()
        measured.add([], [])
        app.strip.advance()
        assert app.strip.repainted == []
        app.strip.coloring = "learning_rate"
        app.strip.coloring = "delta_norm"
        fill(measured, [2])
        app.strip.advance()
        assert Region(0, HEADER, 40, 1) in app.strip.repainted


async def test_a_new_run_starts_over() -> None:
    measured = board_of(TEXTS)
    app = Shown(measured)
    async with app.run_test(size=(40, 9)) as pilot:
        app.strip.unit = 11
        await pilot.pause()
        other = MeasuredUnits(tokenized(["x", " y"]))
        app.strip.show(other)
        assert app.lines()[HEADER] == " ∅ x y"
        assert app.strip.unit == 2
        assert "no numbers yet" in app.lines()[1]


async def test_what_came_in_behind_another_tab_is_there_when_it_is_shown() -> None:
    measured = MeasuredUnits(tokenized(TEXTS))
    app = Shown(measured)
    async with app.run_test(size=(40, 9)) as pilot:
        app.strip.display = False
        await pilot.pause()
        fill(measured, range(12))
        app.strip.advance()
        app.strip.display = True
        await wait_for(pilot, lambda: any("is Rome" in line for line in app.lines()))


async def test_hostile_tokens_are_drawn_at_every_size() -> None:
    app = Shown(board_of(HOSTILE))
    async with app.run_test(size=(80, 24)) as pilot:
        for glyphs in (True, False):
            app.strip.glyphs = glyphs
            for size in ((1, 1), (2, 3), (7, 4), (40, 10), (60, 18), (200, 60)):
                await pilot.resize_terminal(*size)
                await wait_for(pilot, lambda size=size: app.strip.outer_size == size)
                width = app.strip.scrollable_content_region.width
                for unit in range(len(HOSTILE) + 1):
                    app.strip.unit = unit
                    assert {app.strip.render_line(y).cell_length for y in range(size[1])} == {width}


async def test_every_colouring_draws() -> None:
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(80, 10)) as pilot:
        for name in COLORINGS:
            assert app.strip.coloring == name
            app.strip.move_coloring(1)
            await pilot.pause()
        assert app.strip.coloring == "delta_norm"


async def test_the_readout_says_where_rounding_alone_makes_the_number() -> None:
    measured = board_of(TEXTS)
    measured.add([msgspec.structs.replace(samples.row(6, 2), delta_noise=1e9)], ())
    app = Shown(measured)
    async with app.run_test(size=(60, 9)) as pilot:
        app.strip.unit, app.strip.shown_layer = 6, 2
        await pilot.pause()
        assert ", within rounding  layer 2  unit 6" in app.lines()[2]
