"""The description of a server: valid, whole, and made from the one table."""

import json
from typing import Any

import msgspec
import pytest
import schemathesis

from icltui.api.limits import Limits
from icltui.api.operation import OPERATIONS
from icltui.serve.http.addresses import ANALYZE, address_of
from icltui.serve.http.openapi import description
from icltui.values import errors
from tests.serve.http.test_application import BODY, serving


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return description(Limits(), has_token=True)


def test_it_is_openapi(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = 0
    for reference in _references(document):
        place: Any = document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
        found += 1
    assert found > 100


def _references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [reference for value in part for reference in _references(value)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    return own + [reference for value in part.values() for reference in _references(value)]


def test_every_option_of_every_operation_is_in_it(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for operation in OPERATIONS:
        body = document["paths"][address_of(operation)]["post"]["requestBody"]["content"]["application/json"]
        options = {option.field for option in operation.remote_options}
        assert set(schemas[_name(body["schema"])]["properties"]) - {"figure"} == options


def _name(schema: dict[str, str]) -> str:
    """The name by which a client that is generated has a class."""
    return schema["$ref"].removeprefix("#/components/schemas/")


def test_every_error_is_in_it_with_its_status(document: dict[str, Any]) -> None:
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.IcltuiError):
            (answer,) = document["components"]["responses"][f"Error{error.http_status}"]["content"].values()
            form = document["components"]["schemas"][_name(answer["schema"])]
            assert error.code in form["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"]
            for operation in OPERATIONS:
                assert str(error.http_status) in document["paths"][address_of(operation)]["post"]["responses"]


def test_a_token_is_asked_for_where_the_server_does(document: dict[str, Any]) -> None:
    assert document["security"] == [{"token": []}]
    assert {} in document["paths"]["/health"]["get"]["security"]
    assert "security" not in description(Limits(), has_token=False)


def test_the_limits_are_told() -> None:
    limits = Limits(prompt_tokens=1234, seconds=7.5)
    told = description(limits, has_token=False)["info"]["description"]
    assert "1,234 tokens" in told
    assert "within 7.5 s" in told


async def test_it_is_served_and_what_it_says_holds() -> None:
    async with serving(token="correct-horse") as server:
        assert (await server.client.get("/openapi.json")).status_code == 401
        known = {"authorization": "Bearer correct-horse"}
        document = (await server.client.get("/openapi.json", headers=known)).json()
        assert document == json.loads(msgspec.json.encode(description(Limits(), has_token=True)))
        checked = schemathesis.openapi.from_dict(document)
        for path, method in ((ANALYZE, "POST"), ("/health", "GET")):
            answer = await server.client.request(method, path, json=BODY, headers=known)
            checked[path][method].validate_response(schemathesis.Response.from_any(answer))
