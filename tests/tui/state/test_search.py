"""Where a word stands, in pieces, on a measurement and in lines."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.state.search import Search, find_in_lines, find_in_pieces, find_in_units, pattern
from icltui.values import Token, TokenizedPrompt, Unit
from tests.tui import samples


def measured(*texts: str) -> MeasuredUnits:
    """One unit for each text, all measured."""
    units = tuple(Unit(index=at, text=text, tokens=1) for at, text in enumerate(texts, 1))
    tokens = tuple(Token(id=at, text=text) for at, text in enumerate(texts))
    one = MeasuredUnits(TokenizedPrompt(prefix=(), context=tokens, query=(), units=units))
    one.add([samples.row(unit, 0) for unit in range(len(texts) + 1)], [])
    return one


@pytest.mark.parametrize(
    ("word", "text", "is_found"),
    [
        ("rome", " ROME", True),
        ("Rome", " ROME", False),
        ("Rome", " Rome", True),
        ("a.c", "abc", False),
        ("[/INST]", "x[/INST]", True),
        ("is rome", "is\nRome", True),
        ("·rome", " Rome", True),
        ("⏎the", "\nThe", True),
        ("\\", "a\\b", True),
    ],
)
def test_smart_case_and_gaps(word: str, text: str, is_found: bool) -> None:
    assert bool(pattern(word).search(text)) == is_found


def test_a_word_over_several_pieces_is_found_where_it_begins() -> None:
    assert find_in_pieces("madrid", [" Mad", "rid", " Madrid"]) == (0, 2)
    assert find_in_pieces(" rome", ["of ", "Rome"]) == (1,), "the gap belongs to the piece before"
    assert find_in_pieces("", ["a"]) == ()


@given(st.text(), st.lists(st.text()))
def test_any_text_is_searched(word: str, pieces: list[str]) -> None:
    assert all(0 <= place < max(len(pieces), 1) for place in find_in_pieces(word, pieces))


@given(st.lists(st.text(alphabet="ab", min_size=1), min_size=1), st.data())
def test_whatever_is_there_is_found(pieces: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(pieces) - 1))
    first = "".join(pieces).find(pieces[at])
    found = find_in_pieces(pieces[at], pieces)
    assert found
    assert len("".join(pieces[: found[0]])) <= first


def test_units_and_the_turns_of_the_next_token() -> None:
    sample = MeasuredUnits.from_measurement(samples.MEASUREMENT)
    turn = samples.N_UNITS // 2
    rome = next(unit for unit in range(1, 20) if "Rome" in sample.unit_text(unit))
    assert find_in_units("rome", sample) == (turn, rome)
    assert find_in_units("paris", sample) == (0,), "the row where it comes up, not each that keeps it"


def test_only_what_is_measured_is_found() -> None:
    half = MeasuredUnits(samples.TOKENIZED.tokens)
    half.add(samples.chunk(0, 3).rows, samples.chunk(0, 3).predictions)
    assert find_in_units("oslo", half) == ()


def test_round_and_round() -> None:
    found = Search("x", (2, 5, 9))
    assert found.words() == "·/3"
    assert found.from_place(5).place == 5
    assert found.from_place(10).place == 2
    assert found.step(5, 1).place == 9
    assert found.step(9, 1).words() == "1/3"
    assert found.step(2, -1).place == 9
    assert found.step(3, -1).place == 2
    assert found.at_place(9).words() == "3/3"
    assert found.at_place(4).place is None
    assert Search("x").step(0, 1).words() == "not found"


def test_a_wrapped_line_reads_on() -> None:
    assert find_in_lines("out of memory", ["cuda is out of   ", "memory"]) == (0,)
    assert find_in_lines("memory", ["cuda is out of   ", "memory"]) == (1,)


def test_thousands_of_units_take_no_time() -> None:
    large = measured(*(f" word{at}" for at in range(5000)))
    began = process_time()
    assert len(find_in_units("4", large)) > 1000
    assert process_time() - began < 0.5
