"""The help as lines."""

import pytest
from rich.cells import cell_len

from icltui.tui.dialogs.help import help_sections, section
from icltui.tui.widgets.help_text import HelpBlock, HelpText, wrapped
from tests.tui.conftest import Desk

BLOCKS = [block for title, rows in help_sections().items() for block in section(title, rows)]


@pytest.mark.parametrize("width", [1, 20, 57, 96])
def test_no_line_is_wider_and_no_word_is_lost(width: int) -> None:
    for block in BLOCKS:
        lines = ["".join((styled, plain)) for styled, _, plain in block.lines(width)]
        if width > 40:
            assert max(map(cell_len, lines)) <= width
        found = "".join("".join(line.split()) for line in lines)
        assert found == "".join((block.head + block.meaning).split())


def test_wide_characters_are_cut_by_cells() -> None:
    assert max(map(cell_len, wrapped("語語語 ab", 4))) <= 4
    assert wrapped("", 9) == [""]
    assert [line for line, *_ in HelpBlock("everything", is_rule=True).lines(20)] == ["──── everything ────"]


async def test_what_is_selected_is_copied_as_it_reads(desk: Desk) -> None:
    await desk.press("question_mark")
    await desk.until(lambda: "How to read it" in desk.text())
    text = desk.app.screen.query_one(HelpText)
    desk.app.screen.text_select_all()
    selected = desk.app.screen.get_selected_text()
    assert selected is not None
    assert "How to read it" in selected
    await desk.drawn()
    chosen = desk.app.screen.get_component_rich_style("screen--selection").bgcolor
    assert chosen in {segment.style.bgcolor for segment in text.render_line(0) if segment.style}
