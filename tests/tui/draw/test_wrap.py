"""A text in its units is set in lines that hold all of it and are never too wide."""

import doctest

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from icltui.tui.draw import wrap as module
from icltui.tui.draw.safe_text import readable
from icltui.tui.draw.wrap import WrappedText, wrap_units
from tests.tui import HOSTILE, samples


def lines(page: WrappedText) -> list[str]:
    return ["".join(piece.text for piece in line) for line in page.lines]


def page_of(*texts: str, width: int = 40) -> WrappedText:
    return wrap_units(enumerate(texts, start=1), width)


def test_the_examples_hold() -> None:
    assert doctest.testmod(module).failed == 0


def test_a_text_reads_as_it_is() -> None:
    units = ((unit.index, unit.text) for unit in samples.TOKENS.units)
    assert lines(wrap_units(units, 24)) == [
        "The capital of Spain is ",
        "Cairo.⏎",
        "The capital of France ",
        "is Rome.⏎",
        "The capital of Egypt is ",
        "Oslo.⏎",
    ]


def test_a_word_of_several_units_stays_whole() -> None:
    assert lines(page_of("one", " two", "three", width=8)) == ["one ", "twothre", "e"]
    assert lines(page_of("one", " tw", "oth", width=8)) == ["one ", "twoth"]


def test_line_ends_tabs_and_blanks_are_seen() -> None:
    page = page_of("a\n", "\n", "\tb", "", "  ", "\x1b[31m", "c")
    assert lines(page) == ["a⏎", "⏎", "⇥b␣  ␛[31mc"]
    assert set(page.rows) == {1, 2, 3, 4, 5, 6, 7}


def test_places_and_units_find_each_other() -> None:
    page = page_of("one", " two", " a-very-long-word", " x", width=8)
    assert lines(page) == ["one two ", "a-very-", "long-wo", "rd x"]
    assert (page.rows[3], page.last_rows[3]) == (0, 3)
    assert (page.unit_at(0, 3), page.unit_at(2, 6), page.unit_at(3, 3)) == (2, 3, 4)
    assert (page.unit_at(3, 30), page.unit_at(3, 30, nearest=True), page.unit_at(9, 0)) == (None, 4, None)
    assert page.column(2) == 3


@given(st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12)), max_size=12), st.integers(-1, 30))
def test_nothing_is_lost_and_nothing_too_wide(texts: list[str], width: int) -> None:
    page = page_of(*texts, width=width)
    for line in page.lines:
        assert sum(piece.width for piece in line) <= max(width, 2)
        assert [piece.column for piece in line] == [
            sum(before.width for before in line[:at]) for at in range(len(line))
        ]
        assert all(piece.width == cell_len(piece.text) and "\n" not in piece.text for piece in line)
    for unit, text in enumerate(texts, start=1):
        found = "".join(piece.text for line in page.lines for piece in line if piece.unit == unit)
        assert found.replace("◌", "") == (readable(text) or "␣").replace("◌", "")
