"""The operations for agents, over the Model Context Protocol on stdin and stdout.

A call is answered from the same desk as any other request: calls wait for each other, one that is cancelled stops its
job, and the end of the client's input ends the engine and the program.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO, TypeAlias

import anyio
import mcp_types
from anyio.lowlevel import checkpoint_if_cancelled
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from icltui import __version__
from icltui.api.collect import Collected
from icltui.api.engine import Client
from icltui.api.limits import Limits
from icltui.api.messages import EngineAwaited, Event, LoadModel, Request
from icltui.api.option_table import without_flags
from icltui.serve.job_desk import JobDesk
from icltui.serve.mcp.agent_call import MOST_CHARACTERS, as_text, call
from icltui.serve.mcp.call_progress import CallProgress
from icltui.serve.mcp.frames import FrameInput, FrameOutput
from icltui.serve.mcp.tools import TOOLS, AgentTool
from icltui.text.escape import visible
from icltui.values import ModelInfo
from icltui.values.errors import IcltuiError, TimedOut

INSTRUCTIONS = (
    "icltui says what a context does to a language model's weights: its own model's, not yours. Begin with the tool "
    "model. A prompt is a context and the query after it; the model is asked for the query's continuation with the "
    "context and without. Every answer has controls: tell them with the number. Answers are short; detail and units "
    "give more."
)
_LONGEST_WORDS = 300
_LAST_WORDS = 1.0
"""Seconds that the client may take to read what is written when it has closed its end."""

Context: TypeAlias = ServerRequestContext[dict[str, Any], Any]


class AgentServer:
    """The tools on one engine.

    Args:
        desk: takes the requests; not opened yet.
        characters: the most of one answer.
    """

    def __init__(self, desk: JobDesk, characters: int = MOST_CHARACTERS) -> None:
        self._desk, self._characters = desk, characters
        self._opening: asyncio.Task[ModelInfo] | None = None
        self._last_words = ""
        """The last line that an engine wrote which does not answer, such as a question for a password."""

    def server(self) -> "Server[dict[str, Any]]":
        """What speaks the protocol."""
        return Server(
            "icltui",
            version=__version__,
            title="icltui",
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )

    async def model(self) -> ModelInfo:
        """The model, loaded once for all callers; where that failed, the next caller tries again.

        Raises:
            IcltuiError: the engine does not start, or the model cannot be loaded.
            TimedOut: it is not loaded within a job's time; it goes on loading.
        """
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self.begin()
        assert self._opening is not None
        seconds = self._desk.limits.seconds
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._opening)
        except TimeoutError:
            log = f": {self._last_words}" if self._last_words else ""
            raise TimedOut(
                f"no model is loaded after {seconds:g} s{log}; it goes on: ask again later"
            ) from None

    def begin(self) -> None:
        """Load the model, before anybody asks."""
        self._opening = asyncio.create_task(self._desk.open(self._hear), name="opening")
        self._opening.add_done_callback(_heard)

    def _hear(self, event: Event) -> None:
        if isinstance(event, EngineAwaited):
            self._last_words = visible(event.log_tail[-1][:_LONGEST_WORDS]) if event.log_tail else ""

    async def close(self) -> None:
        """End every job, and the engine."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait({self._opening})
        await self._desk.close()

    async def _list_tools(
        self, _context: Context, _params: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListToolsResult:
        return mcp_types.ListToolsResult(tools=list(map(_described, TOOLS.values())))

    async def _call_tool(
        self, context: Context, params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult:
        if (tool := TOOLS.get(params.name)) is None:
            known = ", ".join(TOOLS)
            raise MCPError(
                code=mcp_types.INVALID_PARAMS, message=f"no tool {params.name[:40]!r}: use {known}"
            )
        progress = CallProgress(context.session.report_progress)
        try:
            answer = await call(
                tool,
                params.arguments or {},
                self._asker(progress),
                self.model,
                self._desk.limits,
                self._characters,
            )
        except IcltuiError as error:
            words = without_flags(str(error)).encode("utf-8", "backslashreplace").decode()
            text = mcp_types.TextContent(text=f"{error.code}: {words}")
            return mcp_types.CallToolResult(content=[text], is_error=True)
        text = mcp_types.TextContent(text=as_text(answer))
        return mcp_types.CallToolResult(content=[text], structured_content=answer)

    def _asker(self, progress: CallProgress) -> Callable[[Request], Awaitable[Collected]]:
        async def ask(request: Request) -> Collected:
            async with self._desk.job(request) as job:
                async for event in job:
                    await (
                        checkpoint_if_cancelled()
                    )  # else a flood of events would never let the call be cancelled
                    await progress.hear(event, job.collected)
            progress.end_job()
            return job.collected

        return ask


def _described(tool: AgentTool) -> mcp_types.Tool:
    return mcp_types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=mcp_types.ToolAnnotations(
            read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )


def _heard(task: "asyncio.Future[Any]") -> None:
    """A failed start is told to whoever calls a tool."""
    if not task.cancelled():
        task.exception()


async def serve_agents(
    client: Client,
    load: LoadModel,
    limits: Limits,
    characters: int,
    stdin: BinaryIO,
    stdout: BinaryIO,
) -> None:
    """Serve one client until its input ends, or it reads no more."""
    agents = AgentServer(JobDesk(client, load, limits), characters)
    output = FrameOutput(stdout)
    lines: Any = FrameInput(stdin, output, limits.body_bytes)
    out: Any = output
    server = agents.server()
    agents.begin()
    try:
        with anyio.CancelScope() as scope:
            async with stdio_server(lines, out) as (read, write):
                await server.run(read, write, server.create_initialization_options())
                scope.deadline = anyio.current_time() + _LAST_WORDS
    except* OSError:  # nobody reads any more
        pass
    finally:
        await agents.close()
