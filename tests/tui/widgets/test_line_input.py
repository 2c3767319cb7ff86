"""One line to type into, of which nothing is lost but what is behind its end."""

from collections.abc import AsyncIterator

import pytest
from textual.app import App, ComposeResult
from textual.events import Key, Paste

from icltui.tui.widgets.line_input import LineInput
from tests.waiting import idle, until


class Page(App[None]):
    """A field."""

    def compose(self) -> ComposeResult:
        yield LineInput("abcd", select_on_focus=False)


@pytest.fixture
async def field() -> AsyncIterator[LineInput]:
    async with Page().run_test() as pilot:
        yield pilot.app.query_one(LineInput)


@pytest.mark.parametrize(
    ("pasted", "line"),
    [
        ("x\x0b\x0c\x1c\x85\u2028y", "ax\x0b\x0c\x1c\x85\u2028yd"),
        ("x\ny", "axd"),
        ("x\r\ny", "axd"),
        ("\nx", "ad"),
        ("", "ad"),
    ],
)
async def test_the_first_line_of_a_paste_takes_the_place_of_what_is_selected(
    field: LineInput, pasted: str, line: str
) -> None:
    field.selection = type(field.selection)(1, 3)
    await field._on_message(Paste(pasted))
    assert field.value == line


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        ("x backspace backspace y", "abcy"),
        ("home delete z", "zbcd"),
        ("end left y", "abcyd"),
        ("ctrl+u z", "z"),
    ],
)
async def test_keys_that_come_at_once_are_done_in_order(field: LineInput, sent: str, line: str) -> None:
    field.focus()
    field.cursor_position = 4
    await idle()
    for key in sent.split():
        field.app.post_message(Key(key, key if len(key) == 1 else None))
    await until(lambda: {"y", "z"} & {*field.value})
    await idle()
    assert field.value == line
