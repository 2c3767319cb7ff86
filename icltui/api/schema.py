"""What an operation takes, as JSON Schema: made from the table of options, for a server's description and its tools."""

from collections.abc import Mapping
from typing import Any

import msgspec

from icltui.api.operation import Operation
from icltui.api.option import Option
from icltui.values.prompt import MOST_BYTES

_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def input_schema(operation: Operation, is_remote: bool = True) -> dict[str, Any]:
    """The flat mapping that :meth:`.Operation.read` takes: every option with its type, range, default and meaning."""
    options = operation.remote_options if is_remote else operation.options
    return {
        "type": "object",
        "properties": {option.field: option_schema(operation, option) for option in options},
        "required": list(operation.required),
        "additionalProperties": False,
    }


def option_schema(operation: Operation, option: Option) -> dict[str, Any]:
    """The values of one of the operation's options; one that must be given is not empty."""
    schema = _within(msgspec.json.schema(operation.annotation(option)), option.bounds)
    if option.field in operation.required:
        schema["minItems" if schema["type"] == "array" else "minLength"] = 1
    else:
        schema["default"] = msgspec.to_builtins(operation.default(option))
    return {**schema, "description": operation.description(option)}


def _within(schema: Mapping[str, Any], bounds: msgspec.Meta) -> dict[str, Any]:
    """``schema`` with the bounds of its numbers and texts, also of those in it."""
    own = dict(schema)
    if "anyOf" in own:
        own["anyOf"] = [_within(part, bounds) for part in own["anyOf"]]
    if own.get("type") == "array":
        own["items"] = _within(own["items"], bounds)
    if own.get("type") in ("integer", "number"):
        own |= {key: end for name, key in _BOUNDS.items() if (end := getattr(bounds, name)) is not None}
    if own.get("type") == "string":
        own |= {"maxLength": MOST_BYTES} | ({"minLength": bounds.min_length} if bounds.min_length else {})
    return own
