"""Units that fit the length of a context, and units that are opened into their tokens."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from icltui.engine.measure.measure import Measurer
from icltui.engine.measure.predictions import Vocabulary
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes
from icltui.engine.prompts.tokenize import tokenize
from icltui.engine.prompts.units import split_units
from icltui.values import Token, Unit
from icltui.values.measurement import whole_number
from icltui.values.prompt import Prompt
from icltui.values.unit_choice import FEWEST, MOST, SHORT, UnitChoice
from tests.engine.small_models import tiny


def cut(unit: str, context: str) -> tuple[list[Unit], tuple[int, ...], list[str]]:
    """The units of a context each of whose characters is a token."""
    tokens = [Token(id=ord(letter), text=letter) for letter in context]
    return split_units(unit, context, range(len(context) + 1), tokens)


@pytest.mark.parametrize(
    ("context", "kind"),
    [
        ("A short one. Of two sentences.", "token"),
        ("It rains. " * (SHORT // 10), "token"),
        ("It rains. " * (SHORT // 10) + "\n", "sentence"),
        (("a" * 99 + ". ") * (FEWEST - 2) + "a" * 9, "token"),
        (("a" * 99 + ". ") * (FEWEST - 1) + "a", "sentence"),
        ("a. " * (MOST - 1) + "a", "sentence"),
        ("a. " * MOST + "a", "token"),
        ("It rains. " * 30, "sentence"),
        ("x = 1\n" * 60, "sentence"),  # whose ends a line's are too
        ("no end in sight, " * 30, "token"),
        ("First. " + "and on " * 40, "token"),
    ],
)
def test_auto_takes_few_units_of_a_long_context(context: str, kind: str) -> None:
    units, ends, notes = cut("auto", context)
    assert (units, ends) == cut(kind, context)[:2]
    assert bool(notes) == (kind != "token")
    assert kind == "token" or len(units) >= FEWEST


def test_an_opened_unit_is_its_tokens_and_the_others_stay_whole() -> None:
    units, ends, notes = cut("sentence/2", "Ab. Cd. Ef.")
    assert [unit.text for unit in units] == ["Ab.", " ", "C", "d", ".", " Ef."]
    assert [unit.part_of for unit in units] == [0, 2, 2, 2, 2, 0]
    assert ends == (0, 3, 4, 5, 6, 7, 11)
    assert notes == []
    assert [whole_number(units, unit.index) for unit in units] == [1, 2, 2, 2, 2, 3]


def test_a_unit_that_is_not_there_is_said() -> None:
    assert cut("line/9", "a\nb\n")[2] == ["unit 9 is not there to be opened: the context has 2"]
    assert cut("line/3", "a\nb\n")[2] == ["unit 3 is not there to be opened: the context has 2"]
    assert cut("line/2", "a\nb\n")[2] == []


def test_a_unit_of_one_token_has_nothing_to_open() -> None:
    assert cut("line/1,2", "\nab\n")[0] == cut("line/2", "\nab\n")[0]
    assert cut("token", "ab") == cut("auto/1", "ab")


@given(st.text(alphabet="ab. \n", max_size=60), st.sets(st.integers(1, 9), max_size=4))
def test_opened_or_not_the_units_are_the_context_and_numbers_lead_back(
    context: str, opened: set[int]
) -> None:
    whole = cut("sentence", context)[0]
    units, _, _ = cut(UnitChoice("sentence", tuple(sorted(opened))).text, context)
    assert "".join(unit.text for unit in units) == context
    numbers = dict.fromkeys(range(1, len(whole) + 1), "")
    for unit in units:
        numbers[whole_number(units, unit.index)] += unit.text
    assert list(numbers.values()) == [unit.text for unit in whole]


@pytest.mark.parametrize(
    "text", ["sentence/", "sentence/x", "a/3", "token/3", "sentence/3,", "line/12345678", "/3"]
)
def test_what_is_no_choice_of_opened_units_is_a_separator(text: str) -> None:
    assert UnitChoice.parse(text) == UnitChoice(text)


def test_a_choice_is_read_back_and_switched() -> None:
    choice = UnitChoice("line").switched(7).switched(3)
    assert (choice.text, UnitChoice.parse(choice.text)) == ("line/3,7", choice)
    assert choice.switched(3).switched(7).text == "line"
    assert UnitChoice.parse("line/0,3") == UnitChoice("line", (3,))
    many = UnitChoice("line", tuple(range(1, 65)))
    assert many.switched(70).opened == (*range(2, 65), 70)
    assert UnitChoice.parse(many.text) == many


def test_opened_units_are_measured_as_every_token_would_be() -> None:
    """The same prefixes give the same numbers, however the context before and after them is cut."""
    loaded = tiny("llama")
    context, runs = "The sun is up. It is a hot day. Go on.", {}
    for unit in ("token", "sentence/2"):
        ids, _ = tokenize(loaded, Prompt(context=context, query=" And", unit=unit))
        plan = Plan(ids, "grow")
        measure = Measurer(loaded.sites, plan, Vocabulary(loaded.tokenizer))
        with torch.inference_mode():
            chunks = list(measure.measure(measure_prefixes(loaded, loaded.sites, plan, "packed")))
        rows = (row for chunk, _ in chunks for row in chunk)
        runs[unit] = {(ids.ends[row.unit], row.layer): row.net_patch_norm for row in rows}
    assert runs["sentence/2"].keys() < runs["token"].keys()
    assert len(runs["sentence/2"]) > 4 * len(loaded.sites)
    for place, norm in runs["sentence/2"].items():
        assert norm == pytest.approx(runs["token"][place], rel=1e-5, abs=1e-7), place
