"""An agent's session with ``icltui mcp``: the real program, its engine, the embedded model, the library's client.

``python -m tests.serve.mcp.agent_session`` prints the transcript of the manual's page *agents*.
"""

import asyncio
import contextlib
import json
import os
import sys
import textwrap
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psutil
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from icltui.system.child_environment import own_command

CONTEXT = "The capital of France is Rome.\nThe capital of Spain is Cairo.\n"
GIVEN = {"context": CONTEXT, "query": "The capital of France is"}
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("model", {}),
    ("count_tokens", GIVEN),
    ("measure", {**GIVEN, "unit": "line"}),
    ("generate", {**GIVEN, "mode": "frozen", "n_tokens": 8}),
    ("verify", GIVEN),
    ("measure", {"context": CONTEXT}),
)
"""What the agent calls, one after the other; the last call lacks its query."""
WIDTH = 118
"""Of the manual."""
LONG = ("generate", {**GIVEN, "n_tokens": 400})
"""A call that it gives up."""


@dataclass
class Step:
    """One call and what came of it."""

    name: str
    arguments: dict[str, Any]
    text: str
    structured: Any
    is_error: bool

    @property
    def told(self) -> str:
        """What a reader is shown: the summary, or the error."""
        return self.text if self.is_error else str(self.structured["summary"])


@contextlib.asynccontextmanager
async def program(heard: list[Exception]) -> AsyncIterator[Client]:
    """``icltui mcp`` as a client starts it; ``heard`` gets what it writes that is no message."""

    async def hear(message: object) -> None:
        if isinstance(message, Exception):
            heard.append(message)

    command, *arguments = own_command("mcp")
    parameters = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with Client(parameters, message_handler=hear) as client:
        yield client


async def call(client: Client, name: str, arguments: dict[str, Any]) -> Step:
    """Call a tool; the client holds its answer against the tool's schema."""
    result = await client.call_tool(name, arguments)
    return Step(name, arguments, result.content[0].text, result.structured_content, result.is_error)


async def session(client: Client) -> list[Step]:
    """Every call of :data:`CALLS`."""
    return [await call(client, *one) for one in CALLS]


async def give_up(client: Client) -> float:
    """Begin :data:`LONG` and cancel it once it makes progress, which is given."""
    told: list[float] = []
    begun = asyncio.Event()

    async def hear(progress: float, _total: float | None, _message: str | None) -> None:
        told.append(progress)
        begun.set()

    name, arguments = LONG
    running = asyncio.create_task(client.call_tool(name, arguments, progress_callback=hear))
    await asyncio.wait({running, asyncio.create_task(begun.wait())}, return_when=asyncio.FIRST_COMPLETED)
    assert not running.done(), "it was over before it told of any progress"
    running.cancel()
    await asyncio.wait({running})
    return told[-1]


def processes() -> list[psutil.Process]:
    """The program and its engine."""
    return psutil.Process().children(recursive=True)


def transcript(steps: list[Step]) -> str:
    """The session as the manual shows it."""
    parts = []
    for step in steps:
        asked = f"> {step.name} {json.dumps(step.arguments, ensure_ascii=False)}"
        told = f"{'isError: ' if step.is_error else ''}{step.told}"
        parts += [textwrap.fill(text, WIDTH, break_on_hyphens=False) for text in (asked, told)] + [""]
    return "\n".join(parts)


async def main() -> None:
    async with program([]) as client:
        sys.stdout.write(transcript(await session(client)))


if __name__ == "__main__":
    asyncio.run(main())
