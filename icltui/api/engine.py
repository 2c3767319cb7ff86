"""The two interfaces of an engine: synchronous in this process, and asynchronous for a view.

:class:`Engine` is what the headless commands and the server run; :class:`Client` never blocks. The events
are those of :mod:`icltui.api.messages`.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from icltui.api.messages import Event, Request


class OnEvent(Protocol):
    """Hears every event of an engine in this process as it comes; what it raises ends the work."""

    def __call__(self, event: Event, /) -> object: ...


class Engine(Protocol):
    """An engine in this process."""

    def run(self, request: Request, should_stop: Callable[[], bool]) -> Iterator[Event]:
        """Do one job, yielding its events except the last one, which the caller adds.

        Raises:
            IcltuiError: the job cannot be done. ``should_stop`` is asked between chunks and tokens; once it
                is true the iterator ends early.
        """
        ...


Listener = Callable[[int, Event], None]
"""Called in the event loop with a job's id and its event; id 0 speaks of the engine itself."""


class Client(Protocol):
    """An asynchronous engine for a view: one job at a time, jobs queued in order."""

    async def start(self, listener: Listener) -> None:
        """Start the engine's process, or restart it after it died; ``EngineStarted`` follows.

        Does not raise when the process cannot be started: ``EngineDied`` is sent instead; and
        ``EngineAwaited``, again and again, while it does not answer.
        """
        ...

    def submit(self, request: Request) -> int:
        """Queue a job; its id (1, 2, …) comes back at once."""
        ...

    def cancel(self, job: int) -> None:
        """Ask a queued or running job to stop; ``JobCancelled`` follows when it has."""
        ...

    async def kill(self) -> None:
        """End the engine's process at once; ``EngineDied`` follows."""
        ...

    async def close(self) -> None:
        """End the engine's process politely, or at once if it does not listen; no event follows."""
        ...
