"""One flat mapping becomes a request; what it may not hold is refused in one line."""

import math
import re
import time
from typing import Any

import pytest
from msgspec.structs import replace

from icltui.api.messages import Compile, Examine, Generate, Measure
from icltui.api.operation import operation_of
from icltui.values.errors import BadInput
from icltui.values.exam import USUAL_ROWS
from icltui.values.prompt import MOST_BYTES, Prompt
from icltui.values.recipe import COMPILED, Recipe, Sampling


def test_the_fields_of_options_become_a_request() -> None:
    values = {"context": "a", "query": "b", "layers": "last", "dynamics": "drop"}
    assert operation_of("measure").read(values) == Measure(
        prompt=Prompt(context="a", query="b"), layers="last", dynamics="drop"
    )


def test_an_option_of_two_parts_sets_both() -> None:
    request = operation_of("generate").read(
        {"query": "b", "seed": 7, "mode": "frozen", "alpha": 0.5, "temperature": 1, "top_k": 3}
    )
    assert request == Generate(
        prompt=Prompt(query="b"),
        recipe=Recipe(mode="frozen", alpha=0.5, seed=7),
        sampling=Sampling(temperature=1.0, top_k=3, seed=7),
    )


@pytest.mark.parametrize("name", ["measure", "generate", "verify", "curves", "heads"])
def test_what_is_not_given_is_as_the_request_has_it(name: str) -> None:
    operation = operation_of(name)
    assert operation.read({"query": "b"}) == operation.request(prompt=Prompt(query="b"))


def test_a_compilation_chooses_what_is_not_given() -> None:
    read = operation_of("compile").read
    prompt = Prompt(context="a")
    assert read({"context": "a"}) == Compile(prompt=prompt, recipe=COMPILED)
    given = {"queries": ["b", "c"], "rank": 4, "layers": "last"}
    assert read({"context": "a"} | given) == Compile(
        prompt=prompt,
        recipe=replace(COMPILED, rank=4, queries=("b", "c")),
        calibrate="user",
        pinned=("rank", "layers"),
        layers="last",
    )
    assert read({"context": "a", "seed": 5}) == Compile(prompt=prompt, recipe=COMPILED, seed=5)


def test_an_exam_is_read_from_one_mapping() -> None:
    values = {"context": "a", "queries": ["b"], "holdout": ["c", "d"], "answers": {"c": "x"}, "seed": 3}
    assert operation_of("exam").read(
        values | {"rows": ["frozen", "plain", "frozen"], "n_fitted": 2}
    ) == Examine(
        prompt=Prompt(context="a"),
        recipe=Recipe(mode="compiled", queries=("b",), seed=3, n_fitted=2),
        holdout=("c", "d"),
        answers={"c": "x"},
        rows=("frozen", "plain"),
        seed=3,
    )
    assert operation_of("exam").read(values | {"rows": []}).rows == USUAL_ROWS


TWO = {"queries": ["c", "d"], "holdout": ["e", "f"]}


@pytest.mark.parametrize(
    ("name", "values", "line"),
    [
        (
            "generate",
            {"rank": 2},
            "rank does nothing in mode 'per-step' with components 'both': it goes with mode com",
        ),
        ("generate", {"n_fitted": 2}, "n_fitted does nothing in mode 'per-step'"),
        ("generate", {"top_k": 2}, "top_k and top_p do nothing at temperature 0: give temperature too"),
        ("generate", {"control": "other"}, "control 'other' needs another context: give other_context"),
        (
            "compile",
            {"context": " "},
            "the context is empty, so there is nothing to put into weights: give context",
        ),
        ("compile", {"calibrate": "user"}, "calibrate user needs queries"),
        (
            "compile",
            TWO | {"calibrate": "self"},
            "queries gives the calibration queries, and calibrate self makes",
        ),
        (
            "compile",
            TWO | {"n_queries": 3},
            "n_queries does nothing here: it goes with calibrate repeat or self",
        ),
        (
            "compile",
            {"metric": "plain", "epsilon": 1},
            "epsilon does nothing here: it goes with mode frozen or comp",
        ),
        ("compile", {"mode": "frozen"}, "'mode' is no option of compile: use "),
        ("exam", {"holdout": ["e", "f"]}, "no calibration query to make a patch from: give queries"),
        (
            "exam",
            {"queries": ["e"], "holdout": ["e", "f"]},
            "2 held-out queries (1 of them fitted, or given twice)",
        ),
        ("exam", TWO | {"answers": {"g": "x"}}, "an answer to 'g', which is no held-out query: leave it out"),
        ("exam", TWO | {"rows": ["joined"]}, "the row 'joined' needs another context, which "),
        ("exam", TWO | {"rows": ["best"]}, "rows[0]: 'best' not known: use per-step, plain, "),
        ("exam", TWO | {"answers": {"e": 3}}, "answers[...]: a text is needed, and a whole number was given"),
        (
            "exam",
            TWO | {"answers": {3: "e"}},
            "a name in answers: a text is needed, and a whole number was given",
        ),
        ("exam", TWO | {"holdout": ["e", "f" * (MOST_BYTES + 1)]}, "the holdout has 4,194,305 bytes"),
        ("exam", TWO | {"answers": {"e": "f" * (MOST_BYTES + 1)}}, "the answers has 4,194,305 bytes"),
    ],
)
def test_what_contradicts_itself_is_refused_in_words_of_every_door(
    name: str, values: dict[str, Any], line: str
) -> None:
    with pytest.raises(BadInput) as refused:
        operation_of(name).read({"context": "a", "query": "b"} | values)
    assert str(refused.value).startswith(line)
    assert not re.search(r"--[a-z](?!.*icltui)", str(refused.value))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400, True, "1", None, 1.5, -1])
@pytest.mark.parametrize("option", ["n_tokens", "top_k", "seed", "alpha", "ridge", "top_p"])
def test_a_number_is_one_and_in_range(option: str, number: Any) -> None:
    values = {"query": "b", "mode": "compiled", "temperature": 1, option: number}
    allowed = {("top_k", None), ("alpha", 1.5), ("ridge", 1.5)}
    if (option, number) in allowed:
        operation_of("generate").read(values)
        return
    with pytest.raises(BadInput) as refused:
        operation_of("generate").read(values)
    assert len(str(refused.value)) < 200 or number == 10**400


def test_layers_are_understood_before_an_engine_is_asked() -> None:
    for layers in ("", "x", "3-1", "0,,1", "9" * 30):
        with pytest.raises(BadInput):
            operation_of("verify").read({"query": "b", "layers": layers})
    with pytest.raises(BadInput, match="list is no set of options"):
        operation_of("verify").read(["query"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"contxt": "a"}, "'contxt' is no option of measure: use context, query, "),
        ({"context": 3}, "context: a text is needed, and a whole number was given"),
        ({"context": None}, "context: a text is needed, and nothing was given"),
        (
            {"layers": [0, 1]},
            "layers: a text is needed, and a list was given: all, last, or a list such as 0,",
        ),
        ({"pairs": 1}, "pairs: true or false is needed, and a whole number was given"),
        ({"unit": ""}, "the unit is empty: use auto, token, line, sentence"),
        ({"dynamics": "fall"}, "dynamics: 'fall' not known: use grow, shrink, drop"),
        ({"context": "é" * MOST_BYTES}, "the context has 8,388,608 bytes, more than 4,194,304: shorten it"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(values: dict[str, Any], line: str) -> None:
    with pytest.raises(BadInput) as refused:
        operation_of("measure").read({"query": "b"} | values)
    assert str(refused.value).startswith(line)


def test_many_queries_are_told_apart_in_no_time() -> None:
    many = [str(number) for number in range(60_000)]
    start = time.process_time()
    with pytest.raises(BadInput, match="60,000 unseen queries: at most 1,000 are examined at once"):
        operation_of("exam").read({"context": "a", "queries": [f"{q}!" for q in many], "holdout": many})
    assert time.process_time() - start < 3
