"""Any text can be edited: pasted and taken back, kilobytes in one line, characters that no terminal draws."""

from collections.abc import AsyncIterator
from time import process_time

import pytest
from rich.cells import cell_len
from rich.text import Text
from textual.app import App, ComposeResult
from textual.events import Paste
from textual.widgets import TextArea

from icltui.tui.widgets.prompt_editor import PASTE_LIMIT, PromptEditor, drawn
from tests.tui.conftest import Desk

INVISIBLE = "\u200b\u200d\ufeff\ufe0f\U000e0001\U000e0100\u2060\xad"


class Page(App[None]):
    """An editor, 40 cells wide, and one of Textual's own beside it."""

    CSS = "Screen { layout: horizontal; } TextArea { width: 40; height: 24; border: none; padding: 0; }"

    def compose(self) -> ComposeResult:
        yield PromptEditor("Text", id="editor", placeholder="")
        yield TextArea(id="other")


@pytest.fixture
async def editor() -> AsyncIterator[PromptEditor]:
    """An empty editor with the focus."""
    async with Page().run_test(size=(120, 40)) as pilot:
        one = pilot.app.query_one(PromptEditor)
        one.focus()
        await pilot.pause()
        yield one


def rows_of(editor: TextArea) -> list[str]:
    """What is drawn, row by row."""
    return [editor.render_line(y).text.rstrip() for y in range(editor.size.height)]


async def test_a_paste_taken_back_and_done_again(desk: Desk) -> None:
    await desk.press("1")
    before = desk.screen.context.text
    desk.screen.context.insert("lorem ipsum\n" * 30)
    await desk.pilot.pause()
    after = desk.screen.context.text
    await desk.press("ctrl+z")
    assert desk.screen.context.text == before
    await desk.press("ctrl+y")
    assert desk.screen.context.text == after
    await desk.press("ctrl+z")
    assert desk.screen.context.text == before


async def test_a_key_in_a_long_line_costs_a_few_texts_a_row(
    editor: PromptEditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor.load("lorem ipsum " * 2500)
    editor.move_cursor(editor.document.end)
    n_texts = 0
    make = Text.__init__

    def count(self: Text, *args: object, **options: object) -> None:
        nonlocal n_texts
        n_texts += 1
        make(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Text, "__init__", count)
    editor.insert("!")
    rows_of(editor)
    assert 0 < n_texts < 20 * editor.size.height


@pytest.mark.parametrize("line", ["lorem ipsum " * 40, "a\tbc\t" * 60, "漢字" * 80, "x" * 400, "\t" * 100])
async def test_a_long_line_is_drawn_as_any_text_area_draws_it(editor: PromptEditor, line: str) -> None:
    other = editor.app.query_one("#other", TextArea)
    for area in (editor, other):
        area.load_text(line)
        area.select_all()
    assert editor.wrapped_document.get_offsets(0)
    assert rows_of(editor) == rows_of(other)


async def test_a_selection_over_rows_is_drawn_in_each(editor: PromptEditor) -> None:
    editor.load("lorem ipsum " * 40)
    blank = [editor.render_line(y) for y in range(3)]
    editor.select_all()
    assert all(editor.render_line(y) != row for y, row in enumerate(blank))


async def test_what_no_terminal_draws_takes_one_cell_and_stays_in_the_text(editor: PromptEditor) -> None:
    text = f"a{INVISIBLE}b" * 20
    editor.load(text)
    rows = [row for row in rows_of(editor) if row]
    assert not set(INVISIBLE) & set("".join(rows))
    assert all(cell_len(row) <= editor.size.width for row in rows)
    assert "".join(rows) == drawn(text)
    assert editor.prompt_text == text


async def test_the_cursor_stands_where_the_text_is_drawn(editor: PromptEditor) -> None:
    editor.load("a\u200d\u200db")
    editor.move_cursor((0, 3))
    assert editor.wrapped_document.location_to_offset((0, 3)).x == 3
    assert editor.get_line(0).plain[3] == "b"


async def test_a_megabyte_is_refused_in_one_line_and_loses_nothing(desk: Desk) -> None:
    await desk.press("1")
    before = desk.screen.context.text
    desk.screen.context.post_message(Paste("word " * 200_000))
    await desk.until(desk.toasts)
    (line,) = desk.toasts()
    assert line.startswith("not pasted: the context would have 1,000,0")
    assert "an editor takes 200,000: paste less" in line
    assert desk.screen.context.text == before


@pytest.mark.parametrize(
    "piece", ["word ", "漢字", "\x1b[31m👍🏽\n", "a line of some words\n", "x" * 500 + "\t"]
)
async def test_what_an_editor_takes_is_not_felt(desk: Desk, piece: str) -> None:
    text = (piece * PASTE_LIMIT)[: PASTE_LIMIT - len(desk.screen.context.text)]
    await desk.press("1", "ctrl+end")
    began = process_time()
    desk.screen.context.post_message(Paste(text))
    await desk.until(lambda: len(desk.screen.context.text) >= PASTE_LIMIT - 1000)
    await desk.drawn()
    pasted = process_time()
    await desk.press("x", "left", "up", "backspace")
    await desk.drawn()
    assert pasted - began < 3.0, "a tenth of it on an idle machine"
    assert process_time() - pasted < 4.0, "four keys, a tenth of a second each on an idle machine"
    assert desk.explorer.work.prompt.context.count(piece) > 300
