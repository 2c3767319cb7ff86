"""An engine that is kept ready: its model loaded, stopped where nobody waits any more, started again where it died.

A client of an engine enters; one job at a time is run on it. What queues the jobs is :mod:`icltui.serve.job_desk`.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from icltui.api.collect import Collected
from icltui.api.engine import Client
from icltui.api.job_error import error_from
from icltui.api.messages import (
    JOB_OVER,
    EngineAwaited,
    EngineDied,
    EngineStarted,
    Event,
    JobCancelled,
    JobFailed,
    LoadModel,
    Request,
)
from icltui.values import ModelInfo
from icltui.values.errors import EngineError

OnEvent = Callable[[Event], object]
"""Hears each event of a job as it comes."""
PATIENCE = 3.0
"""Seconds that a job may go on once it was asked to stop; then the engine's process is killed."""
MOST_PATIENCE = 60.0
"""The most of them, where the model takes long to load: to kill the engine costs everybody as much as its load."""
_LONGEST = 300
"""Characters of the log's last line that are told."""


@dataclass(eq=False)
class _Running:
    """The job that the engine works on."""

    on_event: OnEvent
    over: asyncio.Future[Event]
    """Its last event."""
    job: int = 0
    died: EngineDied | None = None
    """How the engine ended meanwhile."""


class KeptEngine:
    """An engine with its model.

    Args:
        client: the engine, not started yet.
        load: the model to load, again each time that the engine is started.
        patience: seconds until a job that does not listen is killed, the engine with it; as many as the model took to
            load where that is more, up to :data:`MOST_PATIENCE`.
    """

    def __init__(self, client: Client, load: LoadModel, patience: float = PATIENCE) -> None:
        self._client, self._load, self._patience = client, load, patience
        self.model: ModelInfo | None = None
        """The model, once it was loaded for the first time."""
        self.is_ready = False
        """Whether the engine runs and holds the model."""
        self._mending: asyncio.Task[None] | None = None
        """What makes the engine ready: its start, or the end of a job that nobody waits for."""
        self._greeted: asyncio.Future[EngineDied | None] | None = None
        self._running: _Running | None = None
        self._was_used = False
        """Whether a job has begun since the engine was started: one that dies by itself is not started in a loop."""
        self._is_closed = False
        self._on_silence: OnEvent = _ignore
        """Hears that an engine which was started does not answer."""

    async def open(self, on_event: OnEvent) -> ModelInfo:
        """Start the engine and load the model; ``on_event`` hears how that goes.

        Raises:
            IcltuiError: the engine does not start, or the model cannot be loaded.
        """
        await self._start(on_event)
        assert self.model is not None
        return self.model

    async def run(self, request: Request, on_event: OnEvent) -> None:
        """Run one job to its end. Where the caller is cancelled, the job is, and killed where it does not listen.

        Raises:
            IcltuiError: the engine refuses or fails, or its process ended; it is started again then.
        """
        await self._get_ready()
        self._was_used = True
        await self._ask(request, on_event)

    async def close(self) -> None:
        """End the engine."""
        self._is_closed, self.is_ready = True, False
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.wait({self._mending})
        await self._client.close()

    async def _get_ready(self) -> None:
        """Wait for whatever makes the engine ready. One caller who goes does not stop that: others need it too."""
        if self._mending is None and not self.is_ready:
            self._mend(self._start(_ignore))
        if self._mending is not None:
            await asyncio.shield(self._mending)

    def _mend(self, work: Coroutine[Any, Any, None]) -> None:
        self._mending = asyncio.create_task(work, name="engine mending")
        self._mending.add_done_callback(self._mended)

    def _mended(self, task: asyncio.Task[None]) -> None:
        self._mending = None
        if not task.cancelled():
            task.exception()  # told to whoever waited; the next job tries again

    async def _start(self, on_event: OnEvent) -> None:
        began = time.monotonic()
        self._was_used, self._greeted = False, asyncio.get_running_loop().create_future()
        self._on_silence = on_event
        await self._client.start(self._hear)
        if died := await self._greeted:
            raise EngineError(_words(died))
        collected = Collected(self._load)

        def take(event: Event) -> None:
            collected.take(event)
            on_event(event)

        await self._ask(self._load, take)
        if collected.model is None:
            raise EngineError("the engine loaded no model: its command must run icltui engine")
        self.model, self.is_ready = collected.model, True
        self._patience = max(self._patience, min(time.monotonic() - began, MOST_PATIENCE))

    async def _ask(self, request: Request, on_event: OnEvent) -> None:
        running = _Running(on_event, asyncio.get_running_loop().create_future())
        self._running = running
        running.job = self._client.submit(request)
        try:
            last = await asyncio.shield(running.over)
        except asyncio.CancelledError:
            running.on_event = _ignore
            if not self._is_closed:
                self._mend(self._stop(running))
            raise
        self._let_go(running)
        if running.died is not None:
            raise EngineError(_words(running.died))
        if isinstance(last, JobFailed):
            raise error_from(last)
        if isinstance(last, JobCancelled):
            raise EngineError("the engine stopped the job, which nobody had asked for: ask again")

    async def _stop(self, running: _Running) -> None:
        """End a job that nobody waits for, by force where it does not listen."""
        self._client.cancel(running.job)
        await asyncio.wait({running.over}, timeout=self._patience)
        if not running.over.done():
            await self._client.kill()
        self._let_go(running)
        if not self.is_ready:
            await self._start(_ignore)

    def _let_go(self, running: _Running) -> None:
        if self._running is running:  # and not already the load of the next engine
            self._running = None

    def _hear(self, job: int, event: Event) -> None:
        """The client's listener."""
        running = self._running
        if isinstance(event, EngineStarted):
            _settle(self._greeted, None)
        elif isinstance(event, EngineDied):
            self._mourn(event)
        elif isinstance(event, EngineAwaited):
            self._on_silence(event)
        elif running is not None and job in (running.job, 0):
            if isinstance(event, JOB_OVER):
                _settle(running.over, event)
            else:
                running.on_event(event)

    def _mourn(self, event: EngineDied) -> None:
        """Fail the job that ran, and start the engine again, unless it died before it was of any use."""
        self.is_ready = False
        _settle(self._greeted, event)
        if self._running is not None:
            self._running.died = event
            _settle(self._running.over, event)
        if self._was_used and self._mending is None and not self._is_closed:
            self._mend(self._start(_ignore))


def _words(died: EngineDied) -> str:
    """How the engine ended, with the last line of its log."""
    last = died.log_tail[-1][:_LONGEST] if died.log_tail else ""
    return died.message if not last or last in died.message else f"{died.message}: {last}"


def _settle(future: "asyncio.Future[Any] | None", value: Event | None) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _ignore(_event: Event) -> None:
    pass
