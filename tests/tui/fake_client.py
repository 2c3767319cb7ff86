"""An engine's client without an engine: it records what is asked and says only what the test has it say."""

from icltui.api.engine import Listener
from icltui.api.messages import EngineDied, EngineStarted, Event, JobCancelled, JobEnded, Request


class FakeClient:
    """Implements ``icltui.api.engine.Client``; the test sends the events."""

    def __init__(self, is_startable: bool = True) -> None:
        self.is_startable = is_startable
        self.n_starts = 0
        self.requests: list[Request] = []
        """In the order of their job ids, which begin at 1."""
        self.cancelled: list[int] = []
        self.n_kills = 0
        self.is_closed = False
        self._listener: Listener = lambda _job, _event: None

    async def start(self, listener: Listener) -> None:
        self._listener = listener
        self.n_starts += 1
        listener(
            0, EngineStarted(version="0") if self.is_startable else EngineDied(message="not found: engine")
        )

    def submit(self, request: Request) -> int:
        self.requests.append(request)
        return len(self.requests)

    def cancel(self, job: int) -> None:
        self.cancelled.append(job)

    async def kill(self) -> None:
        self.n_kills += 1
        self.die("the engine was killed")

    async def close(self) -> None:
        self.is_closed = True

    # What the test does.

    @property
    def job(self) -> int:
        """The newest job's id."""
        return len(self.requests)

    @property
    def request(self) -> Request:
        """The newest request."""
        return self.requests[-1]

    def send(self, job: int, *events: Event) -> None:
        """Let ``job`` say these."""
        for event in events:
            self._listener(job, event)

    def finish(self, *events: Event) -> None:
        """Let the newest job say these and end."""
        self.send(self.job, *events, JobEnded())

    def give_way(self, job: int | None = None) -> None:
        """Let a cancelled job stop."""
        self.send(job or self.job, JobCancelled())

    def die(self, message: str, *log_tail: str) -> None:
        """End the engine."""
        self.send(0, EngineDied(message=message, log_tail=log_tail))
