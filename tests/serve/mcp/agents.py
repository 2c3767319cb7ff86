"""Agents of tests: engines behind the client of an engine, and the tools on a server in this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from mcp.client.client import Client as AgentClient

from icltui.api.engine import Engine, Listener
from icltui.api.limits import Limits
from icltui.api.messages import (
    CountTokens,
    EngineDied,
    EngineStarted,
    Event,
    JobCancelled,
    JobEnded,
    LoadModel,
    ModelLoaded,
    Progress,
    PromptTokenized,
    Request,
)
from icltui.serve.job_desk import JobDesk
from icltui.serve.mcp.agent_call import MOST_CHARACTERS
from icltui.serve.mcp.server import AgentServer
from icltui.values import ModelInfo, TokenizedPrompt
from icltui.worker.server import job_failure

MODEL = ModelInfo(
    name="made up",
    revision=None,
    fingerprint="00",
    architecture="None",
    n_layers=2,
    hidden_size=4,
    n_parameters=1,
    dtype="float32",
    device="cpu",
    window=None,
    path="loop",
    versions={},
)


class EngineClient:
    """An engine of this process as an ``icltui.api.engine.Client``: its jobs run in the event loop, piece by piece."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.requests: list[Request] = []
        self.cancelled: set[int] = set()
        self.n_running = 0
        self.most_running = 0
        self.is_closed = False
        self._tasks: list[asyncio.Task[None]] = []
        self._listener: Listener = lambda _job, _event: None

    async def start(self, listener: Listener) -> None:
        self._listener = listener
        listener(0, EngineStarted(version="0"))

    def submit(self, request: Request) -> int:
        self.requests.append(request)
        job = len(self.requests)
        self._tasks.append(asyncio.create_task(self._run(job, request)))
        return job

    async def _run(self, job: int, request: Request) -> None:
        self.n_running += 1
        self.most_running = max(self.n_running, self.most_running)
        try:
            for event in self.engine.run(request, lambda: job in self.cancelled):
                self._listener(job, event)
                await asyncio.sleep(0)
            last: Event = JobCancelled() if job in self.cancelled else JobEnded()
        except Exception as error:  # noqa: BLE001 (as the engine's process does)
            last = job_failure(error)
        self.n_running -= 1
        self._listener(job, last)

    def cancel(self, job: int) -> None:
        self.cancelled.add(job)

    async def kill(self) -> None:
        self._listener(0, EngineDied(message="the engine was killed"))

    async def close(self) -> None:
        self.is_closed = True
        for task in self._tasks:
            task.cancel()


class PatientEngine:
    """Loads a made-up model and counts no token; every other job goes on until it is stopped or let go."""

    def __init__(self) -> None:
        self.is_let_go = False
        self.n_stopped = 0

    def run(self, request: Request, should_stop: Callable[[], bool]) -> Iterator[Event]:
        if isinstance(request, LoadModel):
            yield ModelLoaded(model=MODEL)
            return
        if isinstance(request, CountTokens):
            yield PromptTokenized(tokens=TokenizedPrompt(prefix=(), context=(), query=(), units=()))
            return
        done = 0
        while not self.is_let_go:
            if should_stop():
                self.n_stopped += 1
                return
            done += 1
            yield Progress(stage="waiting", done=done, total=0)


class CannedEngine:
    """Loads a made-up model, and answers each request as it is told to."""

    def __init__(self, events: dict[type, Event]) -> None:
        self.events = events

    def run(self, request: Request, should_stop: Callable[[], bool]) -> Iterator[Event]:  # noqa: ARG002
        if isinstance(request, LoadModel):
            yield ModelLoaded(model=MODEL)
        elif isinstance(request, CountTokens):
            yield PromptTokenized(tokens=TokenizedPrompt(prefix=(), context=(), query=(), units=()))
        else:
            yield self.events[type(request)]


@contextlib.asynccontextmanager
async def agent(
    client: EngineClient,
    limits: Limits | None = None,
    characters: int = MOST_CHARACTERS,
    mode: Any = "auto",
) -> AsyncIterator[AgentClient]:
    """An agent's client, whose server and engine are in this process."""
    server = AgentServer(JobDesk(client, LoadModel(), limits), characters)
    try:
        async with AgentClient(server.server(), mode=mode) as found:
            yield found
    finally:
        await server.close()
