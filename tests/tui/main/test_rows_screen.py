"""A folder of rows on the screen: every key, the way into the explorer and back, folders that are broken or grow."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from icltui.api.messages import Generate, LoadModel, Measure
from icltui.text.tables import number
from icltui.tui.actions.rows import ROW_ACTIONS
from icltui.tui.app import IcltuiApp
from icltui.tui.dialogs.confirm import UnsavedDialog
from icltui.tui.dialogs.row_texts import RowText, RowTextDialog
from icltui.tui.draw.svg import pane_strips, svg_of
from icltui.tui.main.command_palette import offered
from icltui.tui.main.rows_screen import RowsScreen
from icltui.tui.state.rows.loaded_rows import read_summary
from tests.tui import samples
from tests.tui.conftest import Desk
from tests.tui.fake_client import FakeClient
from tests.tui.golden_text import compare_text
from tests.tui.rows_folders import SUMMARY, a_row, rows_folder
from tests.tui.screen_checks import check_screen, check_widget, shown

TEXTS = Path(__file__).parents[1] / "texts"
SIZES = ((120, 40), (80, 24), (200, 50), (60, 18), (20, 6), (4, 3), (1, 1))


class RowsDesk(Desk):
    """A desk whose first screen is on rows."""

    @property
    def rows(self) -> RowsScreen:
        """The screen on the rows, also while the explorer is before it."""
        screen = self.app.get_screen("rows")
        assert isinstance(screen, RowsScreen)
        return screen

    async def read(self) -> None:
        """Let all that was asked of the rows be there."""
        await self.pilot.pause()
        await self.until(lambda: not self.rows.is_busy and (self.rows.view or self.rows.trouble))
        await self.pilot.pause()

    async def type(self, *keys: str) -> None:
        """Press keys, and see what comes of them."""
        await self.press(*keys)
        await self.read()

    @property
    def column(self) -> str:
        return self.rows.table.column_name

    async def go_to(self, name: str) -> None:
        self.rows.table.go_to_column(name)
        await self.pilot.pause()

    @property
    def prompt(self) -> object:
        """The number of the prompt under the cursor."""
        return self.rows._fields().get("prompt")


@asynccontextmanager
async def browsing(folder: Path, size: tuple[int, int] = (120, 40)) -> AsyncIterator[RowsDesk]:
    """The rows of a folder, read."""
    client = FakeClient()
    app = IcltuiApp(client, LoadModel(), folder=folder)
    async with app.run_test(size=size) as pilot:
        desk = RowsDesk(client, app, pilot)
        await desk.until(lambda: isinstance(app.screen, RowsScreen) and app.screen.is_mounted)
        await desk.read()
        yield desk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return rows_folder(tmp_path / "sweep")


async def test_rows_are_read_without_an_engine(folder: Path) -> None:
    async with browsing(folder) as desk:
        assert "40 rows" in desk.text()
        assert (desk.client.n_starts, desk.client.requests) == (0, [])
        check_screen(desk.app)


def plotting(desk: RowsDesk) -> object:
    return desk.rows.pane.is_plotting


def is_text(desk: RowsDesk) -> object:
    return isinstance(desk.app.screen, RowTextDialog)


KEYS: dict[str, tuple[Callable[[RowsDesk], object], tuple[str, ...]]] = {
    "rows_open": (lambda desk: desk.client.n_starts, ()),
    "rows_filter": (lambda desk: desk.rows.filter_bar.display, ()),
    "rows_sort": (lambda desk: desk.rows.asked.sort, ()),
    "rows_group": (lambda desk: desk.rows.asked.group, ()),
    "rows_plot": (plotting, ()),
    "rows_axis": (lambda desk: desk.rows.axis, ()),
    "rows_log": (lambda desk: desk.rows.is_log, ()),
    "rows_fields": (is_text, ()),
    "rows_summary": (is_text, ()),
    "rows_reload": (lambda desk: id(desk.rows.rows), ()),
    "rows_copy": (lambda desk: len(desk.toasts()), ()),
    "rows_back": (plotting, ("p",)),
    "rows_redraw": (lambda desk: desk.app._frame, ()),
    "rows_help": (is_text, ()),
}


def test_every_key_has_a_case() -> None:
    assert set(KEYS) == {action.id for action in ROW_ACTIONS}
    keys = [key for action in ROW_ACTIONS for key in action.keys.split(",")]
    assert len(keys) == len(set(keys))


async def test_every_key_does_what_it_says(folder: Path) -> None:
    for action in ROW_ACTIONS:
        value, before = KEYS[action.id]
        async with browsing(folder) as desk:
            await desk.go_to("kl_plain")
            await desk.type(*before)
            for key in action.keys.split(","):
                was = value(desk)
                await desk.press(key)
                await desk.until(lambda value=value, was=was: value(desk) != was)  # type: ignore[misc]
                while isinstance(desk.app.screen, RowTextDialog):
                    await desk.press("escape")


async def test_the_palette_offers_what_there_is(folder: Path) -> None:
    async with browsing(folder) as desk:
        offers = offered(desk.rows)
        assert {action.id for action in offers} == {*KEYS, "quit", "theme"}
        for action in offers:
            name = action.action.split("(")[0]
            owner = desk.app if name.startswith("app.") else desk.rows
            assert hasattr(owner, f"action_{name.removeprefix('app.')}")


async def test_a_filter_is_followed_as_it_is_typed(folder: Path) -> None:
    async with browsing(folder) as desk:
        await desk.type("slash", *"kl_plain > 1")
        n = sum(1 for number in range(40) if (kl := a_row(number).kl_plain) is not None and kl > 1)
        assert f"{n} of 40 rows" in desk.text()
        await desk.type(*" and")
        assert "the filter ends where" in desk.text()
        await desk.type("enter")
        assert desk.rows.filter_bar.display, "what cannot be read stays in the bar"
        await desk.type(*["backspace"] * 4, "enter")
        await desk.until(lambda: not desk.rows.filter_bar.display)
        assert desk.rows.asked.filter == "kl_plain > 1"
        await desk.type("slash", *"nowhere", "escape")
        assert desk.rows.view is not None
        assert (desk.rows.asked.filter, desk.rows.view.n_shown) == ("kl_plain > 1", n)


async def test_a_filter_that_lets_nothing_through(folder: Path) -> None:
    async with browsing(folder) as desk:
        await desk.type("slash", *"prompt > 99", "enter")
        assert "No row is let through" in desk.text()
        await desk.type("enter", "v", "p", "s", "b", "escape", "ctrl+g", "x", "y", "j", "G")
        check_screen(desk.app)


async def test_a_group_opens_and_esc_leads_back(folder: Path) -> None:
    async with browsing(folder) as desk:
        await desk.go_to("tags")
        await desk.type("j", "j", "b")
        assert desk.rows.table.n_rows == 4
        assert "grouped by tags" in desk.text()
        await desk.type("j", "enter")
        assert "tags = " in desk.text()
        await desk.type("escape")
        assert (desk.rows.table.row, desk.rows.asked.group) == (1, "tags")
        await desk.type("escape")
        assert (desk.rows.asked.group, desk.rows.table.row, desk.column) == ("", 2, "tags")


async def test_a_row_opens_in_the_explorer_and_esc_comes_back_to_the_place(folder: Path) -> None:
    async with browsing(folder) as desk:
        await desk.go_to("kl_plain")
        await desk.type("s", "s", "j", "j")
        place = (desk.rows.table.row, desk.column, desk.rows.asked, desk.prompt)
        row = desk.rows._fields()
        await desk.press("enter")
        await desk.until(lambda: desk.app.screen is desk.screen and desk.client.requests)
        load = desk.client.requests[0]
        assert isinstance(load, LoadModel)
        assert (load.model, load.dtype) == ("demo", "float32")
        desk.client.finish(samples.LOADED)
        assert isinstance(desk.client.request, Measure)
        assert desk.client.request.prompt.query == row["query"]
        await desk.settle()
        assert desk.screen.context.text == row["context"]
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.rows)
        assert (desk.rows.table.row, desk.column, desk.rows.asked, desk.prompt) == place
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.screen)
        assert desk.client.n_starts == 1


async def test_a_second_row_uses_the_model_that_is_there(folder: Path) -> None:
    async with browsing(folder) as desk:
        await desk.press("enter")
        await desk.settle()
        n = len(desk.client.requests)
        await desk.press("escape", "j", "enter")
        await desk.until(lambda: len(desk.client.requests) > n)
        await desk.settle()
        kinds = [type(request) for request in desk.client.requests[n:]]
        assert LoadModel not in kinds
        assert kinds[:2] == [Measure, Generate]


async def test_what_is_not_saved_is_asked_about_before_another_row(folder: Path) -> None:
    async with browsing(folder) as desk:
        await desk.press("enter")
        await desk.settle()
        desk.screen.context.text = "mine"
        await desk.until(lambda: desk.explorer.is_unsaved)
        await desk.press("escape")
        if desk.app.screen is desk.screen:
            await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.rows)
        await desk.press("j", "enter")
        await desk.until(lambda: isinstance(desk.app.screen, UnsavedDialog))
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.rows)
        assert desk.explorer.settings.prompt.context == "mine"


async def test_a_dead_engine_costs_no_row(folder: Path) -> None:
    async with browsing(folder) as desk:
        await desk.press("enter")
        await desk.settle()
        desk.client.die("the engine was ended by signal 9 (SIGKILL)")
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.rows)
        await desk.type("j", "enter")
        await desk.until(lambda: desk.client.n_starts == 2)


async def test_rows_that_come_in_are_read_by_a_key(folder: Path) -> None:
    async with browsing(folder) as desk:
        await desk.go_to("prompt")
        await desk.type("s", "s", "j")
        prompt = desk.prompt
        rows_folder(folder, range(40, 50))
        await desk.type("r")
        assert "50 rows" in desk.text()
        assert desk.prompt == prompt, "the row under the cursor stays"
        (folder / "rows" / "broken.parquet").write_bytes(b"PAR1 nothing")
        await desk.type("r")
        await desk.until(lambda: any("broken.parquet" in toast for toast in desk.toasts()))
        assert any("stay" in toast for toast in desk.toasts())
        assert desk.rows.view is not None
        assert desk.rows.view.n_shown == 50


@pytest.mark.parametrize("trouble", ["broken", "record", "gone", "pyarrow"])
async def test_what_cannot_be_read_is_one_line(
    folder: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {
        "broken": "cannot read",
        "record": "damaged",
        "gone": "experiment.json",
        "pyarrow": "icltui[study]",
    }
    if trouble == "broken":
        (folder / "rows" / "broken.parquet").write_bytes(b"PAR1 nothing")
    elif trouble == "record":
        (folder / "experiment.json").write_text("{")
    elif trouble == "gone":
        (folder / "experiment.json").unlink()
    else:
        monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    async with browsing(folder) as desk:
        assert words[trouble] in desk.rows.trouble
        assert "\n" not in desk.rows.trouble
        await desk.press(
            "enter", "v", "p", "s", "b", "m", "x", "j", "slash", "a", "enter", "escape", "ctrl+g"
        )
        check_screen(desk.app)


@pytest.mark.soak
@pytest.mark.parametrize("keys", [(), ("p",), ("b",), ("v",), ("m",), ("question_mark",), ("slash", "x")])
async def test_every_size_has_room(folder: Path, keys: tuple[str, ...]) -> None:
    async with browsing(folder) as desk:
        await desk.go_to("kl_plain" if keys != ("b",) else "query")
        await desk.type(*keys)
        for size in SIZES:
            await desk.pilot.resize_terminal(*size)
            await desk.pilot.pause()
            for widget in shown(desk.app.screen):  # the explorer below follows once it is shown
                check_widget(widget)


async def test_plots_follow_the_column(folder: Path) -> None:
    async with browsing(folder) as desk:
        await desk.go_to("kl_plain")
        await desk.type("p")
        assert "kl_plain: histogram of 34 rows, 6 without a number" in desk.text()
        await desk.type("x")
        await desk.go_to("kl_patched")
        await desk.until(lambda: "against kl_plain: 34 rows" in desk.text())
        await desk.go_to("delta_norms")
        await desk.until(lambda: "median of 40 rows" in desk.text())
        await desk.go_to("query")
        await desk.until(lambda: "query holds no numbers" in desk.text())


async def test_quitting_leaves_at_once(folder: Path) -> None:
    async with browsing(folder) as desk:
        await desk.press("ctrl+q")
        await desk.until(lambda: desk.app._exit)


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 18)])
async def test_no_number_of_a_summary_is_cut(folder: Path, size: tuple[int, int]) -> None:
    async with browsing(folder, size) as desk:
        await desk.type("m")
        page = desk.app.screen.query_one(RowText).query_one(Static)
        lines = [strip.text for strip in page.render_lines(page.size.region)]
        words = {word for line in lines for word in line.split()}
        numbers = (cell for cell in SUMMARY.tables[0].rows[0][1:] if isinstance(cell, float))
        assert {number(cell) for cell in numbers} <= words


async def test_a_summary_that_cannot_be_read_is_none(folder: Path) -> None:
    for damaged in (b"", b"{", b"[" * 100_000, b"\xff", b'{"title": 3}'):
        (folder / "summary.json").write_bytes(damaged)
        assert read_summary(folder) is None
    async with browsing(folder) as desk:
        await desk.type("m")
        assert isinstance(desk.app.screen, RowsScreen)


LOOKS: dict[str, tuple[str, ...]] = {
    "table": (),
    "groups": ("b",),
    "histogram": ("p",),
    "fields": ("v",),
    "summary": ("m",),
    "filtering": ("slash", *"kl_plain > "),
}


@pytest.mark.parametrize("look", LOOKS)
async def test_what_it_looks_like(folder: Path, look: str, is_rewritten: bool) -> None:
    async with browsing(folder, (80, 24)) as desk:
        await desk.go_to("tags" if look == "groups" else "kl_plain")
        await desk.type("j", "j", *LOOKS[look])
        text = desk.text().replace(str(folder), "sweep".ljust(len(str(folder))))
        lines = text.splitlines()[1:]  # the first names a folder of this run
        compare_text(
            "\n".join(line.rstrip() for line in lines) + "\n", TEXTS / f"rows-{look}-80x24.txt", is_rewritten
        )


async def rows_picture(desk: RowsDesk) -> None:
    """The table and a scatter below it."""
    await desk.go_to("kl_plain")
    await desk.type("s", "s", "x")
    await desk.go_to("kl_patched")
    await desk.type("j", "j", "j", "p")


def test_a_picture_of_a_plot(folder: Path, snap_compare: Callable[..., bool]) -> None:
    client = FakeClient()
    app = IcltuiApp(client, LoadModel(), folder=folder)

    async def run(pilot: Pilot[None]) -> None:
        desk = RowsDesk(client, app, pilot)
        await desk.until(lambda: isinstance(app.screen, RowsScreen) and app.screen.is_mounted)
        await desk.read()
        await rows_picture(desk)
        await pilot.pause()
        picture = re.sub(r"icltui-[0-9a-f]{12}", "pane", svg_of(pane_strips(desk.rows.pane), "rows"))
        app.export_screenshot = lambda **_: picture  # type: ignore[method-assign]

    assert snap_compare(app, terminal_size=(120, 40), run_before=run)
