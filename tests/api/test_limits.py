"""What a server takes: a request at each limit passes, one beyond it is refused in one line."""

import argparse

import msgspec
import pytest

from icltui.api.limits import (
    LIMIT_OPTIONS,
    Limits,
    check_request,
    check_tokens,
    count_request,
)
from icltui.api.messages import (
    Compile,
    Examine,
    Generate,
    GenerateEach,
    Measure,
    MeasureCurves,
    MeasureHeads,
    Request,
    Verify,
)
from icltui.api.operation import OPERATIONS, Operation
from icltui.cli.limit_options import add_limit_options, limits_of
from icltui.values import Token, TokenizedPrompt
from icltui.values.errors import BadInput, RequestTooLarge
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe

PROMPT = Prompt(context="a", query="b")
COMPILED = Recipe(mode="compiled", n_fitted=3, queries=("c", "d"))
TOKEN = Token(id=1, text="a")


@pytest.mark.parametrize(
    ("request_", "limit", "value"),
    [
        (Measure(prompt=PROMPT), "layers", 12),
        (Measure(prompt=PROMPT, layers="2-4"), "layers", 3),
        (MeasureHeads(prompt=PROMPT), "layers", 12),
        (Verify(prompt=PROMPT, layers="last"), "layers", 1),
        (Generate(prompt=PROMPT, n_tokens=9, recipe=COMPILED), "new_tokens", 9),
        (Generate(prompt=PROMPT, n_tokens=2, recipe=COMPILED), "new_tokens", 3),
        (MeasureCurves(prompt=PROMPT, own_texts=1, own_tokens=9), "new_tokens", 9),
        (Generate(prompt=PROMPT, recipe=COMPILED, holdout=("e",)), "queries", 3),
        (GenerateEach(prompt=PROMPT, queries=("c", "d"), holdout=("e",)), "queries", 3),
        (Compile(prompt=PROMPT, recipe=COMPILED, calibrate="user", holdout=("e",)), "queries", 3),
        (Compile(prompt=PROMPT, n_queries=5, holdout=("e",)), "queries", 6),
        (Examine(prompt=PROMPT, recipe=COMPILED, holdout=("e", "f")), "queries", 4),
    ],
)
def test_a_request_at_its_limit_passes_and_one_beyond_it_does_not(
    request_: Request, limit: str, value: int
) -> None:
    check_request(request_, msgspec.structs.replace(Limits(), **{limit: value}), 12)
    with pytest.raises(RequestTooLarge, match=f"^{value} .*, where this server takes {value - 1}: "):
        check_request(request_, msgspec.structs.replace(Limits(), **{limit: value - 1}), 12)


def test_what_is_not_generated_does_not_count() -> None:
    small = Limits(new_tokens=1)
    check_request(MeasureCurves(prompt=PROMPT, own_tokens=9), small, 12)
    check_request(Generate(prompt=PROMPT, n_tokens=1, recipe=Recipe(n_fitted=9)), small, 12)


def test_a_layer_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(BadInput, match="layers '12' out of range: this model has layers 0 to 11"):
        check_request(Measure(prompt=PROMPT, layers="12"), Limits(), 12)


def test_every_text_of_a_request_is_counted() -> None:
    recipe = msgspec.structs.replace(COMPILED, control="other", other_context="z")
    count = count_request(Examine(prompt=Prompt(context="a", chat=True), recipe=recipe, holdout=("e",)))
    assert count.prompt == Prompt(context="a", query="c\nd\ne\nz", chat=True)
    each = count_request(GenerateEach(prompt=PROMPT, queries=("c",)))
    assert each.prompt == Prompt(context="a", query="b\nc")
    assert count_request(Compile(prompt=Prompt(context="a"))).prompt.query, "no engine counts an empty query"


def test_a_text_at_its_limit_passes_and_one_beyond_it_does_not() -> None:
    tokens = TokenizedPrompt(prefix=(TOKEN,), context=(TOKEN,) * 3, query=(TOKEN,), units=())
    check_tokens(tokens, Limits(prompt_tokens=4))
    with pytest.raises(RequestTooLarge, match=r"^4 tokens, where this server takes 3: shorten the context"):
        check_tokens(tokens, Limits(prompt_tokens=3))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_is_not_given_is_within_the_limits(operation: Operation) -> None:
    queries = {"queries": ["c"], "holdout": ["d", "e"]} if operation.name == "exam" else {}
    check_request(operation.read({"context": "a", "query": "b"} | queries), Limits(), 64)


def test_every_limit_has_an_option() -> None:
    parser = argparse.ArgumentParser()
    add_limit_options(parser)
    assert limits_of(parser.parse_args([])) == Limits()
    assert {option.field for option in LIMIT_OPTIONS} == set(Limits.__struct_fields__)
    words = ["--max-tokens", "9", "--max-queue", "2", "--timeout", "0.5"]
    assert limits_of(parser.parse_args(words)) == Limits(prompt_tokens=9, queue=2, seconds=0.5)
    for option in LIMIT_OPTIONS:
        with pytest.raises(BadInput, match="-1 is no limit: give "):
            option.read("-1")
