"""The schema of an operation's input says what :meth:`.Operation.read` takes, and nothing else."""

import json
from typing import Any

import jsonschema
import pytest

from icltui.api.operation import OPERATIONS, Operation, operation_of
from icltui.api.schema import input_schema
from icltui.values.errors import BadInput

TWO = {"queries": ["a", "b"], "metric": "ordinary"}
USUAL: dict[str, dict[str, Any]] = {
    "generate": TWO | {"mode": "compiled", "control": "other", "other_context": "c", "temperature": 1.0},
    "exam": TWO | {"holdout": ["x", "y"]},
}
"""Values beside which no option of an operation does nothing."""
BESIDE = {("generate", "other_context"), ("exam", "queries"), ("exam", "holdout")}
"""Options whose values must also suit others, which no schema says."""
EACH = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


@EACH
def test_it_is_a_schema_of_every_option_that_a_server_offers(operation: Operation) -> None:
    schema = input_schema(operation)
    jsonschema.Draft202012Validator.check_schema(json.loads(json.dumps(schema)))
    assert list(schema["properties"]) == [option.field for option in operation.remote_options]
    assert list(input_schema(operation, is_remote=False)["properties"]) == [
        option.field for option in operation.options
    ]


@EACH
def test_every_default_is_a_value(operation: Operation) -> None:
    schema = input_schema(operation)
    defaults = {
        name: values["default"] for name, values in schema["properties"].items() if "default" in values
    }
    required = {"context": "a", "query": "b"} | (
        {"queries": ["a"], "holdout": ["x", "y"]} if operation.name == "exam" else {}
    )
    values = json.loads(json.dumps(defaults)) | required
    jsonschema.validate(values, schema)
    assert operation.read(values, is_remote=True) == operation.read(required)


@EACH
def test_a_meaning_is_said_without_the_command_line(operation: Operation) -> None:
    for name, values in input_schema(operation, is_remote=False)["properties"].items():
        assert values["description"], name
        assert "--" not in values["description"], name
        assert "{" not in values["description"], name
        assert "FILE" not in values["description"], name


def edges(schema: dict[str, Any]) -> list[Any]:
    """Values at the ends of a range, beyond them, and of other types."""
    parts = [schema, *schema.get("anyOf", ()), schema.get("items", {})]
    ends = [part[key] for part in parts for key in part if key.lower().endswith("imum")]
    numbers = [end + step for end in ends for step in (-1, -1e-9, 0, 1e-9, 1)]
    return [*numbers, -1, 0, 1, 1.5, 10**40, True, None, "", "x", [], ["x"], [""], [3], {}, {"x": "y"}]


@EACH
def test_it_takes_what_the_operation_takes(operation: Operation) -> None:
    schema = input_schema(operation)
    validator = jsonschema.Draft202012Validator(schema)
    for option in operation.remote_options:
        if (operation.name, option.field) in BESIDE:
            continue
        for value in edges(schema["properties"][option.field]):
            if option.field == "layers" and isinstance(value, str):
                continue  # what a list of layers is, no schema says
            usual = {"context": "a", "query": "b"} | USUAL.get(operation.name, {})
            values = usual | {option.field: value}
            assert is_read(operation, values) == validator.is_valid(values), values
    assert not validator.is_valid(usual | {"zeal": 1})


def is_read(operation: Operation, values: dict[str, Any]) -> bool:
    try:
        operation.read(values, is_remote=True)
    except BadInput:
        return False
    return True


def test_what_names_a_file_or_writes_one_is_not_offered_to_other_machines() -> None:
    assert [option.field for operation in OPERATIONS for option in operation.options if option.local] == [
        "background",
        "background",
        "force",
        "background",
    ]
    with pytest.raises(BadInput, match="'background' is not offered here: it names a file of the machine"):
        operation_of("generate").read({"query": "b", "background": "/etc/passwd"}, is_remote=True)
    assert (
        operation_of("generate")
        .read({"query": "b", "background": "a.txt", "mode": "frozen", "metric": "ordinary"})
        .recipe.background
        == "a.txt"
    )
