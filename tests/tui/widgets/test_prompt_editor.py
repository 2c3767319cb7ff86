"""Any text can be edited: pasted and taken back, kilobytes in one line, characters that no terminal draws.

What an edit does to a text is held against the same done to a string.
"""

from collections.abc import AsyncIterator, Callable
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from textual.app import App, ComposeResult
from textual.document._document import Location, Selection
from textual.events import Key, Paste
from textual.widgets import TextArea

from icltui.tui.widgets.prompt_editor import PASTE_LIMIT, PromptEditor, drawn
from tests.thinned import thinned
from tests.tui.conftest import Desk
from tests.waiting import idle, until

SEPARATORS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""All that Python splits lines at."""
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


def location(text: str, index: int) -> Location:
    """Where the character of this index stands in an editor."""
    return text.count("\n", 0, index), index - text.rfind("\n", 0, index) - 1


def put(editor: PromptEditor, piece: str, start: Location, end: Location) -> str:
    editor.replace(piece, start, end)
    return piece


def cut(editor: PromptEditor, _piece: str, start: Location, end: Location) -> str:
    """What is selected goes to the clipboard; where nothing is, nothing."""
    if start != end:
        editor.selection = Selection(start, end)
        editor.action_cut()
    return ""


def take_back(editor: PromptEditor, piece: str, start: Location, end: Location) -> str:
    """The same edit twice, and once taken back."""
    put(editor, piece, start, end)
    editor.undo()
    editor.redo()
    return piece


def from_clipboard(editor: PromptEditor, piece: str, start: Location, end: Location) -> str:
    editor.app._clipboard = piece
    editor.selection = Selection(start, end)
    editor.action_paste()
    return piece


Edit = Callable[[PromptEditor, str, Location, Location], str]
TEXTS = st.text(st.one_of(st.sampled_from(SEPARATORS), st.sampled_from("ab \t漢\u0301\x1b")), max_size=12)
EDITS = st.tuples(
    st.sampled_from([put, cut, take_back, from_clipboard]), TEXTS, st.integers(0, 99), st.integers(0, 99)
)


async def test_an_edit_changes_what_was_edited_and_nothing_else(editor: PromptEditor) -> None:
    @settings(max_examples=150, deadline=None)
    @given(TEXTS, st.lists(EDITS, max_size=6))
    @example("one\x0ctwo\u2028three\x85\r\nfour\rfive\n", [(put, "x", 99, 99), (put, SEPARATORS, 3, 9)])
    def holds(text: str, edits: list[tuple[Edit, str, int, int]]) -> None:
        editor.load_text(text)
        texts = [text]
        for edit, piece, first, second in edits:
            start, end = sorted((first % (len(text) + 1), second % (len(text) + 1)))
            editor.history.checkpoint()
            editor.selection = Selection(location(text, start), location(text, end))
            assert editor.selected_text == text[start:end]
            piece = edit(editor, piece, location(text, start), location(text, end))
            if edit is cut and start != end:
                assert editor.app.clipboard == text[start:end]
            if piece or start != end:
                text = text[:start] + piece + text[end:]
                texts.append(text)
            assert editor.text == text
        while editor.history.undo_stack:
            editor.undo()
            assert editor.text in texts
        assert editor.text == texts[0]
        while editor.history.redo_stack:
            editor.redo()
        assert editor.text == texts[-1]
        rows = [editor.wrapped_document.get_sections(row) for row in range(editor.document.line_count)]
        assert "\n".join(map("".join, rows)) == "\n".join(map(drawn, text.split("\n")))

    holds()


@pytest.mark.parametrize("separator", SEPARATORS.replace("\n", ""))
async def test_every_separator_is_drawn_as_one_cell(editor: PromptEditor, separator: str) -> None:
    assert cell_len(drawn(separator)) == 1
    assert drawn(separator).isprintable()
    editor.load_text(f"a{separator}b")
    assert rows_of(editor)[0] == f"a{drawn(separator)}b"
    assert editor.wrapped_document.location_to_offset((0, 2)).x == 2


@pytest.mark.parametrize("text", [f"a{SEPARATORS}b\r\nc\rd", "a\r\n", *map("a{}b".format, SEPARATORS)])
async def test_a_paste_arrives_as_it_was_copied(editor: PromptEditor, text: str) -> None:
    typed = text.replace("\n", "\r")
    for sent in (text, typed):
        editor.load_text("")
        await editor._on_message(Paste(sent))
        # A terminal that types a return for each line end leaves no line feed: then both mean the same.
        assert editor.text == (text if "\n" in sent else sent.replace("\r", "\n"))


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
    editor.load_text("lorem ipsum " * 2500)
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
    editor.load_text("lorem ipsum " * 40)
    blank = [editor.render_line(y) for y in range(3)]
    editor.select_all()
    assert all(editor.render_line(y) != row for y, row in enumerate(blank))


async def test_what_no_terminal_draws_takes_one_cell_and_stays_in_the_text(editor: PromptEditor) -> None:
    text = f"a{INVISIBLE}b" * 20
    editor.load_text(text)
    rows = [row for row in rows_of(editor) if row]
    assert not set(INVISIBLE) & set("".join(rows))
    assert all(cell_len(row) <= editor.size.width for row in rows)
    assert "".join(rows) == drawn(text)
    assert editor.text == text


async def test_the_cursor_stands_where_the_text_is_drawn(editor: PromptEditor) -> None:
    editor.load_text("a\u200d\u200db")
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
    "piece", thinned(["word ", "漢字", "\x1b[31m👍🏽\n", "a line of some words\n", "x" * 500 + "\t"], 2)
)
async def test_what_an_editor_takes_is_not_felt(desk: Desk, piece: str) -> None:
    text = (piece * PASTE_LIMIT)[: PASTE_LIMIT - len(desk.screen.context.text)]
    await desk.press("1", "i", "ctrl+end")
    began = process_time()
    desk.screen.context.post_message(Paste(text))
    await desk.until(lambda: len(desk.screen.context.text) >= PASTE_LIMIT - 1000)
    await desk.drawn()
    pasted = process_time()
    await desk.press("x", "left", "up", "backspace")
    await desk.drawn()
    assert pasted - began < 3.0, "a tenth of it on an idle machine"
    assert process_time() - pasted < 4.0, "four keys, a tenth of a second each on an idle machine"
    assert desk.explorer.settings.prompt.context.count(piece) > 300


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("a b backspace backspace c d", "cd"),
        ("a left b", "ba"),
        ("a enter b backspace c", "a\nc"),
        ("a b home delete c", "cb"),
        ("a b ctrl+z c", "c"),
    ],
)
async def test_keys_that_come_at_once_are_done_in_order(editor: PromptEditor, sent: str, text: str) -> None:
    for key in sent.split():
        editor.app.post_message(Key(key, "\r" if key == "enter" else key if len(key) == 1 else None))
    await until(lambda: "c" in editor.text or "b" in editor.text)
    await idle()
    assert editor.text == text
