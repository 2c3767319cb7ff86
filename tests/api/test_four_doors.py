"""One table of options, four doors: command line, HTTP, agents and Python offer the same, and read it alike."""

import inspect
from typing import Any

import pytest

import icltui
from icltui.api import operation as operation_module
from icltui.api import option_table, run_to_result
from icltui.api.limits import Limits
from icltui.api.messages import Generate, GenerateEach
from icltui.api.operation import OPERATIONS, Operation, operation_of
from icltui.api.option import Option
from icltui.cli import generate, options, parser
from icltui.notebook.function import signature_of
from icltui.serve.http.addresses import address_of
from icltui.serve.http.openapi import description
from icltui.serve.mcp.tools import TOOLS, _operation_tool
from icltui.values import Session
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt

EACH = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
IN_ITS_SESSION = {
    *("context", "query", "bos", "chat", "positions", "layers"),
    *("components", "carrier", "alpha", "n_fitted", "rank", "ridge", "cross_fit"),
    *("metric", "epsilon", "background"),
}
"""What the command exam has no option for, as the session that it is given holds it."""
IN_ITS_FILES = {"answers"}
"""What is in the file of unseen queries, after a tab."""
OTHER_NAMES = {"seed": "--bootstrap-seed"}
"""The command exam's seed is not that of its session's controls."""


def flags_of(name: str) -> set[str]:
    command = parser._commands()._subparsers._group_actions[0].choices[name]
    return {flag for action in command._actions for flag in action.option_strings}


def body_of(operation: Operation) -> dict[str, Any]:
    """The schema of the body that the operation's address takes."""
    document = description(Limits(), has_token=False)
    body = document["paths"][address_of(operation)]["post"]["requestBody"]["content"]["application/json"]
    schema: dict[str, Any] = document["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
    return schema


@EACH
def test_every_option_is_on_the_command_line(operation: Operation) -> None:
    found = flags_of(operation.name)
    for option in operation.options:
        if operation.name != "exam":
            assert set(option.names) <= found, option.field
        elif option.field not in IN_ITS_SESSION | IN_ITS_FILES:
            assert OTHER_NAMES.get(option.field, option.flag) in found, option.field


@EACH
def test_every_option_is_in_http_and_in_the_tool_of_agents_or_says_why_not(operation: Operation) -> None:
    body, tool = body_of(operation)["properties"], TOOLS[operation.name].input_schema["properties"]
    for option in operation.options:
        if option.local:
            assert option.field not in body, option.field
            assert option.field not in tool, option.field
        else:
            assert body[option.field] == tool[option.field], option.field
            assert body[option.field]["description"] == operation.description(option)


@EACH
def test_every_option_is_a_keyword_in_python(operation: Operation) -> None:
    function = getattr(icltui, operation.name)
    parameters = inspect.signature(function).parameters
    for option in operation.options:
        assert parameters[option.field].default == operation.default(option)


def test_an_option_that_is_added_to_the_table_is_in_all_four(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = Option("lanes", "the lanes to run", (Generate, GenerateEach), "text", metavar="NAME,…")
    more = (*option_table.OPTIONS, made_up)
    for module in (option_table, operation_module, options):
        monkeypatch.setattr(module, "OPTIONS", more)
    operation = operation_of("generate")
    assert operation.read({"query": "b", "lanes": ["plain"]}, is_remote=True).lanes == ("plain",)  # type: ignore[union-attr]

    asked: list[Generate] = []

    def ask(_engine: object, request: Generate) -> None:
        asked.append(request)
        raise BadInput("enough")

    monkeypatch.setattr(run_to_result, "generate", ask)
    session = Session(prompt=Prompt(query="b"))
    monkeypatch.setattr(generate, "start_job", lambda _args: (None, None, session))
    with pytest.raises(BadInput, match="enough"):
        generate.generate(parser.parse(["generate", "-q", "b", "--lanes", "context,plain"]))
    assert [request.lanes for request in asked] == [("context", "plain")]

    schema = body_of(operation)["properties"]["lanes"]
    assert schema["description"] == "the lanes to run"
    assert schema["items"]["enum"] == ["context", "patched", "plain"]
    assert _operation_tool(operation).input_schema["properties"]["lanes"] == schema
    assert signature_of(operation).parameters["lanes"].default == ("context", "plain", "patched")
