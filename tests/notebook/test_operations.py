"""The functions of Python: made of the table of options, typed, and the command line's own numbers."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import icltui
from icltui.api.messages import Event, UnitsMeasured
from icltui.api.operation import OPERATIONS
from icltui.cli.main import main
from icltui.notebook.function import RESULTS
from tests.waiting import PATIENCE

CONTEXT, QUERY = "The capital of France is Rome. The capital of Spain is Oslo.", "The capital of France is"

USER = """\
import icltui
from icltui import Event, Measurement

def hear(event: Event) -> None: ...

def ask() -> Measurement:
    return icltui.measure("demo", context="a", query="b", layers="last", dynamics="drop", on_event=hear)

try:
    reveal_type(icltui.exam("demo", queries=["a"]))
except icltui.IcltuiError as error:
    reveal_type(error.code)
icltui.measure("demo", dynamics="fall")
icltui.measure("demo", n_tokens=3)
icltui.mesure("demo")
"""
ERRORS = ((13, "arg-type"), (14, "call-arg"), (15, "attr-defined"))
"""Lines of that file with a mistake, and the type checker's name for it."""


def test_there_is_a_function_for_every_operation() -> None:
    assert set(RESULTS) == {operation.name for operation in OPERATIONS}
    assert {operation.name for operation in OPERATIONS} <= set(icltui.__all__) <= set(dir(icltui))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_signature_and_help_have_every_option(operation: Any) -> None:
    function = getattr(icltui, operation.name)
    signature, words = inspect.signature(function), inspect.getdoc(function) or ""
    for option in operation.options:
        assert signature.parameters[option.field].default == operation.default(option)
        assert f"\n    {option.field} (" in words
    assert not {"{default}", " --"} & {part for part in ("{default}", " --") if part in words}
    assert signature.return_annotation is RESULTS[operation.name]


@pytest.mark.parametrize(
    "options",
    [
        {"dynamics": "drop", "layers": "0,3-4", "unit": "sentence"},
        *(pytest.param(one, marks=pytest.mark.zoo) for one in ({}, {"layers": "last"}, {"unit": "sentence"})),
    ],
)
def test_a_held_model_gives_the_numbers_of_the_command_line(
    options: dict[str, str], held: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    found = icltui.measure(*held, CONTEXT, QUERY, **options)
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    assert main(["measure", "-c", CONTEXT, "-q", QUERY, *flags, "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["model"]["fingerprint"] == icltui.describe(*held).fingerprint
    for row, own in zip(said["rows"], found.rows, strict=True):
        assert {name: getattr(own, name) for name in row} == row


def test_events_are_heard() -> None:
    heard: list[Event] = []
    found = icltui.measure("demo", context=CONTEXT, query=QUERY, on_event=heard.append)
    assert [row for event in heard if isinstance(event, UnitsMeasured) for row in event.rows] == [*found.rows]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"query": ""}, "the query is empty"),
        ({"contxt": "a"}, "'contxt' is no option of measure: use context"),
        ({"dynamics": "fall"}, "dynamics: 'fall' not known: use grow, shrink, drop"),
        ({"layers": "9"}, "layer"),
    ],
)
def test_a_mistake_is_one_line(values: dict[str, Any], line: str) -> None:
    with pytest.raises(icltui.BadInput) as refused:
        icltui.measure("demo", **{"context": CONTEXT, "query": QUERY} | values)
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


@pytest.mark.zoo
def test_a_type_checker_knows_options_and_results(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--cache-dir",
        "cache",
        "user.py",
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    errors = [line for line in run.stdout.splitlines() if ": error: " in line]
    assert len(errors) == len(ERRORS), run.stdout
    for found, (line, kind) in zip(errors, ERRORS, strict=True):
        assert found.startswith(f"user.py:{line}:")
        assert found.endswith(f"[{kind}]")
    assert 'type is "icltui.values.exam.Exam"' in run.stdout
    assert 'type is "str"' in run.stdout


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; before = {*sys.modules}; import icltui; dir(icltui); print({*sys.modules} - before)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert run.stdout.strip() == "{'icltui'}"
