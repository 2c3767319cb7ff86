"""Editors whose letters are commands until the user writes: what begins and ends that, and what a newcomer meets."""

import pytest
from textual.events import AppBlur, AppFocus, Paste

from icltui.tui.terminal.input_events import InputEvents
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk


async def test_focus_is_not_writing_and_the_title_says_so(desk: Desk) -> None:
    await desk.press("1", "5")
    assert desk.screen.numbers.current == "plots"
    await desk.press("1")
    await desk.until(lambda: "1 Context · i or ⏎ writes" in desk.text())
    await desk.press("enter", "5")
    await desk.until(lambda: "1 Context · writing, esc ends" in desk.text())
    assert desk.screen.context.text == "5" + samples.CONTEXT
    await desk.press("escape", "5")
    assert desk.screen.numbers.current == "plots"
    await desk.until(lambda: "writes" not in desk.text())


async def test_letters_move_where_nothing_is_written(desk: Desk) -> None:
    context = desk.screen.context
    await desk.press("1", "l", "l", "h")
    assert context.cursor_location == (0, 1)
    await desk.press("G")
    assert context.cursor_location == context.document.end
    await desk.press("k", "g", "ctrl+d")
    half = context.cursor_location
    await desk.press("ctrl+u")
    assert half > context.cursor_location == (0, 0)
    assert context.text == samples.CONTEXT
    await desk.press("i", "ctrl+d")
    assert context.text == samples.CONTEXT[1:]


async def test_a_paste_is_text_and_no_command(desk: Desk) -> None:
    n_jobs, context = desk.client.job, desk.screen.context
    await desk.press("1")
    desk.app.post_message(Paste("vvv\n4d"))
    await desk.until(lambda: context.text == "vvv\n4d" + samples.CONTEXT)
    await desk.press("ctrl+z")
    assert context.text == samples.CONTEXT
    assert not context.takes_text
    assert desk.client.job == n_jobs


async def test_a_paste_that_nothing_takes_is_refused_in_one_line(desk: Desk) -> None:
    n_jobs = desk.client.job
    await desk.press("4")
    desk.app.post_message(Paste("vvv\n4d"))
    await desk.until(lambda: any("not pasted: 1 leads to the context" in toast for toast in desk.toasts()))
    assert desk.screen.context.text == samples.CONTEXT
    assert desk.client.job == n_jobs
    await desk.press("1")
    desk.app.post_message(Paste("A line"))
    await desk.until(lambda: desk.screen.context.text == "A line" + samples.CONTEXT)
    assert sum("not pasted" in toast for toast in desk.toasts()) == 1


async def test_the_second_click_writes(desk: Desk) -> None:
    context = desk.screen.context
    await desk.pilot.click("#context", offset=(3, 1))
    assert desk.screen.focused is context
    assert not context.takes_text
    await desk.pilot.click("#context", offset=(3, 1))
    assert context.takes_text
    await desk.pilot.click("#query", offset=(3, 1))
    assert not context.takes_text


async def test_tab_goes_on_writing_in_the_query_and_leaves_it(desk: Desk) -> None:
    await desk.press("1", "i", "a", "tab", "b", "shift+tab", "c", "tab", "tab", "4")
    assert desk.screen.context.text == "ac" + samples.CONTEXT
    assert desk.screen.question.text == "b" + samples.QUERY
    assert desk.screen.numbers.current == "stream"
    assert not desk.screen.question.takes_text


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_a_new_session_is_written_at_once(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        await desk.press("9", "ctrl+n", *"v4/")
        assert desk.screen.focused is desk.screen.context
        assert desk.screen.context.text == "v4/"
        await desk.drawn()
        assert "1 Context · writing" in desk.text()


async def test_escape_and_a_key_in_one_read_are_both(desk: Desk) -> None:
    for sent, is_done in (
        (b"\x1b4", lambda: desk.screen.focused is desk.screen.numbers.stream),
        (b"\x1bd", lambda: desk.explorer.settings.is_delta_on),
    ):
        await desk.press("1", "i")
        for message in InputEvents().feed(sent, 1.0):
            desk.app.post_message(message)
        await desk.until(is_done)
        assert desk.screen.context.text == samples.CONTEXT
        assert not desk.screen.context.takes_text


async def test_a_newcomer_who_types_is_told_once(desk: Desk) -> None:
    await desk.press("1", *"Tyy")
    assert sum("i or ⏎ writes" in line for line in desk.toasts()) == 1
    assert desk.screen.context.text == samples.CONTEXT


async def test_another_window_does_not_end_writing() -> None:
    async with open_desk(samples.session(), size=(120, 40)) as desk:
        await desk.settle()
        await desk.press("1", "i", "a")
        for leaves in (AppBlur(), AppFocus()):
            desk.app.post_message(leaves)
            await desk.drawn()
        assert desk.screen.context.takes_text
        await desk.press("b")
        assert desk.screen.context.text.startswith("ab")
        await desk.press("escape", "4")
        assert not desk.screen.context.takes_text
