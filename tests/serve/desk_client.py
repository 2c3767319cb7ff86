"""An engine's client for a desk: it loads, counts and measures by itself, unless the test holds it back."""

import asyncio

from icltui.api.engine import Listener
from icltui.api.messages import (
    CountTokens,
    EngineStarted,
    Event,
    JobEnded,
    LoadModel,
    Request,
)
from icltui.bench.fake_engine import FakeEngine
from icltui.values.errors import EngineError, IcltuiError
from icltui.worker.server import job_failure
from tests.tui.fake_client import FakeClient


class DeskClient(FakeClient):
    """Does what :class:`.FakeEngine` does, at once; while it is held, a job waits for the test to end it."""

    def __init__(self, is_startable: bool = True) -> None:
        super().__init__(is_startable)
        self.engine = FakeEngine(n_layers=2, rate=1e9, n_at_once=10**6)
        self.is_held = False
        """Whether a job other than to load and count does nothing."""
        self.is_deaf = False
        """Whether a job goes on although it was asked to stop."""
        self.is_silent = False
        """Whether it does not greet when it is started."""

    async def start(self, listener: Listener) -> None:
        if self.is_silent:
            self._listener, self.n_starts = listener, self.n_starts + 1
        else:
            await super().start(listener)

    def greet(self) -> None:
        """Let the engine greet."""
        self.send(0, EngineStarted(version="0"))

    def submit(self, request: Request) -> int:
        job = super().submit(request)
        if not self.is_held or isinstance(request, LoadModel | CountTokens):
            asyncio.get_running_loop().call_soon(self.work, job)
        return job

    def cancel(self, job: int) -> None:
        super().cancel(job)
        if not self.is_deaf:
            self.give_way(job)

    def work(self, job: int) -> None:
        """Do the job."""
        self.send(job, *self._events(self.requests[job - 1]))

    def _events(self, request: Request) -> list[Event]:
        try:
            return [*self.engine.run(request, lambda: False), JobEnded()]
        except IcltuiError as error:
            return [job_failure(error)]

    def fail(self, message: str) -> None:
        """Let the newest job fail."""
        self.send(self.job, job_failure(EngineError(message)))
