"""The tools that agents are offered: one for each operation, made from the one table, and two to begin with.

A tool's name and description are its operation's, its input is the operation's remote options and what of the answer is
wanted, its output the :class:`.AgentAnswer` of its function in :mod:`icltui.serve.mcp.answers`.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from icltui.api.messages import CountTokens, Request
from icltui.api.operation import OPERATIONS, Operation
from icltui.api.schema import input_schema
from icltui.serve.mcp.answers.answer import AgentAnswer, Asked, Compose
from icltui.serve.mcp.answers.compile import CompileBrief, CompileControls, compile
from icltui.serve.mcp.answers.curves import CurvesBrief, CurvesControls, curves
from icltui.serve.mcp.answers.exam import ExamBrief, ExamControls, exam
from icltui.serve.mcp.answers.generate import GenerateBrief, GenerateControls, generate
from icltui.serve.mcp.answers.heads import HeadsBrief, HeadsControls, heads
from icltui.serve.mcp.answers.measure import MeasureBrief, MeasureControls, measure
from icltui.serve.mcp.answers.model import (
    PROOF,
    ModelControls,
    ModelFacts,
    TokenControls,
    TokenCounts,
    count_tokens,
    model,
)
from icltui.serve.mcp.answers.proof import VerifyBrief, VerifyControls, verify
from icltui.values.bounds import TOKENS
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt

Respond = Callable[[Asked], Awaitable[Compose]]
"""Asks the engine for an answer and its controls."""

ANSWERS: dict[str, tuple[Respond, Any]] = {
    "measure": (measure, AgentAnswer[MeasureBrief, MeasureControls]),
    "generate": (generate, AgentAnswer[GenerateBrief, GenerateControls]),
    "verify": (verify, AgentAnswer[VerifyBrief, VerifyControls]),
    "curves": (curves, AgentAnswer[CurvesBrief, CurvesControls]),
    "heads": (heads, AgentAnswer[HeadsBrief, HeadsControls]),
    "compile": (compile, AgentAnswer[CompileBrief, CompileControls]),
    "exam": (exam, AgentAnswer[ExamBrief, ExamControls]),
}
"""What answers each operation, and what it gives."""

_DETAIL = {
    "type": "string",
    "enum": ["short", "full"],
    "default": "short",
    "description": "short: the rows that matter; full: also all that the command prints as JSON, where there is room",
}
_UNITS = {
    "type": "string",
    "default": "",
    "maxLength": 200,
    "description": "units of which every measure is wanted, such as 3 or 1,4-6; empty: none",
}
_MOST_UNITS = 1000


class Wanted(Struct, frozen=True, kw_only=True):
    """What a call of a tool asks for."""

    request: Request
    is_full: bool = False
    """Whether all that the command prints is wanted too."""
    units: frozenset[int] = frozenset()
    """The units of which every measure is wanted."""


class AgentTool(Struct, frozen=True, kw_only=True):
    """One tool."""

    name: str
    description: str
    respond: Respond
    answer: Any
    """The class of its answer."""
    read: Callable[[Mapping[str, Any]], Wanted]
    """What the arguments of a call ask for; raises BadInput."""
    input_schema: dict[str, Any]

    @property
    def output_schema(self) -> dict[str, Any]:
        """The JSON schema of its answer, an object at the root as clients expect."""
        schema = msgspec.json.schema(self.answer)
        name = schema["$ref"].rpartition("/")[2]
        return {**schema["$defs"][name], "$defs": {k: v for k, v in schema["$defs"].items() if k != name}}


def _operation_tool(operation: Operation) -> AgentTool:
    respond, answer = ANSWERS[operation.name]
    schema = input_schema(operation)
    views = {"detail": _DETAIL, **({"units": _UNITS} if operation.name == "measure" else {})}

    def read(arguments: Mapping[str, Any]) -> Wanted:
        own = {name: value for name, value in arguments.items() if name not in views}
        return Wanted(
            request=operation.read(own, is_remote=True),
            is_full=_is_full(arguments.get("detail", "short")),
            units=_read_units(arguments.get("units", "")) if "units" in views else frozenset(),
        )

    return AgentTool(
        name=operation.name,
        description=f"{operation.purpose} The answer comes with its controls.",
        respond=respond,
        answer=answer,
        read=read,
        input_schema={**schema, "properties": {**schema["properties"], **views}},
    )


def _count_tool() -> AgentTool:
    """The tool that counts tokens, whose options are those of a prompt."""
    operation = next(operation for operation in OPERATIONS if operation.name == "verify")
    names = list(Prompt.__struct_fields__)
    schema = input_schema(operation)

    def read(arguments: Mapping[str, Any]) -> Wanted:
        for name in arguments:
            if name not in names:
                raise BadInput(f"{str(name)[:40]!r} is no option of count_tokens: use {', '.join(names)}")
        request = operation.read(arguments, is_remote=True)
        return Wanted(request=CountTokens(prompt=request.prompt))  # type: ignore[union-attr]  # a Verify has one

    return AgentTool(
        name="count_tokens",
        description="How many tokens a prompt has, which they are, and whether they fit.",
        respond=count_tokens,
        answer=AgentAnswer[TokenCounts, TokenControls],
        read=read,
        input_schema={**schema, "properties": {name: schema["properties"][name] for name in names}},
    )


def _model_tool() -> AgentTool:
    def read(arguments: Mapping[str, Any]) -> Wanted:
        for name in arguments:
            raise BadInput(f"{str(name)[:40]!r} is no option of model, which takes none: leave it out")
        return Wanted(request=CountTokens(prompt=PROOF))

    return AgentTool(
        name="model",
        description=(
            "The model that every other tool asks: its layers, window, numbers, refused layers and limits, and whether "
            "its patch is exact on a short prompt. Begin here."
        ),
        respond=model,
        answer=AgentAnswer[ModelFacts, ModelControls],
        read=read,
        input_schema={"type": "object", "properties": {}, "additionalProperties": False},
    )


def _is_full(detail: object) -> bool:
    if detail not in ("short", "full"):
        raise BadInput(f"detail {str(detail)[:40]!r} is not known: use short or full")
    return detail == "full"


def _read_units(text: object) -> frozenset[int]:
    """The units that ``1,4-6`` names.

    Raises:
        BadInput: no such list, or one of very many units.
    """
    found: set[int] = set()
    parts = text.replace(" ", "").split(",") if isinstance(text, str) else [text]
    for part in filter(None, parts) if isinstance(text, str) else parts:
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part) if isinstance(part, str) else None
        if match is None:
            raise BadInput(f"units {str(text)[:40]!r} not understood: give numbers such as 3 or 1,4-6")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last or last > TOKENS or last - first >= _MOST_UNITS or len(found) >= _MOST_UNITS:
            raise BadInput(f"units {part!r}: give up to {_MOST_UNITS} units, the smaller number first")
        found.update(range(first, last + 1))
    return frozenset(found)


TOOLS: dict[str, AgentTool] = {
    tool.name: tool for tool in (_model_tool(), _count_tool(), *map(_operation_tool, OPERATIONS))
}
"""Every tool by its name."""
