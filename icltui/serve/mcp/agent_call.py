"""One call of a tool, from its arguments to an answer that fits an agent's window."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from icltui.api.collect import Collected
from icltui.api.limits import Limits
from icltui.api.messages import Request
from icltui.report.answer import answer_json
from icltui.serve.mcp.answers.answer import AgentAnswer, Asked, Compose, Cut
from icltui.serve.mcp.tools import AgentTool, Wanted
from icltui.values import ModelInfo
from icltui.values.errors import RequestTooLarge

Ask = Callable[[Request], Awaitable[Collected]]
"""Does one job."""
MOST_ROWS = 16
"""Rows of one list in an answer, where there is room for so many."""
MOST_CHARACTERS = 24_000
"""Of one answer as JSON: some eight thousand tokens of the agent's window."""


async def call(
    tool: AgentTool,
    arguments: Mapping[str, Any],
    ask: Ask,
    model: Callable[[], Awaitable[ModelInfo]],
    limits: Limits,
    most: int = MOST_CHARACTERS,
) -> dict[str, Any]:
    """The answer to one call, as JSON's own types and of at most ``most`` characters.

    Raises:
        IcltuiError: arguments that cannot be read, a job that fails, or an answer that is too long.
    """
    wanted = tool.read(arguments)
    first: list[Collected] = []

    async def remember(request: Request) -> Collected:
        collected = await ask(request)
        first.append(collected)
        return collected

    asked = Asked(
        request=wanted.request, model=await model(), ask=remember, limits=limits, units=wanted.units
    )
    compose = await tool.respond(asked)
    return _fitting(compose, _full(wanted, asked.model, first), most)


def _full(wanted: Wanted, model: ModelInfo, first: list[Collected]) -> dict[str, Any] | None:
    """All that the command prints, where it is wanted: of the job whose controls the others are."""
    if not wanted.is_full:
        return None
    document: dict[str, Any] = msgspec.json.decode(answer_json(model, wanted.request, first[0]))
    return document


def _fitting(compose: Compose, full: dict[str, Any] | None, most: int) -> dict[str, Any]:
    """The answer with as many rows as there is room for.

    Raises:
        RequestTooLarge: there is no room for it with one row of each list.
    """
    rows, length = MOST_ROWS, 0
    while rows:
        answer = _builtins(compose(Cut(rows)), full)
        if (length := len(as_text(answer))) <= most:
            return answer
        rows //= 2
    what = "the full answer" if full is not None else "the answer"
    way_out = "leave detail out" if full is not None else "ask for fewer units or tokens"
    raise RequestTooLarge(
        f"{what} has {length:,} characters, more than {most:,}: {way_out}, choose fewer layers, shorten the context, "
        "or cut it into lines"
    )


def _builtins(answer: AgentAnswer[Any, Any], full: dict[str, Any] | None) -> dict[str, Any]:
    document: dict[str, Any] = _sendable(msgspec.to_builtins(replace(answer, full=full)))
    return document


def _sendable(value: Any) -> Any:
    """``value`` with lone surrogates, which no JSON may hold, as escapes: a token need not be a whole character."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_sendable(name): _sendable(one) for name, one in value.items()}
        case list() | tuple():
            return list(map(_sendable, value))
    return value


def as_text(answer: dict[str, Any]) -> str:
    """The answer as the text that an agent reads: the same JSON."""
    return msgspec.json.encode(answer).decode()
