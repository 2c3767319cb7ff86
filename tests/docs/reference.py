"""The reference pages of the manual, made from the code: from the parser and the registries of keys and measures; and
the stubs of what Python imports, made from the table of options.

``python -m tests.docs.reference`` writes them.
"""

import argparse
import importlib
import inspect
import pkgutil
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from textual.widget import Widget

import icltui
from icltui import tui
from icltui.cli import parser as cli_parser
from icltui.notebook import operations, patched, session
from icltui.notebook.function import RESULTS
from icltui.notebook.plain_type import type_text
from icltui.notebook.session import Session
from icltui.report.measures import MEASURES, PREDICTIONS, MeasureSpec
from icltui.tui.actions import EVERY_ACTION, MOVES
from icltui.tui.actions.action import key_text
from icltui.tui.draw.pane_help import SYMBOLS
from icltui.values import ModelInfo
from icltui.values.errors import ERRORS
from icltui.values.measurement import Dynamics
from tests.docs.blocks import DOCS

Parsers = dict[str, argparse.ArgumentParser]
"""Every parser by the words that lead to it, as ``icltui demo train``."""

_SHARED = 4
"""Commands that an option must have in common to be listed once for all."""
_HELP = ("-h", "--help", "--version")


def parsers() -> Parsers:
    """Every command that takes options of its own."""
    found = {"icltui": cli_parser._explorer(), **dict(_leaves("icltui", cli_parser._commands()))}
    return found | {"icltui verify --zoo": cli_parser._zoo()}


def _leaves(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield name, parser
    for action in below:
        for word, child in action.choices.items():
            yield from _leaves(f"{name} {word}", child)


def summaries() -> dict[str, str]:
    """What each command is for, in the parser's words."""
    return {f"icltui {action.dest}": action.help or "" for action in _choices(cli_parser._commands())}


def _choices(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action._choices_actions


def commands_page() -> str:
    """Every command and every option."""
    groups, own = _options(parsers())
    summary = [
        ("`icltui`", "the explorer"),
        *((f"`{name}`", _cell(text)) for name, text in summaries().items()),
    ]
    parts = [
        "# Commands",
        _COMMANDS_INTRODUCTION,
        _table(("command", "what it does"), summary),
        *(
            part
            for name, rows in own.items()
            for part in (
                f"## {name}",
                _table(("option", "meaning"), rows) if rows else "No options of its own.",
            )
        ),
        "## Options that commands share",
        *(
            part
            for (title, names), rows in groups.items()
            for part in (
                f"### {title.capitalize()}",
                f"Of {_listed(names)}.",
                _table(("option", "meaning"), rows),
            )
        ),
    ]
    return _page(parts)


def _options(
    found: Parsers,
) -> tuple[dict[tuple[str, tuple[str, ...]], list[tuple[str, str]]], dict[str, list[tuple[str, str]]]]:
    """The options that several commands share, by group and commands; and each command's own."""
    where: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for name, parser in found.items():
        for key in _actions(parser):
            where[key].append(name)
    shared: defaultdict[tuple[str, tuple[str, ...]], list[tuple[str, str]]] = defaultdict(list)
    for (title, *row), names in where.items():
        if len(names) >= _SHARED:
            shared[title, tuple(names)].append((row[0], row[1]))
    own = {
        name: [
            (option, text)
            for title, option, text in _actions(parser)
            if len(where[title, option, text]) < _SHARED
        ]
        for name, parser in found.items()
    }
    return dict(shared), own


def _actions(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, str]]:
    """Each option's group, the option as it is typed, and what it means."""
    for group in parser._action_groups:
        for action in group._group_actions:
            if not set(action.option_strings) & set(_HELP):
                yield group.title or "", *_row(action)


def _row(action: argparse.Action) -> tuple[str, str]:
    """An option as it is typed, and what it means; a choice names its values."""
    value = "" if action.nargs == 0 else str(action.metavar or "")
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    typed = " ".join(filter(None, (names, f"`{value}`" if value else "")))
    chosen = ", ".join(f"`{choice}`" for choice in action.choices or ())
    return _cell(typed), _cell(": ".join(filter(None, (chosen, action.help or ""))))


def keys_page() -> str:
    """Every action with its keys, and the id by which a config file gives it others."""
    groups = dict.fromkeys(action.group for action in EVERY_ACTION)
    names = {"": "The same in other steps"}
    parts = ["# Keys", _KEYS_INTRODUCTION]
    for group in sorted(groups, key=lambda group: not group):
        rows = [
            (_keys(action.keys_text()) or "palette", f"`{action.id}`", _cell(action.help))
            for action in EVERY_ACTION
            if action.group == group
        ]
        parts += [f"## {names.get(group, group)}", _table(("keys", "id", "what it does"), rows)]
    parts += [
        "## Move",
        _table(("keys", "what they do"), [(_keys(keys), _cell(text)) for keys, text in MOVES]),
    ]
    parts += [
        "## In panes and dialogs",
        _WIDGETS_INTRODUCTION,
        _table(("where", "keys", "what they do"), sorted(_widget_keys())),
    ]
    return _page(parts)


def _widget_keys() -> Iterator[tuple[str, str, str]]:
    """The keys that panes and dialogs bring along, each under the first word of its id."""
    for module in pkgutil.walk_packages(tui.__path__, f"{tui.__name__}."):
        for thing in vars(importlib.import_module(module.name)).values():
            if isinstance(thing, type) and issubclass(thing, Widget) and thing.__module__ == module.name:
                for binding in vars(thing).get("BINDINGS", ()):
                    if binding.id and "." in binding.id:
                        keys = " ".join(map(key_text, binding.key.split(",")))
                        yield binding.id.split(".")[0], _keys(keys), _cell(binding.tooltip)


def measures_page() -> str:
    """Every measure with its formula under each dynamics."""
    parts = ["# Measures", _MEASURES_INTRODUCTION]
    for measure in MEASURES.values():
        parts += [f"## {measure.symbol} (`{measure.field}`)", "\n".join(_meanings(measure))]
    for number in PREDICTIONS.values():
        unit = f", in {number.unit}" if number.unit else ""
        parts += [f"## {number.symbol} (`{number.name}`)", f"* {number.words}{unit}"]
    parts += [
        "## Symbols",
        _table(("symbol", "meaning"), [(_cell(name), _cell(text)) for name, text in SYMBOLS]),
    ]
    return _page(parts)


def _meanings(measure: MeasureSpec) -> Iterator[str]:
    by_meaning: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for dynamics in get_args(Dynamics):
        if measure.is_defined(dynamics):
            by_meaning[measure.meaning(dynamics)].append(dynamics)
    for (words, formula), names in by_meaning.items():
        yield f"* {', '.join(names)}: {words}" + (f": `{formula}`" if formula else "")


def _keys(text: str) -> str:
    return " ".join(f"`{key}`" for key in text.split())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _page(parts: Sequence[str]) -> str:
    return "\n\n".join(parts) + "\n"


_COMMANDS_INTRODUCTION = """\
Data goes to stdout, diagnostics to stderr; errors are one line. `icltui COMMAND --help` prints the same options.
[Models](models.md) says how the text of a prompt is read.

Exit codes: 0 done; 1 a check failed (`verify`), something differs (`replay`), or what was exported is not the patch
(`export`); 2 bad use or input; 3 the model could not be loaded or its own code failed; 130 interrupted."""

_KEYS_INTRODUCTION = """\
Single letters and digits act until `i` or `enter` begins writing in an editor; then they are text. `^r` is ctrl+r.
What has no key is in the palette, `^p`. The *id* is the name by which the section `[keys]` of the config file gives an
action other keys ([terminal](terminal.md))."""

_WIDGETS_INTRODUCTION = (
    "*scroll* is wherever a text scrolls: the proof, the log, the lanes, the help and this manual."
)

_ERRORS_INTRODUCTION = """\
An error is one line: what is wrong, with the value; what was needed; what to do. The command line prints it and ends
with the *exit code*, a server answers with the *HTTP status* and `{"error": {"code": …, "message": …}}`, a tool of
[agents](agents.md) begins it with the *code*, and [Python](python.md) raises the *class*, such as `icltui.BadInput`,
whose attribute `code` is the same. The engine's process names the class in the event `JobFailed`."""

_MEASURES_INTRODUCTION = """\
One number for each unit of the context and each layer, at the query's last token. The name in brackets is the key in
the JSON and the column in the CSV. What a measure means depends on the dynamics: units arrive from the left (*grow*),
leave from the left (*shrink*), or are missing one at a time (*drop*). The last three are numbers of each unit's next
token. [Maths](maths.md) derives the formulas."""


def errors_page() -> str:
    """Every error with what each door tells of it."""
    rows = [
        (
            f"`{kind.code}`",
            f"`{name}`",
            str(kind.exit_code),
            str(kind.http_status),
            _cell((kind.__doc__ or "").splitlines()[0]),
        )
        for name, kind in ERRORS.items()
    ]
    return _page(
        [
            "# Errors",
            _ERRORS_INTRODUCTION,
            _table(("code", "class", "exit code", "HTTP status", "what it is"), rows),
        ]
    )


def operations_stub() -> str:
    """The functions of :mod:`icltui.notebook.operations` as type checkers and editors see them."""
    functions = [getattr(operations, name) for name in operations.__all__]
    return "\n".join([_STUB_BEGINNING, *map(_stub, functions)])


def _stub(function: Callable[..., object]) -> str:
    signature = inspect.signature(function)
    lines: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "    *," not in lines:
            lines.append("    *,")
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        lines.append(f"    {parameter.name}: {type_text(parameter.annotation)}{default},".replace("'", '"'))
    words = textwrap.indent(inspect.getdoc(function) or "", "    ", lambda line: bool(line.strip())).strip()
    result = signature.return_annotation.__name__
    return "\n".join([f"def {function.__name__}(", *lines, f") -> {result}:", f'    """{words}\n    """', ""])


_RESULTS = ",\n    ".join(sorted({ModelInfo.__name__, *(kind.__name__ for kind in RESULTS.values())}))
_STUB_BEGINNING = f"""\
# Made from the table of options by python -m tests.docs.reference.
# ruff: noqa: E501
# fmt: off

from collections.abc import Mapping, Sequence
from typing import Literal

from icltui.api.engine import OnEvent
from icltui.values import (
    {_RESULTS},
)
"""


def patched_stub() -> str:
    """``icltui.patched`` and the class of what it gives, without torch."""
    return "\n".join([_PATCHED_BEGINNING, _stub(patched.patched), *_class_stub(patched.PatchedModel)])


def session_stub() -> str:
    """``icltui.Session``, without the engine."""
    return "\n".join([_SESSION_BEGINNING, *_class_stub(Session)]).replace("NotebookSession", "Session")


def _class_stub(kind: type) -> Iterator[str]:
    yield f'class {kind.__name__}:\n    """{inspect.getdoc(kind)}"""\n'
    for name, member in vars(kind).items():
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if inspect.isfunction(function) and (not name.startswith("_") or name in ("__enter__", "__exit__")):
            above = "@property" if function is getattr(member, "fget", None) else ""
            above = above or ("@classmethod" if isinstance(member, classmethod) else "")
            yield (f"    {above}\n" if above else "") + _method_stub(name, function)
            if getattr(member, "fset", None):
                returned = _annotated(inspect.signature(function).return_annotation)
                yield f"    @{name}.setter\n    def {name}(self, value: {returned}) -> None: ..."


def _method_stub(name: str, function: Callable[..., object]) -> str:
    signature = inspect.signature(function)
    given, is_by_name = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not is_by_name:
            given.append("*")
        is_by_name = is_by_name or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        kind = "" if parameter.annotation is parameter.empty else f": {_annotated(parameter.annotation)}"
        default = (
            "" if parameter.default is parameter.empty else f" = {parameter.default!r}".replace("'", '"')
        )
        given.append(f"{stars}{parameter.name}{kind}{default}")
    words = textwrap.indent(inspect.getdoc(function) or "", " " * 8, lambda line: bool(line.strip())).strip()
    closing = "\n        " if "\n" in words else ""
    body = f'\n        """{words}{closing}"""\n' if words else " ..."
    parameters = ", ".join(given)
    head = f"    def {name}({parameters}) -> {_annotated(signature.return_annotation)}:"
    if len(head) > _STUB_WIDTH:
        lines = "".join(f"        {one},\n" for one in given)
        head = f"    def {name}(\n{lines}    ) -> {_annotated(signature.return_annotation)}:"
    return head + body


def _annotated(kind: object) -> str:
    return kind if isinstance(kind, str) else "None" if kind is None else type_text(kind)


_STUB_WIDTH = 110
_SESSION_BEGINNING = """\
# Made from the code by python -m tests.docs.reference.

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icltui.api.engine import OnEvent
from icltui.values import (
    AttentionHeads,
    Compilation,
    Exam,
    Generation,
    LossCurves,
    Measurement,
    ModelInfo,
    Verification,
)
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
"""
_PATCHED_BEGINNING = """\
# Made from the table of options by python -m tests.docs.reference.

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from icltui.notebook.held_patch_report import HeldPatchReport
from icltui.values import ExportReport, LayerFit
from icltui.values.recipe import Recipe
"""


def package_stub() -> str:
    """The names of the package as type checkers and editors see them."""
    lines = (f"from {module} import {name} as {name}" for name, module in sorted(icltui._MODULES.items()))
    return "\n".join([_PACKAGE_BEGINNING, *lines, "", "__version__: str", ""])


_PACKAGE_BEGINNING = """\
# Made from the table in __init__.py by python -m tests.docs.reference.
# ruff: noqa: I001
"""

STUBS: dict[Path, Callable[[], str]] = {
    Path(icltui.__file__).with_suffix(".pyi"): package_stub,
    Path(operations.__file__).with_suffix(".pyi"): operations_stub,
    Path(patched.__file__).with_suffix(".pyi"): patched_stub,
    Path(session.__file__).with_suffix(".pyi"): session_stub,
}
"""Each stub that is made from the code."""

PAGES: dict[str, Callable[[], str]] = {
    "commands": commands_page,
    "keys": keys_page,
    "measures": measures_page,
    "errors": errors_page,
}
"""Each page that is made from the code, by its topic."""


if __name__ == "__main__":
    for topic, make in PAGES.items():
        (DOCS / f"{topic}.md").write_text(make(), encoding="utf-8")
    for path, make in STUBS.items():
        path.write_text(make(), encoding="utf-8")
