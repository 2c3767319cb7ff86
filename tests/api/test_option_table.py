"""The table of options: complete, each field once, and read by the command line, the forms and the checks alike."""

import argparse
import subprocess
import sys
from collections import Counter

import msgspec
import pytest

from icltui.api.messages import LoadModel
from icltui.api.option import Option
from icltui.api.option_table import OPTIONS, check_options, option_of, options_of
from icltui.cli import parser
from icltui.cli.options import values_of
from icltui.engine.models.device import DTYPES
from icltui.tui.state import model_form, settings_form
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling, idle
from tests.waiting import PATIENCE

STRUCTS = (Prompt, Recipe, Sampling, LoadModel)
WORDS = ["generate", "-q", "b"]


def flags_of(parser: argparse.ArgumentParser) -> Counter[str]:
    return Counter(flag for action in parser._actions for flag in action.option_strings)


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_field_is_in_the_table_once(struct: type[msgspec.Struct]) -> None:
    listed = [option.field for option in options_of(struct)]
    assert sorted(listed) == sorted(field.name for field in msgspec.structs.fields(struct))


def test_an_option_sets_a_field_of_all_that_it_says() -> None:
    for option in OPTIONS:
        defaults = [
            field.default
            for struct in option.of
            for field in msgspec.structs.fields(struct)
            if field.name == option.field
        ]
        assert len(defaults) == len(option.of), option.field
        if option.field != "budget":  # an exam's choice is one row of many
            assert len(set(map(repr, defaults))) == 1, option.field


def test_every_option_is_one_of_a_command_with_its_help_and_its_default() -> None:
    commands = parser._commands()._subparsers._group_actions[0].choices
    found = {
        flag
        for command in ("measure", "verify", "generate", "compile", "curves", "heads", "exam")
        for flag in flags_of(commands[command])
    }
    for option in OPTIONS:
        assert set(option.names) <= found or option.field == "answers", (
            option.field
        )  # they are in a file of queries
    assert max(flags_of(commands["generate"]).values()) == 1


def test_what_is_not_given_is_the_default_of_the_field() -> None:
    args = parser.parse(WORDS)
    for struct in (Recipe, Sampling, LoadModel):
        assert struct(**values_of(args, struct)) == struct()
    assert Prompt(**values_of(args, Prompt)) == Prompt(query="b")
    told_apart = {option.field for option in OPTIONS if option.takes_file or tuple in option.types} | {
        "model"
    }
    for option in options_of(Recipe):
        assert getattr(args, option.field) == (None if option.field in told_apart else option.default)


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if option.types.isdisjoint({bool, dict, tuple})]
)
def test_a_default_is_read_back_from_its_own_text(option: Option) -> None:
    assert option.read(option.text(option.default)) == option.default


def test_the_refusal_of_an_idle_field_says_what_it_goes_with() -> None:
    changed = Recipe(carrier="bias", n_fitted=1, rank=2, ridge=0.5, queries=("a",), other_context="b")
    assert len(idle(changed)) == 6
    assert all(option_of(field).goes_with for field in idle(changed))


def test_the_forms_are_parts_of_the_table() -> None:
    shown = [option.field for option in settings_form.SETTINGS] + [field.name for field in model_form.FIELDS]
    assert {option.field for option in OPTIONS if option.hint} == set(shown) - {"trust"}
    assert len(shown) == len(set(shown))


def test_the_dtypes_are_those_that_the_engine_knows() -> None:
    option = option_of("dtype")
    assert set(option.help.split(", ")) == set(option.hint.split(", ")) == {"auto", *DTYPES}


def test_a_value_out_of_range_is_refused_wherever_it_comes_from() -> None:
    with pytest.raises(BadInput, match="rank 0 is out of range: give 1 to"):
        check_options(Recipe(rank=0))
    with pytest.raises(BadInput, match="argument --rank: rank 0 is out of range: give 1 to"):
        parser.parse([*WORDS, "--rank", "0"])


MADE_UP = """
from icltui.api import option_table
from msgspec import Meta
from icltui.api.option import Option
from icltui.values.recipe import Recipe
made_up = Option("rank", "made up (default {default})", (Recipe,), "patch", flags=("--zeal",), label="zeal",
                 hint="how much", need="give 8", bounds=Meta(gt=7), fault="zeal {value}")
option_table.OPTIONS += (made_up,)
from icltui.cli import parser
from icltui.tui.state.settings_form import SETTINGS
from icltui.values.errors import BadInput
print(made_up in SETTINGS, parser.parse(["generate", "-q", "b", "--zeal", "9"]).rank)
for refuse in (lambda: option_table.check_options(Recipe(rank=7)), lambda: parser.parse(["generate", "--zeal", "7"])):
    try:
        refuse()
    except BadInput as error:
        print(error)
"""


def test_an_option_that_is_added_to_the_table_is_an_option_everywhere() -> None:
    run = subprocess.run([sys.executable, "-c", MADE_UP], capture_output=True, text=True, timeout=PATIENCE)
    assert run.stdout.splitlines() == [
        "True 9",
        "zeal 7: give 8",
        "argument --zeal: zeal 7: give 8 (see icltui generate --help)",
    ], run.stderr
