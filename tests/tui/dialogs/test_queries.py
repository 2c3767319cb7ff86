"""The two lists of queries: typed, taken from a file, kept or dropped; and what is in neither is told."""

from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_changes
from textual import events
from textual.widgets import Input, Static

from icltui.api.messages import Generate, PatchTested
from icltui.storage.query_file import MOST_QUERIES
from icltui.storage.sessions import read_session, write_session
from icltui.tui.dialogs.queries import QueriesDialog
from icltui.tui.state.query_lists import QueryLists, read_lists, text_of
from icltui.tui.widgets.prompt_editor import PASTE_LIMIT
from icltui.values import LANES
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe
from tests.hostile import TOKENS
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.screen_checks import check_screen

LISTS = QueryLists(("The capital of Egypt is", " and of Peru"), ("The capital of Chad is",))
WITH_QUERIES = with_changes(
    samples.session(), recipe=Recipe(mode="compiled", queries=LISTS.fitted), holdout=LISTS.held_out
)


async def opened(desk: Desk) -> QueriesDialog:
    await desk.press("Q")
    await desk.until(lambda: isinstance(desk.app.screen, QueriesDialog) and desk.app.screen.query("#file"))
    await desk.pilot.pause()
    assert isinstance(desk.app.screen, QueriesDialog)
    return desk.app.screen


def told(dialog: QueriesDialog) -> str:
    return str(dialog.query_one(".error", Static).render())


async def closed(desk: Desk, *keys: str) -> None:
    await desk.press(*keys)
    await desk.until(lambda: desk.app.screen is desk.screen)


# The lists.


@given(st.lists(st.text(st.characters(exclude_characters="\n\r"), min_size=1).filter(str.strip), unique=True))
@settings(deadline=None)
def test_queries_as_text_are_the_queries(queries: list[str]) -> None:
    read = read_lists(text_of(queries), "")
    assert (read.lists.fitted, read.left_out) == (tuple(queries), "")


def test_what_is_in_no_list_is_counted() -> None:
    read = read_lists("a\n\n b\na\r\n  \n", "b\na\nc\nc\n")
    assert read.lists == QueryLists(("a", " b"), ("b", "c"))
    assert read.left_out == "left out: 2 blank, 2 said before, 1 held out but fitted too, so no evidence"
    assert read_lists("", "") == read_lists("\n", "\n"), "where the next query is typed, none is missing"


def test_more_queries_than_can_be_run() -> None:
    with pytest.raises(BadInput, match="10,001 held-out queries: at most 10,000"):
        read_lists("", text_of(map(str, range(MOST_QUERIES + 1))))


# The dialog.


async def test_both_lists_are_typed_and_kept(desk: Desk) -> None:
    dialog = await opened(desk)
    await desk.press(*"one", "enter", *"two", "tab", *"three")
    await desk.until(lambda: "2 queries" in desk.text() and "1 query" in desk.text())
    assert dialog.focused is dialog.query_one("#held-out")
    await closed(desk, "ctrl+s")
    settings = desk.explorer.settings
    assert (settings.recipe.queries, settings.holdout) == (("one", "two"), ("three",))
    assert desk.explorer.is_unsaved
    assert "2 queries to fit a compiled patch on, 1 query to test it on" in desk.toasts()[-1]
    dialog = await opened(desk)
    assert dialog.query_one("#calibration").text == "one\ntwo"


async def test_a_patch_that_is_on_is_made_again_from_them_and_the_one_before_is_marked(desk: Desk) -> None:
    desk.explorer.open(WITH_QUERIES, None)
    await desk.press("d")
    desk.client.finish(*samples.generate(LANES), PatchTested(patch=samples.PATCH))
    await desk.drawn()
    await opened(desk)
    await closed(desk, "enter", *"and of Mali", "ctrl+r")
    request = desk.client.request
    assert isinstance(request, Generate)
    assert request.recipe.queries == (*LISTS.fitted, "and of Mali")
    await desk.drawn()
    assert "edited, ^r runs" in desk.text()


async def test_they_are_saved_and_come_back(desk: Desk, tmp_path: Path) -> None:
    desk.explorer.open(WITH_QUERIES, None)
    await opened(desk)
    await closed(desk, "tab", "enter", *"x", "ctrl+s")
    write_session(tmp_path / "a.json", desk.explorer.session("a"))
    async with open_desk(read_session(tmp_path / "a.json")) as again:
        assert again.explorer.query_lists == QueryLists(LISTS.fitted, (*LISTS.held_out, "x"))


async def test_escape_drops_nothing_that_was_typed_unless_it_is_pressed_twice(desk: Desk) -> None:
    desk.explorer.open(WITH_QUERIES, None)
    await opened(desk)
    await closed(desk, "escape")
    dialog = await opened(desk)
    await desk.press("x", "escape")
    await desk.until(lambda: "esc again drops the changes" in told(dialog))
    await desk.press("y", "escape")
    await desk.until(lambda: "esc again drops the changes" in told(dialog))
    await closed(desk, "escape")
    assert desk.explorer.query_lists == LISTS


async def test_lists_that_nobody_edited_stay_as_they_are(desk: Desk) -> None:
    odd = with_changes(WITH_QUERIES, holdout=(*LISTS.fitted, "a\nb", "", "a\nb"))
    desk.explorer.open(odd, None)
    desk.explorer.is_unsaved = False
    await opened(desk)
    await closed(desk, "ctrl+s")
    assert desk.explorer.settings.holdout == odd.holdout
    assert not desk.explorer.is_unsaved


# A file.


async def test_a_file_is_added_to_the_list_in_focus(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "capitals.txt").write_text("one\n\ntwo\n")
    dialog = await opened(desk)
    await desk.press(*"zero", "tab", "ctrl+l", *"./cap")
    assert dialog.query_one(Input).has_focus
    await desk.press("tab")
    await desk.until(lambda: dialog.query_one(Input).value == "./capitals.txt")
    await desk.press("enter")
    await desk.until(lambda: dialog.query_one("#held-out").text == "one\ntwo")
    await desk.until(lambda: dialog.query_one("#held-out").has_focus)
    await desk.press("ctrl+z")
    assert dialog.query_one("#held-out").text == ""
    await desk.press("f3", *"./capitals.txt", "enter")
    await desk.until(lambda: dialog.query_one("#held-out").text == "one\ntwo")
    await closed(desk, "ctrl+s")
    assert desk.explorer.query_lists == QueryLists(("zero",), ("one", "two"))


async def test_a_file_that_cannot_be_added_is_told(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_text("a line of some length\n" * (PASTE_LIMIT // 20))
    dialog = await opened(desk)
    field = dialog.query_one(Input)
    for name, words in {
        "": "no file: type its path",
        "/nowhere": "cannot read '/nowhere'",
        "~nobody-of-that-name/q": "no user",
        "empty": "holds no query",
        "/dev/null": "is not a file of queries",
        "large": f"an editor takes {PASTE_LIMIT:,}",
    }.items():
        field.focus()
        field.value = name
        await desk.press("enter")
        await desk.until(lambda words=words: words in told(dialog))
    assert dialog.query_one("#calibration").text == ""


# Any text, any room.


@pytest.mark.parametrize("size", [(80, 24), (60, 18)], ids=str)
async def test_any_text_in_little_room(size: tuple[int, int]) -> None:
    hostile = with_changes(WITH_QUERIES, recipe=Recipe(queries=tuple(TOKENS)), holdout=("[/INST]", "\x1b[2J"))
    async with open_desk(hostile, size=size) as desk:
        await desk.settle()
        dialog = await opened(desk)
        dialog.query_one("#calibration").post_message(events.Paste("\n".join(TOKENS)))
        await desk.press("x", "tab", "x", "tab", *"[/x]", "enter")
        await desk.until(lambda: "cannot read '[/x]'" in told(dialog))
        check_screen(desk.app)
        assert all(dialog.query_one(f"#{name}").size.height >= 3 for name in ("calibration", "held-out"))
        assert dialog.query_one("#file").region.bottom < size[1]


async def test_many_lines_are_quick_to_edit(desk: Desk) -> None:
    """In time of the processor, and against a list of ten lines, as the machine may be busy."""
    times = []
    for n in (10, MOST_QUERIES):
        desk.explorer.change_queries(QueryLists(tuple(f"query number {at}" for at in range(n)), ()))
        await opened(desk)
        await desk.until(lambda n=n: f"{n:,} queries" in desk.text())
        began = process_time()
        await desk.press(*"abcdefgh")
        await desk.pilot.pause()
        times.append(process_time() - began)
        await closed(desk, "escape", "escape")
    assert times[1] < 12 * times[0]
