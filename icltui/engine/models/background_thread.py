"""Blocking work in a thread of its own, as a generator of its progress that returns its result.

Enters: a function of one argument, ``on_progress``. Leaves: a generator. The thread is a new one because
``torch.inference_mode`` belongs to a thread: a model that is made under it could never be differentiated.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Lock, Thread
from typing import TypeVar

from icltui.api.messages import Event, Progress
from icltui.api.progress_callback import ProgressCallback
from icltui.system.interruption import BACKGROUND, WHEN_IDLE

Result = TypeVar("Result")
Send = Callable[[Event], None]
"""Sends an event of the running work; raises, as ``on_progress`` does, where nobody listens any more."""

HEARTBEAT = 0.5
"""Seconds of silence after which the last progress is repeated, so that the caller may stop."""
_ONE_AT_A_TIME = Lock()
"""Cancelled work may still be running: the next waits, as two models may not fit into memory together."""


class Cancelled(Exception):
    """The caller has closed the generator."""


def run_in_background(work: Callable[[ProgressCallback], Result]) -> Generator[Progress, None, Result]:
    """Yields the progress of ``work`` and returns what it returns; raises what it raises.

    Closing the generator early cancels the work: the next call of ``on_progress`` raises :class:`Cancelled` in it.
    """
    events = stream_in_background(lambda on_progress, _send: work(on_progress))
    return (yield from events)  # type: ignore[misc] # nothing but progress is sent


def stream_in_background(
    work: Callable[[ProgressCallback, Send], Result],
) -> Generator[Event, None, Result]:
    """As :func:`run_in_background`, for work that also sends events of its own."""
    events: SimpleQueue[Event | None] = SimpleQueue()
    outcome: Future[Result] = Future()
    is_cancelled = Flag()

    def send(event: Event) -> None:
        if is_cancelled.is_set():
            raise Cancelled
        events.put(event)

    def on_progress(stage: str, done: int = 0, total: int = 0) -> None:
        send(Progress(stage=stage, done=done, total=total))

    def run(outcome: Future[Result]) -> None:
        try:
            with _ONE_AT_A_TIME:
                outcome.set_result(work(on_progress, send))
        except BaseException as error:  # noqa: BLE001 -- raised again in the caller's thread
            outcome.set_exception(error)
        events.put(None)

    Thread(target=run, args=[outcome], name=BACKGROUND, daemon=True).start()
    try:
        yield from _until_none(events)
        return outcome.result()
    finally:
        is_cancelled.set()
        del outcome  # else an error's traceback and this frame would keep each other, and a model with them


def _until_none(events: "SimpleQueue[Event | None]") -> Iterator[Event]:
    """The events; in a silence the last progress once more."""
    last: Progress | None = None
    while True:
        try:
            event = events.get(timeout=HEARTBEAT)
        except Empty:
            event = last
            if event is None:
                continue
        if event is None:
            return
        last = event if isinstance(event, Progress) else last
        yield event


def wait_until_idle() -> Iterator[Progress]:
    """Waits until no background work runs: cancelled work goes on until it next reports progress.

    Until then its hooks are on the model that the next job would use.
    """
    while not _ONE_AT_A_TIME.acquire(timeout=HEARTBEAT):
        yield Progress(stage="waiting for the cancelled job to stop", done=0, total=0)
    _ONE_AT_A_TIME.release()


def run_when_idle(work: Callable[[], object]) -> None:
    """Runs ``work`` in a thread once no background work runs, cancelled work included; returns at once."""

    def run() -> None:
        with _ONE_AT_A_TIME:
            work()

    Thread(target=run, name=WHEN_IDLE, daemon=True).start()
