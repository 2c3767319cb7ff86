"""One job at a time, newest wins: requests enter, their events leave, and nothing else does.

The client queues; this object keeps its queue empty, so that what waits can still be replaced. Events of any job but
the current one are dropped. Stopping twice ends the engine, which then has to be restarted.
"""

from collections.abc import Sequence
from typing import Literal

from icltui.api.engine import Client, Listener
from icltui.api.messages import (
    JOB_OVER,
    CountTokens,
    EngineAwaited,
    EngineDied,
    EngineStarted,
    EstimateModel,
    Event,
    GenerateAhead,
    JobCancelled,
    JobFailed,
    LoadModel,
    ModelLoaded,
    Request,
)

EngineState = Literal["off", "starting", "ready", "dead"]
EngineNews = EngineStarted | EngineAwaited | EngineDied
_BRIEF = (CountTokens, EstimateModel, GenerateAhead)
"""Jobs that give way to any other: the user has not asked for them."""


class Jobs:
    """The jobs of one client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.engine: EngineState = "off"
        self.is_loaded = False
        """Whether the running engine holds a model."""
        self.is_stopping = False
        """Whether the user asked the current job to stop."""
        self.plan: list[Request] = []
        """Requests that wait for the current job to end."""
        self.request: Request | None = None
        """The current job's request; None while there is none."""
        self._job = 0
        self._is_superseded = False

    @property
    def is_busy(self) -> bool:
        """Whether there is something that the user may want to stop."""
        return self.engine == "starting" or self._worth is not None

    @property
    def is_running(self) -> bool:
        """Whether a job runs, other than the start of the engine and the loading of its model."""
        return not isinstance(self._worth, LoadModel | None)

    @property
    def is_free(self) -> bool:
        """Whether no job runs, or waits, but one that looks ahead."""
        return (self.request is None or isinstance(self.request, GenerateAhead)) and not self.plan

    @property
    def _worth(self) -> Request | None:
        """The current request, or the one for which a brief one gives way."""
        asked = (self.request, *self.plan) if self.engine == "ready" else ()
        return next((request for request in asked if request and not isinstance(request, _BRIEF)), None)

    @property
    def is_dead(self) -> bool:
        """Whether there is no engine, and none is being started."""
        return self.engine in ("dead", "off")

    def plan_without(self, kind: type[Request]) -> list[Request]:
        """Requests that wait, without those of a kind."""
        return [request for request in self.plan if not isinstance(request, kind)]

    async def start(self, listener: Listener) -> None:
        """Start or restart the engine; the plan begins once it answers."""
        self.engine, self.is_loaded = "starting", False
        await self.client.start(listener)

    def ask(self, plan: Sequence[Request], interrupt: tuple[type, ...] = ()) -> None:
        """Replace the plan; a current job of the types ``interrupt`` is cancelled."""
        self.plan = list(plan)
        if isinstance(self.request, (*_BRIEF, *interrupt)) and not self._is_superseded:
            self._is_superseded = True
            self.client.cancel(self._job)
        self.advance()

    async def stop(self) -> None:
        """Cancel the current job and forget the plan; the second time, end the engine."""
        self.plan.clear()
        if self.request is None or self.is_stopping:
            await self.client.kill()
        else:
            self.is_stopping = True
            self.client.cancel(self._job)

    def take_engine(self, event: EngineNews) -> None:
        """Note that the engine is there, or gone; its jobs go with it."""
        if isinstance(event, EngineStarted):
            self.engine = "ready"
        elif isinstance(event, EngineDied):
            self.engine, self.is_loaded = "dead", False
            self.plan.clear()
            self._close_job()

    def take(self, job: int, event: Event) -> tuple[Request, Event] | None:
        """The request that the event answers, and the event as it counts; None where nobody waits for it any more."""
        if job != self._job or self.request is None:
            return None
        request, is_superseded = self.request, self._is_superseded
        is_unwanted = is_superseded or self.is_stopping
        if isinstance(event, ModelLoaded):
            self.is_loaded = True
        elif isinstance(event, JOB_OVER):
            self._close_job()
        elif is_superseded:
            return None
        if isinstance(event, JobFailed) and is_unwanted:
            return request, JobCancelled()
        if isinstance(event, JobFailed):
            self.plan.clear()  # what comes after a job that failed would fail too
        return request, event

    def _close_job(self) -> None:
        self.request, self._job = None, 0
        self.is_stopping = self._is_superseded = False

    def advance(self) -> None:
        """Submit the next request of the plan, if no job is current."""
        if self.engine == "ready" and self.request is None and self.plan:
            self.request = self.plan.pop(0)
            self._job = self.client.submit(self.request)
