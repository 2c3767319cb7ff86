"""One flat mapping becomes a request; what it may not hold is refused in one line."""

from typing import Any

import pytest
from msgspec.structs import replace

from icltui.api.messages import Compile, Examine, Generate, Measure
from icltui.api.operation import OPERATIONS, operation_of
from icltui.values.errors import BadInput
from icltui.values.prompt import MOST_BYTES, Prompt
from icltui.values.recipe import COMPILED, Recipe, Sampling


def test_the_fields_of_options_become_a_request() -> None:
    values = {"context": "a", "query": "b", "layers": "last", "dynamics": "drop"}
    assert operation_of("measure").read(values) == Measure(
        prompt=Prompt(context="a", query="b"), layers="last", dynamics="drop"
    )


def test_an_option_of_two_parts_sets_both() -> None:
    request = operation_of("generate").read(
        {"query": "b", "seed": 7, "mode": "frozen", "alpha": 0.5, "top_k": 3}
    )
    assert request == Generate(
        prompt=Prompt(query="b"),
        recipe=Recipe(mode="frozen", alpha=0.5, seed=7),
        sampling=Sampling(top_k=3, seed=7),
    )


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_is_not_given_is_as_the_request_has_it(operation: Any) -> None:
    begin = {"recipe": COMPILED} if operation.request is Compile else {}
    assert operation.read({"query": "b"}) == operation.request(prompt=Prompt(query="b"), **begin)


def test_what_is_given_to_compile_is_not_chosen() -> None:
    read = operation_of("compile").read
    request = read({"alpha": 1.0, "rank": None, "queries": ["b", "c"], "holdout": ["d"], "n_queries": 3})
    assert isinstance(request, Compile)
    assert (request.pinned, request.calibrate) == (("alpha",), "user")
    assert request.recipe == replace(COMPILED, queries=("b", "c"))
    for wrong in ({"calibrate": "user"}, {"calibrate": "self", "queries": ["b"]}):
        with pytest.raises(BadInput):
            read(wrong)


def test_an_exam_has_its_questions_and_answers() -> None:
    values = {
        "context": "a",
        "queries": ["b"],
        "holdout": ["c", "d"],
        "answers": {"c": "e"},
        "rows": ["plain"],
    }
    request = operation_of("exam").read(values)
    assert request == Examine(
        prompt=Prompt(context="a"),
        recipe=Recipe(mode="compiled", queries=("b",)),
        holdout=("c", "d"),
        answers={"c": "e"},
        rows=("plain",),
    )


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"contxt": "a"}, "'contxt' is no option of measure: use context, query, "),
        ({"context": 3}, "context: expected `str`, got `int`"),
        ({"unit": ""}, "the unit is empty: use token, line, sentence"),
        ({"dynamics": "fall"}, "dynamics: invalid enum value 'fall'"),
        ({"context": "é" * MOST_BYTES}, "the context has 8,388,608 bytes, more than 4,194,304: shorten it"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(values: dict[str, Any], line: str) -> None:
    with pytest.raises(BadInput) as refused:
        operation_of("measure").read({"query": "b"} | values)
    assert str(refused.value).startswith(line)
