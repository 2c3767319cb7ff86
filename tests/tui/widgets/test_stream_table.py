"""The stream table shows units as they come, and says which one the user chose."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from icltui.tui.draw.table_columns import columns
from icltui.tui.draw.unit_texts import own_part
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.stream_table import StreamTable
from tests.tui import HOSTILE, board_of, fill, prediction_of, samples, tokenized, wait_for

TEXTS = [f"t{i}" for i in range(1, 61)]


class Shown(App[None]):
    """A table alone, and the facts it posts."""

    def __init__(self, measured: MeasuredUnits) -> None:
        super().__init__()
        self.table = StreamTable()
        self.measured = measured
        self.selected: list[int] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.focus()
        self.table.show(self.measured)

    def on_unit_cursor_moved(self, event: StreamTable.Moved) -> None:
        self.selected.append(event.unit)

    def lines(self) -> list[str]:
        return [self.table.render_line(y).text.rstrip() for y in range(self.table.size.height)]


async def test_an_empty_board_says_what_to_do() -> None:
    app = Shown(MeasuredUnits())
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        assert "a run fills them" in app.lines()[0]


async def test_a_begun_board_says_what_it_waits_for() -> None:
    measured = MeasuredUnits(tokenized(TEXTS))
    app = Shown(measured)
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        assert app.lines()[0] == "Measuring 60 units…"


async def test_rows_show_the_numbers_of_the_layer() -> None:
    app = Shown(board_of([" Rome", "b"]))
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        head, empty, first = app.lines()[:3]
        assert head.split() == ["#", "token", "‖δ‖", "h", "‖ΔW‖/‖W‖", "net", "next", "token", "p"]
        assert empty.split() == ["❯", "0", "∅", "·", "0.010", "·", "0", "·Paris", "0.750"]
        assert first.split() == ["1", "·Rome", "▏", "1.000", "0.010", "1.0e-03", "0.500", "·Paris", "0.750"]
        app.table.shown_layer = 3
        assert "1.03" in app.lines()[2]


async def test_a_changed_next_token_is_marked() -> None:
    measured = board_of(["a", "b"])
    measured.add([], [prediction_of(2, " Rome", 8)])
    app = Shown(measured)
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        assert ["▸" in line for line in app.lines()[1:4]] == [False, False, True]
        marked = next(s for s in app.table.render_line(3) if "▸" in s.text)
        assert marked.style is not None
        assert marked.style.bold


async def test_a_paint_between_numbers_and_their_row_leaves_no_blank_line() -> None:
    measured = MeasuredUnits(tokenized(TEXTS))
    app = Shown(measured)
    async with app.run_test(size=(80, 70)):
        for units in (range(31), range(31, 61)):
            fill(measured, units)
            app.lines()  # something else has the table painted before it hears of them
            app.table.advance()
            first = [line.lstrip("❯ ").split(" ")[0] for line in app.lines()[: units.stop + 1]]
            assert first == ["#", *map(str, range(units.stop))]


@pytest.mark.parametrize(
    ("keys", "unit"),
    [
        (["j", "down"], 2),
        (["j", "j", "k", "up"], 0),
        (["k"], 0),
        (["G"], 60),
        (["end", "k"], 59),
        (["G", "g"], 0),
        (["end", "home"], 0),
        (["pagedown"], 9),
        (["pagedown", "ctrl+d"], 13),
        (["G", "pageup"], 51),
        (["G", "ctrl+u"], 56),
    ],
)
async def test_keys_move_the_cursor_and_keep_it_in_sight(keys: list[str], unit: int) -> None:
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.press(*keys)
        await wait_for(pilot, lambda: app.table.unit == unit)
        await wait_for(pilot, lambda: any(line.startswith("❯") for line in app.lines()))
        assert next(line for line in app.lines() if line.startswith("❯")).split()[1] == str(unit)
        assert app.lines()[0].split()[0] == "#"


async def test_only_the_user_posts_facts_and_only_on_a_move() -> None:
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(80, 10)) as pilot:
        app.table.unit = 7
        await pilot.press("j", "g", "k")
        await wait_for(pilot, lambda: len(app.selected) >= 2)
        assert app.selected == [8, 0]


async def test_a_click_selects_the_row_under_it() -> None:
    app = Shown(board_of(TEXTS))
    async with app.run_test(size=(80, 10)) as pilot:
        app.table.unit = 30
        await wait_for(pilot, lambda: app.table.scroll_offset.y == 22)
        await pilot.click(StreamTable, offset=(5, 3))
        await wait_for(pilot, lambda: app.selected == [24])
        await pilot.click(StreamTable, offset=(5, 0))
        assert app.selected == [24]


async def test_a_cursor_at_the_end_follows_the_stream() -> None:
    measured = MeasuredUnits(tokenized(TEXTS))
    app = Shown(measured)
    async with app.run_test(size=(80, 10)) as pilot:
        for first in range(0, 40, 8):
            fill(measured, range(first, first + 8))
            app.table.advance()
            assert app.table.unit == first + 7
        await wait_for(pilot, lambda: app.lines()[-1].startswith("❯ 39"))
        await pilot.press("k")
        await wait_for(pilot, lambda: app.table.unit == 38)
        fill(measured, range(40, 61))
        app.table.advance()
        assert app.table.unit == 38
        assert app.selected == [38]


async def test_a_new_run_starts_over() -> None:
    measured = board_of(TEXTS)
    app = Shown(measured)
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.press("j", "j")
        measured = MeasuredUnits(tokenized(["x", "y"]))
        app.table.show(measured)
        assert (app.table.unit, app.lines()[0]) == (0, "Measuring 2 units…")
        fill(measured, [0, 1])
        app.table.advance()
        assert app.table.unit == 1


async def test_another_board_of_the_same_version_is_shown() -> None:
    app = Shown(board_of(["one"]))
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        assert "one" in app.lines()[2]
        app.table.show(board_of(["two"]))
        assert "two" in app.lines()[2]


@given(st.integers(1, 250), st.integers(0, 5000))
def test_columns_fill_the_width_where_there_is_room(width: int, n_units: int) -> None:
    chosen = columns(width, n_units)
    used = sum(column.width for column in chosen) + len(chosen) - 1
    assert all(column.width > 0 for column in chosen)
    assert used <= max(width, 26)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(categories=None), max_size=12), st.integers(20, 140))
def test_any_text_fills_its_cells_exactly(text: str, width: int) -> None:
    measured = board_of([text])
    measured.add([], [prediction_of(1, text)])
    for column in columns(width, 2):
        assert cell_len(column.header()) == column.width
        assert cell_len(column.cell(measured, 1, 0, column.width)) == column.width


async def test_hostile_tokens_are_drawn_at_every_size() -> None:
    measured = board_of(HOSTILE)
    measured.add([], [prediction_of(i + 1, text, i) for i, text in enumerate(HOSTILE)])
    app = Shown(measured)
    async with app.run_test(size=(80, 24)) as pilot:
        for size in ((1, 1), (2, 3), (7, 4), (40, 10), (60, 18), (110, 30), (200, 60)):
            await pilot.resize_terminal(*size)
            await wait_for(pilot, lambda size=size: app.table.outer_size == size)
            width = app.table.scrollable_content_region.width
            assert {app.table.render_line(y).cell_length for y in range(size[1])} == {width}
        assert any("[/INST]" in line for line in app.lines())


@pytest.mark.parametrize("width", [40, 58, 80, 120])
async def test_a_delta_that_rounding_alone_can_make_is_marked(width: int) -> None:
    measured = MeasuredUnits(tokenized(["a", "b", "c"]))
    noises = {1: 1.0, 2: 1e-9, 3: None}
    measured.add(
        [msgspec.structs.replace(samples.row(unit, 0), delta_noise=noises.get(unit)) for unit in range(4)], []
    )
    app = Shown(measured)
    async with app.run_test(size=(width, 10)) as pilot:
        await pilot.pause()
        marked = [("~" in line) for line in app.lines()[1:5]]
    assert marked == [False, True, False, False]


async def test_no_row_stays_blank_whatever_comes_first() -> None:
    """Rows before the newest may still have no numbers, as when a job is stopped: they are drawn all the same."""
    measured = MeasuredUnits(tokenized(TEXTS))
    app = Shown(measured)
    async with app.run_test(size=(80, 70)) as pilot:
        for units in ([0, 1], [5], [12], [20, 19], [40]):
            fill(measured, units)
            app.table.advance()
            await pilot.pause()
            painted = painted_lines(app)
            app.table.forget_lines()
            app.table.refresh()
            await pilot.pause()
            assert painted == painted_lines(app)
            assert [line.lstrip("❯ ").split(" ")[0] for line in painted[1 : max(units) + 2]] == [
                str(unit) for unit in range(max(units) + 1)
            ]


def painted_lines(app: Shown) -> list[str]:
    """What Textual has painted, and not what it would."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


SIZES = {" a": 3.0, " b": 1.0, " c": 50.0, " d": 2.0, " e": 1.5, " f": 2.5}


def sized(units: range = range(7)) -> MeasuredUnits:
    """Units with one peak among them."""
    measured = MeasuredUnits(tokenized(list(SIZES)))
    add_sized(measured, units)
    return measured


def add_sized(measured: MeasuredUnits, units: range) -> None:
    sizes = [0.0, *SIZES.values()]
    rows = [samples.row(unit, 0) for unit in units]
    rows = [
        msgspec.structs.replace(row, delta_norm=sizes[row.unit] if row.unit else None, net_patch_norm=5.0)
        for row in rows
    ]
    measured.add(rows, [prediction_of(unit) for unit in units])


def units_shown(app: Shown) -> list[int]:
    """The units of the rows, from the top."""
    return [int(line.lstrip("❯ ").split(" ")[0]) for line in painted_lines(app)[1:] if line]


async def test_rows_are_sorted_by_each_column_in_turn_and_the_cursor_stays() -> None:
    app = Shown(sized())
    async with app.run_test(size=(80, 12)) as pilot:
        app.table.unit = 2
        seen = []
        for _ in range(8):
            await pilot.press("s")
            await pilot.pause()
            assert app.table.unit == 2
            assert next(line for line in painted_lines(app) if line.startswith("❯")).split()[1] == "2"
            seen.append((app.table.sorted_by and app.table.sorted_by.column, units_shown(app)))
        assert seen[0] == ("delta_norm", [3, 1, 6, 4, 5, 2, 0])
        assert seen[3][1] == [0, 1, 2, 3, 4, 5, 6], "equal numbers are as in the text"
        assert [name for name, _ in seen] == [
            *("delta_norm", "learning_rate", "relative_patch_norm", "net_patch_norm", "probability"),
            *("next", "token", None),
        ]
        assert seen[-1][1] == list(range(7))


async def test_the_order_is_turned_round_and_undone_and_the_title_says_so() -> None:
    app = Shown(sized())
    async with app.run_test(size=(80, 12)) as pilot:
        await pilot.press("s")
        await pilot.pause()
        assert "‖δ‖↓" in painted_lines(app)[0]
        await pilot.press("S")
        await pilot.pause()
        assert "‖δ‖↑" in painted_lines(app)[0]
        assert units_shown(app) == [2, 5, 4, 6, 1, 3, 0], "what has no number comes last"
        await pilot.press("g", "j")
        await pilot.pause()
        assert app.table.unit == 5, "down is the next row"
        await pilot.press("G", "k")
        assert app.table.unit == 3
        await pilot.press("number_sign")
        await pilot.pause()
        assert units_shown(app) == list(range(7))
        await pilot.click(StreamTable, offset=(app.lines()[0].index("‖δ‖") + 1, 0))
        await wait_for(pilot, lambda: units_shown(app)[0] == 3)


async def test_what_streams_in_takes_its_place_in_the_order() -> None:
    measured = sized(range(3))
    app = Shown(measured)
    async with app.run_test(size=(80, 12)) as pilot:
        await pilot.press("s", "g", "j")
        assert app.table.unit == 2
        add_sized(measured, range(3, 7))
        app.table.advance()
        await pilot.pause()
        assert units_shown(app) == [3, 1, 6, 4, 5, 2, 0]
        assert app.table.unit == 2


@pytest.mark.parametrize("is_log", [True, False])
async def test_the_bar_is_as_long_as_the_number_is_great_and_a_peak_is_marked(is_log: bool) -> None:
    app = Shown(sized())
    async with app.run_test(size=(120, 12)) as pilot:
        app.table.is_log = is_log
        await pilot.pause()
        filled = [sum(line.count(mark) for mark in "▏▎▍▌▋▊▉█") for line in app.lines()[1:8]]
        assert filled[3] == max(filled)
        assert filled[0] == 0
        assert ["▲" in line for line in app.lines()[1:8]] == [at == 3 for at in range(7)]
        app.table.measure = "net_patch_norm"
        await pilot.pause()
        assert app.lines()[0].split()[2] == "net", "the chosen number is first"
        assert not any("▲" in line for line in app.lines())


SHOTS = [
    f"The capital of {land} is {city}\n"
    for land, city in (("France", "Paris"), ("Spain", "Madrid"), ("Chad", "X"))
]


async def test_units_show_where_they_differ_and_spare_width_goes_to_their_text() -> None:
    app = Shown(board_of(SHOTS))
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.pause()
        assert ["…Spain" in line for line in app.lines()[1:5]] == [False, False, True, False]
        await pilot.resize_terminal(200, 12)
        await wait_for(pilot, lambda: app.table.size.width > 190)
        assert "The·capital·of·Spain·is·Madrid⏎" in app.lines()[3].replace(" ", "·")


def test_the_least_of_what_is_shared_is_left_out() -> None:
    """A unit that is nearly its neighbour still differs from the others."""
    others = ["The capital of France is Paris", "The capital of Spain is Madrid", "Nothing of it"]
    assert own_part("The capital of France is Rome", others) == "…France is Rome"
    assert own_part("The same", ["The same", "The end"]) == "The same"
