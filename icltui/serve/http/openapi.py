"""What a server offers, as OpenAPI 3.1: made from the operations, their options, the types of their answers, and the
errors."""

import http
from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from icltui import __version__
from icltui.api.limits import Limits
from icltui.api.messages import Event, Measure
from icltui.api.operation import OPERATIONS, Operation
from icltui.api.schema import input_schema
from icltui.serve.http.access import HEALTH
from icltui.serve.http.addresses import address_of
from icltui.serve.http.answer_schema import answer_schemas
from icltui.serve.http.error_answer import JSON_TYPE, ErrorForm
from icltui.serve.http.event_stream import ANSWER, ERROR, MEDIA_TYPE
from icltui.serve.http.question import FIGURE, PARAMETERS, parameter_schemas
from icltui.values.errors import IcltuiError

DESCRIPTION = "/openapi.json"
"""Where the description is."""
_REFERENCE = "#/components/schemas/{name}"
_FAULTS = (400, 404, 405, 408, 415)
"""What a request may be refused with that is none of HTTP's or of JSON's."""
_STREAM = (
    "Server-sent events: one for each event of the engine, named by its type, with its JSON as data; comments where "
    "nothing happens; the last is `answer`, with the JSON of the answer, or `error`, with the form of an error."
)
_FIGURE_SCHEMA = {"type": "boolean", "default": False, "description": "whether the answer holds a figure"}
MODEL_FACTS = ("name", "revision", "fingerprint", "architecture", "n_layers", "dtype", "device", "window")
"""What a server tells of its model at :data:`.HEALTH`."""


def description(limits: Limits, has_token: bool) -> dict[str, Any]:
    """The document.

    Args:
        limits: the server's.
        has_token: whether a request must carry one.
    """
    answers, schemas = answer_schemas(_REFERENCE)
    more = [ErrorForm, Limits, msgspec.defstruct("Health", [("status", str)])]
    _, others = msgspec.json.schema_components(more, ref_template=_REFERENCE)
    schemas = {**schemas, **others, "Health": _health(schemas["ModelInfo"])}
    schemas["MeasureDocument"]["properties"][FIGURE] = {
        "type": "string",
        "description": "where asked for: SVG",
    }
    schemas |= {_body_name(op): _body(op) for op in OPERATIONS} | dict(_error_schemas())
    paths = {address_of(op): {"post": _operation(op, answers[op.name])} for op in OPERATIONS}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "icltui", "version": __version__, "description": _limits_in_words(limits)},
        "paths": {**paths, HEALTH: {"get": _health_operation()}, DESCRIPTION: {"get": _own_operation()}},
        "components": {"schemas": schemas, "responses": dict(_error_responses())},
    }
    if has_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        document["paths"][HEALTH]["get"]["security"] = [{}, {"token": []}]
    return document


def _body_name(operation: Operation) -> str:
    return f"{operation.name.capitalize()}Options"


def _body(operation: Operation) -> dict[str, Any]:
    values = input_schema(operation)
    if operation.request is Measure:
        values["properties"][FIGURE] = _FIGURE_SCHEMA
    return values


def _operation(operation: Operation, answer: dict[str, Any]) -> dict[str, Any]:
    names = [name for name in PARAMETERS if name != FIGURE or operation.request is Measure]
    body = {JSON_TYPE: {"schema": _refer("schemas", _body_name(operation))}}
    schemas = parameter_schemas()
    return {
        "operationId": operation.name,
        "summary": operation.purpose,
        "parameters": [{"name": name, "in": "query", "schema": schemas[name]} for name in names],
        "requestBody": {"required": True, "content": body},
        "responses": {
            "200": {
                "description": f"What `icltui {operation.name} --format json` prints. {_STREAM}",
                "content": {JSON_TYPE: {"schema": answer}, MEDIA_TYPE: {"schema": _event()}},
            },
            **{str(status): _refer("responses", f"Error{status}") for status in sorted(_codes())},
        },
    }


def _event() -> dict[str, Any]:
    """One event of a stream, as those who read OpenAPI take the schema of this type to mean."""
    names = [kind.__name__ for kind in get_args(Event)]
    return {
        "type": "object",
        "properties": {
            "event": {"enum": [*names, ANSWER, ERROR]},
            "data": {"type": "string", "contentMediaType": JSON_TYPE},
        },
        "required": ["event", "data"],
    }


def _health_operation() -> dict[str, Any]:
    content = {JSON_TYPE: {"schema": _refer("schemas", "Health")}}
    return {
        "operationId": "health",
        "summary": "Whether the server lives; to whoever may ask it, also its model, limits and work.",
        "responses": {"200": {"description": "It lives.", "content": content}, **_refused_access()},
    }


def _own_operation() -> dict[str, Any]:
    return {
        "operationId": "description",
        "summary": "This description.",
        "responses": {
            "200": {"description": "OpenAPI 3.1", "content": {JSON_TYPE: {"schema": {"type": "object"}}}},
            **_refused_access(),
        },
    }


def _refused_access() -> dict[str, Any]:
    return {str(status): _refer("responses", f"Error{status}") for status in (401, 403, 405)}


def _health(model: dict[str, Any]) -> dict[str, Any]:
    facts = {name: model["properties"][name] for name in MODEL_FACTS}
    whole = {"type": "object", "properties": facts, "required": list(MODEL_FACTS)}
    return {
        "type": "object",
        "properties": {
            "status": {"enum": ["ready", "starting"]},
            "version": {"type": "string"},
            "model": {"anyOf": [whole, {"type": "null"}]},
            "busy": {"type": "boolean", "description": "whether a job runs"},
            "queue": {"type": "integer", "minimum": 0, "description": "jobs that wait"},
            "limits": _refer("schemas", "Limits"),
        },
        "required": ["status"],
    }


def _codes() -> dict[int, list[str]]:
    """The errors' codes by the status that they are told with."""
    codes = {status: [http.HTTPStatus(status).name.lower()] for status in _FAULTS}
    for error in _tree(IcltuiError):
        codes.setdefault(error.http_status, []).append(error.code)
    return codes


def _tree(error: type[IcltuiError]) -> Iterator[type[IcltuiError]]:
    yield error
    for below in error.__subclasses__():
        yield from _tree(below)


def _error_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """The form of an error with each status, by a name: who generates a client has one class of each."""
    for status, codes in sorted(_codes().items()):
        told = {"properties": {"code": {"enum": list(dict.fromkeys(codes))}}}
        yield f"Error{status}", {"allOf": [_refer("schemas", "ErrorForm"), {"properties": {"error": told}}]}


def _error_responses() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, _ in _error_schemas():
        content = {JSON_TYPE: {"schema": _refer("schemas", name)}}
        phrase = http.HTTPStatus(int(name.removeprefix("Error"))).phrase
        yield name, {"description": phrase, "content": content}


def _refer(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _limits_in_words(limits: Limits) -> str:
    return (
        "What a context does to a language model's weights. One request takes at most "
        f"{limits.body_bytes:,} bytes, {limits.prompt_tokens:,} tokens, {limits.queries:,} queries besides the "
        f"prompt's own, {limits.layers:,} layers and {limits.new_tokens:,} tokens to generate; its answer comes within "
        f"{limits.seconds:g} s, its wait included; {limits.queue:,} requests may wait or run."
    )
