"""Long blocking work as a stream: in a thread, with what it tells on the way, and its result last.

Enters: a function of one argument, ``tell``. Leaves: an iterator. The thread is one of its own because
``torch.inference_mode`` belongs to a thread: a model that is made under it could never be differentiated.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Lock, Thread
from typing import Generic, TypeVar

from icltui.api.messages import Event, Progress

Result = TypeVar("Result")
Tell = Callable[[Event], None]

HEARTBEAT = 0.5
"""Seconds of silence after which the last progress is told again, so that whoever listens may stop."""
_ONE_AT_A_TIME = Lock()
"""Work that was given up may still be running: the next waits, as two models would not fit beside each other."""


class GivenUp(Exception):
    """Nobody waits for this work any more."""


@dataclass(frozen=True)
class _Over(Generic[Result]):
    """The end: one of the two."""

    result: Result | None = None
    error: BaseException | None = None


def run_errand(work: Callable[[Tell], Result]) -> Iterator[Event | Result]:
    """Yields what ``work`` tells, then what it returns; raises what it raises.

    When the iterator is closed early the work is given up: ``tell`` raises :class:`GivenUp` in it.
    """
    said: SimpleQueue[Event | _Over[Result]] = SimpleQueue()
    is_given_up = Flag()

    def tell(event: Event) -> None:
        if is_given_up.is_set():
            raise GivenUp
        said.put(event)

    def run() -> None:
        try:
            with _ONE_AT_A_TIME:
                said.put(_Over(work(tell)))
        except BaseException as error:  # noqa: BLE001 -- it is raised again where somebody waits
            said.put(_Over(error=error))

    Thread(target=run, name="errand", daemon=True).start()
    try:
        yield from _listen(said)
    finally:
        is_given_up.set()


def until_settled() -> Iterator[Event]:
    """Wait until no errand runs any more: one that was given up goes on until it next tells something.

    Till then its hooks are on the model that the next job would use.
    """
    while not _ONE_AT_A_TIME.acquire(timeout=HEARTBEAT):
        yield Progress(stage="stopping what was given up", done=0, total=0)
    _ONE_AT_A_TIME.release()


def afterwards(work: Callable[[], object]) -> None:
    """Do ``work`` once no errand runs any more, one that was given up among them; nobody waits for it."""

    def run() -> None:
        with _ONE_AT_A_TIME:
            work()

    Thread(target=run, name="afterwards", daemon=True).start()


def _listen(said: "SimpleQueue[Event | _Over[Result]]") -> Iterator[Event | Result]:
    last: Event | None = None
    while True:
        try:
            heard = said.get(timeout=HEARTBEAT)
        except Empty:
            if isinstance(last, Progress):
                yield last
            continue
        if not isinstance(heard, _Over):
            last = heard
            yield heard
            continue
        if heard.error is not None:
            try:
                raise heard.error
            finally:  # else the error's traceback and this frame would keep each other, and a model with them
                del heard
        yield heard.result  # type: ignore[misc]
        return
