"""One job at a time, newest wins: requests enter, their events leave, and nothing else does.

The client queues; this object keeps its queue empty, so that what waits can still be replaced. Events of any job but
the current one are dropped. Stopping twice ends the engine, which then has to be started anew.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from icltui.api.messages import (
    JOB_OVER,
    Client,
    CountTokens,
    EngineAwaited,
    EngineDied,
    EngineStarted,
    EstimateModel,
    Event,
    JobCancelled,
    JobFailed,
    LoadModel,
    ModelLoaded,
    Request,
)

EngineState = Literal["off", "starting", "ready", "dead"]
EngineNews = EngineStarted | EngineAwaited | EngineDied
_BRIEF = (CountTokens, EstimateModel)
"""Jobs that give way to any other, and that nobody minds."""


class Jobs:
    """The jobs of one client. ``heard`` is called with each current event, ``engine`` with the engine's own."""

    def __init__(
        self,
        client: Client,
        heard: Callable[[Request, Event], None],
        heard_engine: Callable[[EngineNews], None],
    ) -> None:
        self.client = client
        self.engine: EngineState = "off"
        self.is_loaded = False
        """Whether the running engine holds a model."""
        self.is_stopping = False
        """Whether the user asked the current job to stop."""
        self.plan: list[Request] = []
        """What comes after the current job."""
        self.request: Request | None = None
        """What the current job is."""
        self._job = 0
        self._is_superseded = False
        self._heard = heard
        self._heard_engine = heard_engine

    @property
    def is_busy(self) -> bool:
        """Whether there is something that the user may want to stop; what is brief is not worth it."""
        return self.engine == "starting" or self._worth is not None

    @property
    def is_running(self) -> bool:
        """Whether it is more than the engine and its model coming up."""
        return not isinstance(self._worth, LoadModel | None)

    @property
    def _worth(self) -> Request | None:
        """The current job, or the one for which a brief one is giving way."""
        asked = (self.request, *self.plan) if self.engine == "ready" else ()
        return next((request for request in asked if request and not isinstance(request, _BRIEF)), None)

    async def start(self) -> None:
        """Start the engine, or start it anew; the plan begins once it answers."""
        self.engine, self.is_loaded = "starting", False
        await self.client.start(self.hear)

    def ask(self, plan: Sequence[Request], interrupt: tuple[type, ...] = ()) -> None:
        """Put ``plan`` in place of what waits; a current job of the types ``interrupt`` is cancelled for it."""
        self.plan = list(plan)
        if isinstance(self.request, (*_BRIEF, *interrupt)) and not self._is_superseded:
            self._is_superseded = True
            self.client.cancel(self._job)
        self._advance()

    async def stop(self) -> None:
        """Cancel the current job and forget the plan; the second time, end the engine."""
        self.plan.clear()
        if self.request is None or self.is_stopping:
            await self.client.kill()
        else:
            self.is_stopping = True
            self.client.cancel(self._job)

    def hear(self, job: int, event: Event) -> None:
        """Take one event from the client."""
        if isinstance(event, EngineAwaited):
            self._heard_engine(event)
        elif isinstance(event, EngineStarted | EngineDied):
            self._hear_engine(event)
        elif job == self._job and self.request is not None:
            self._hear_job(self.request, event)

    def _hear_engine(self, event: EngineStarted | EngineDied) -> None:
        is_alive = isinstance(event, EngineStarted)
        self.engine = "ready" if is_alive else "dead"
        if not is_alive:
            self.plan.clear()
            self._close_job()
            self.is_loaded = False
        self._heard_engine(event)
        self._advance()

    def _hear_job(self, request: Request, event: Event) -> None:
        is_unwanted = self._is_superseded or self.is_stopping
        if isinstance(event, ModelLoaded):
            self.is_loaded = True
        if isinstance(event, JOB_OVER):
            self._close_job()
        elif self._is_superseded and not isinstance(event, ModelLoaded):
            return
        if isinstance(event, JobFailed):
            if is_unwanted:
                event = JobCancelled()
            else:
                self.plan.clear()  # what comes behind a job that failed would fail too
        self._heard(request, event)
        self._advance()

    def _close_job(self) -> None:
        self.request, self._job = None, 0
        self.is_stopping = self._is_superseded = False

    def _advance(self) -> None:
        if self.engine == "ready" and self.request is None and self.plan:
            self.request = self.plan.pop(0)
            self._job = self.client.submit(self.request)
