"""Any text becomes one safe line of exact width, any number one of exact width."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.widgets import Static

from icltui.text.escape import glyph
from icltui.tui.draw.safe_text import content, display, drawn, fit, graduate, number, passage
from tests.hostile import cells_of
from tests.tui import HOSTILE

ANY_TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(categories=None), max_size=30))
"""Lone surrogates and control characters are among the characters."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" capital", "·capital"),
        ("a b ", "a b·"),
        ("   ", "···"),
        ("a\nb", "a⏎b"),
        ("\tx", "⇥x"),
        ("\r\n", "␍⏎"),
        ("\x1b[31m", "␛[31m"),
        ("\x7f\x9f", "␡\\x9f"),
        ("\u202eabc", "\\u202eabc"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\u0301", "◌\u0301"),
        ("e\u0301", "e\u0301"),
        ("❤\ufe0f", "❤\\ufe0f"),
        ("[/INST]", "[/INST]"),
        ("漢字", "漢字"),
        ("\u2800\u3164", "\\u2800\\u3164"),
        ("", ""),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert display(text) == shown


@given(ANY_TEXT)
def test_display_is_printable_and_one_line(text: str) -> None:
    shown = display(text)
    assert shown.isprintable()
    shown.encode("utf-8")


@given(ANY_TEXT, st.integers(0, 40))
def test_fit_is_exact(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


def test_every_character_is_as_wide_for_each_terminal() -> None:
    """Alone, as a token is, and by both counts: a lone skin tone is no cell to some, and two to others."""
    for character in map(chr, range(0x110000)):
        if character.isprintable():
            cells_of(glyph(character))
            cells_of(drawn(character))


def test_fit_cuts_visibly_and_pads() -> None:
    assert fit("capital", 4) == "cap…"
    assert fit("漢字かな", 4) == "漢… "
    assert fit("ab", 4) == "ab  "
    assert fit("ab", 0) == ""


@given(ANY_TEXT)
def test_no_token_is_an_empty_cell(text: str) -> None:
    assert fit(text, 12).strip()


@given(ANY_TEXT, st.integers(0, 30), st.integers(0, 30))
def test_a_passage_is_printable_and_marks_its_own_characters(text: str, first: int, n: int) -> None:
    whole = passage(text, first, first + n, "bold")
    assert whole.plain.isprintable()
    assert whole.plain == passage(text).plain
    marked = "".join(whole.plain[span.start : span.end] for span in whole.spans)
    assert marked.strip("·◌ ") == display(text[first : first + n]).strip("·◌ ")


@given(ANY_TEXT)
def test_content_reads_no_markup(text: str) -> None:
    assert content(text).plain == display(text)


async def test_hostile_content_does_not_end_an_app() -> None:
    class Shown(App[None]):
        def compose(self) -> ComposeResult:
            for text in HOSTILE:
                yield Static(content(text, "bold"))

    async with Shown().run_test(size=(20, 20)) as pilot:
        await pilot.pause()
        assert "[/INST]" in pilot.app.export_screenshot().replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "·"),
        (math.nan, "·"),
        (math.inf, "·"),
        (0.0, "0"),
        (0.412, "0.412"),
        (0.021, "0.021"),
        (0.0079, "7.9e-03"),
        (12.34, "12.3"),
        (-0.5, "-0.500"),
        (1234.0, "1234"),
        (1.0, "1.000"),
        (0.99996, "1.000"),
        (1.0000001, "1.000"),
        (-1.0, "-1.000"),
        (1.01, "1.01"),
        (1e-300, "1.0e-300"),
        (1.2e-7, "1.2e-07"),
        (3e12, "3.0e+12"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value, 9) == text.rjust(9)


@given(st.one_of(st.none(), st.floats()), st.integers(0, 12))
def test_number_is_exact(value: float | None, width: int) -> None:
    assert len(number(value, width)) == width


@given(st.floats(-1e300, 1e300))
def test_a_wide_number_is_right_to_five_percent(value: float) -> None:
    assert math.isclose(float(number(value, 12)), value, rel_tol=0.051)


@given(st.floats(-1e300, 1e300).filter(bool), st.integers(1, 12))
def test_only_nothing_reads_as_nothing(value: float, width: int) -> None:
    text = number(value, width).strip()
    assert set(text) == {"#"} or float(text) != 0


def test_a_number_loses_digits_before_its_meaning() -> None:
    assert [number(0.412, width) for width in (5, 4, 3, 2)] == ["0.412", "0.41", "0.4", "##"]
    assert number(0.04, 3) == "###"


def test_graduations_tell_numbers_apart() -> None:
    assert graduate([0.0082001, 0.0082002]) == ["0.0082001", "0.0082002"]
    assert graduate([2.0, 2.0]) == ["2", "2"]
