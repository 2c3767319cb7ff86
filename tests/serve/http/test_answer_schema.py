"""What the engine answers is what the schemas say, key for key."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from icltui.api.collect import Collected
from icltui.api.operation import OPERATIONS, Operation
from icltui.report.answer import answer_json
from icltui.serve.http.answer_schema import ANSWERS, answer_schemas
from tests.serve.loaded_engine import LoadedEngine

PROMPT = {
    "context": "cat is gato; dog is perro; sun is sol; house is casa",
    "query": "; moon is",
    "unit": ";",
}
ASKED: dict[str, list[dict[str, Any]]] = {
    "measure": [
        {},
        {"pairs": True, "layers": "0"},
        {"dynamics": "drop"},
        {"context": "", "precision": "float32"},
    ],
    "generate": [
        {"n_tokens": 2},
        {
            "n_tokens": 2,
            "mode": "compiled",
            "n_fitted": 1,
            "layers": "0",
            "holdout": ["; tree is"],
            "curves": True,
        },
    ],
    "verify": [{}],
    "curves": [{}, {"own_texts": 2, "own_tokens": 8}],
    "heads": [{"n_random": 4, "n_seeds": 1}],
    "compile": [
        {
            "calibrate": "user",
            "queries": ["; moon is", "; sun is"],
            "budget": 0.01,
            "ridge": 1e-3,
            "holdout": ["; tree is"],
        }
    ],
    "exam": [
        {"queries": ["; moon is", "; tree is"], "holdout": ["; sea is", "; sky is"], "budget": 0.01},
    ],
}


SLOW = ("compile", "exam")


def strict(schema: Any) -> Any:
    """``schema`` with no room for keys that it does not name."""
    if isinstance(schema, list):
        return list(map(strict, schema))
    if not isinstance(schema, dict):
        return schema
    more = {"additionalProperties": False} if "properties" in schema else {}
    return {key: strict(value) for key, value in schema.items()} | more


@pytest.mark.parametrize(
    ("operation", "values"),
    [
        pytest.param(
            operation,
            values,
            id=f"{operation.name} {at}",
            marks=[pytest.mark.soak] if at or operation.name in SLOW else [],
        )
        for operation in OPERATIONS
        for at, values in enumerate(ASKED[operation.name])
    ],
)
def test_a_real_answer_fits_its_schema(
    operation: Operation, values: dict[str, Any], engine: LoadedEngine
) -> None:
    request = operation.read({k: v for k, v in (PROMPT | values).items() if k not in operation.unused})
    collected = Collected(request)
    for event in engine.run(request, lambda: False):
        collected.take(event)
    answer = json.loads(answer_json(engine.model, request, collected))
    answers, components = answer_schemas("#/$defs/{name}")
    schema = strict({"$defs": components, **answers[operation.name]})
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(answer)


def test_every_operation_has_an_answer() -> None:
    assert list(ANSWERS) == [operation.name for operation in OPERATIONS]


def test_what_is_left_out_of_an_answer_is_found() -> None:
    answers, components = answer_schemas("#/$defs/{name}")
    validator = Draft202012Validator({"$defs": components, **answers["measure"]})
    missing = {error.message for error in validator.iter_errors({})}
    assert "'rows' is a required property" in missing
    assert len(missing) == len(components["MeasureDocument"]["properties"])
