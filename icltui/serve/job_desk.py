"""The desk where every caller of a server hands in a request: one job runs at a time, and few may wait.

async with desk.job(request) as job:      # leaving the block cancels the job
    async for event in job: ...
job.collected                             # what the events add up to

collected = await desk.answer(request)    # the same for a caller who needs no events
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from icltui.api.collect import Collected
from icltui.api.engine import Client
from icltui.api.limits import Limits, check_request, check_tokens, count_request
from icltui.api.messages import CountTokens, Event, LoadModel, Request
from icltui.serve.kept_engine import PATIENCE, KeptEngine, OnEvent
from icltui.values import ModelInfo
from icltui.values.errors import Busy, EngineError, TimedOut


class DeskJob:
    """A job as its caller sees it: an iterator of its events, which raises the error that it ends with."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.collected = Collected(request)
        """What the events so far add up to."""
        self._events: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        """Not bounded: the engine never waits for a reader, and :class:`.Limits` bound what it may send."""

    def __aiter__(self) -> "DeskJob":
        return self

    async def __anext__(self) -> Event:
        event = await self._events.get()
        if event is None:
            raise StopAsyncIteration
        if isinstance(event, Exception):
            raise event
        return event

    def take(self, event: Event) -> None:
        """Add an event."""
        self.collected.take(event)
        self._events.put_nowait(event)

    def end(self, error: Exception | None = None) -> None:
        """End the iteration, by an error where there was one."""
        self._events.put_nowait(error)


class JobDesk:
    """The jobs of one engine.

    Args:
        client: the engine, not started yet.
        load: its model.
        limits: how much a caller may ask for.
        patience: seconds until a cancelled job that does not listen is killed.
    """

    def __init__(
        self, client: Client, load: LoadModel, limits: Limits | None = None, patience: float = PATIENCE
    ) -> None:
        self.limits = limits or Limits()
        self._engine = KeptEngine(client, load, patience)
        self._turn = asyncio.Lock()
        self._jobs: dict[asyncio.Task[None], DeskJob] = {}
        self._is_open = False

    @property
    def model(self) -> ModelInfo | None:
        """The model; None before :meth:`open`."""
        return self._engine.model

    @property
    def is_ready(self) -> bool:
        """Whether the engine runs and holds the model."""
        return self._engine.is_ready

    @property
    def n_jobs(self) -> int:
        """The jobs that wait or run."""
        return len(self._jobs)

    async def open(self, on_event: OnEvent = lambda _event: None) -> ModelInfo:
        """Start the engine and load the model; ``on_event`` hears how that goes.

        Raises:
            IcltuiError: the engine does not start, or the model cannot be loaded.
        """
        model = await self._engine.open(on_event)
        self._is_open = True
        return model

    @contextlib.asynccontextmanager
    async def job(self, request: Request) -> AsyncIterator[DeskJob]:
        """A job of ``request``, cancelled where the block is left before its end.

        Raises:
            RequestTooLarge: more than the limits allow; of too many tokens the iteration tells.
            BadInput: layers that the model does not have.
            Busy: as many jobs wait as may.
        """
        if not self._is_open or self.model is None:
            raise Busy("the server is ending: ask again later")
        check_request(request, self.limits, self.model.n_layers)
        if self.n_jobs >= self.limits.queue:
            raise Busy(f"{self.n_jobs} jobs wait or run, which is as many as may: ask again later")
        job = DeskJob(request)
        task = asyncio.create_task(self._work(job), name="desk job")
        self._jobs[task] = job
        task.add_done_callback(self._forget)  # however slowly the caller reads the events
        try:
            yield job
        finally:
            task.cancel()
            self._forget(task)

    async def answer(self, request: Request, on_event: OnEvent = lambda _event: None) -> Collected:
        """What a job of ``request`` adds up to; ``on_event`` hears its events.

        Raises:
            IcltuiError: as :meth:`job`, or as the job itself fails.
            TimedOut: it took longer than the limits allow, its wait included.
        """
        async with self.job(request) as job:
            async for event in job:
                on_event(event)
        return job.collected

    async def events(self, request: Request) -> AsyncGenerator[Event, None]:
        """The events of a job of ``request``, as :meth:`answer` has them; ``aclose`` cancels it."""
        async with self.job(request) as job:
            async for event in job:
                yield event

    async def close(self) -> None:
        """End every job, and the engine."""
        self._is_open = False
        jobs = dict(self._jobs)
        for task, job in jobs.items():
            job.end(Busy("the server is ending: ask again later"))
            task.cancel()
        if jobs:
            await asyncio.wait(jobs)
        await self._engine.close()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._jobs.pop(task, None)

    async def _work(self, job: DeskJob) -> None:
        """Wait for the turn of ``job``, and run it."""
        try:
            async with asyncio.timeout(self.limits.seconds), self._turn:
                if not isinstance(job.request, CountTokens):  # which says itself whether they are too many
                    await self._count_tokens(job.request)
                await self._engine.run(job.request, job.take)
        except TimeoutError:
            job.end(TimedOut(self._lateness()))
        except Exception as error:  # noqa: BLE001 -- its caller, who waits, decides what comes of it
            job.end(error)
        else:
            job.end()

    def _lateness(self) -> str:
        late = f"not done within {self.limits.seconds:g} s, the wait included"
        if not self.is_ready:
            return f"{late}, as the engine is being started again: ask again later"
        return f"{late}: shorten the context, choose fewer layers, or ask when less is going on"

    async def _count_tokens(self, request: Request) -> None:
        """Refuse texts of too many tokens before anything is computed for them."""
        counting = count_request(request)
        counted = Collected(counting)
        await self._engine.run(counting, counted.take)
        if counted.tokens is None:
            raise EngineError("the engine counted no tokens: its command must run icltui engine")
        check_tokens(counted.tokens, self.limits)
