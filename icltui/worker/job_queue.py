"""The jobs that wait, and whether the running one shall stop; shared by the two threads of the child."""

from collections import deque
from threading import Condition

from icltui.worker.protocol import Submit


class JobQueue:
    """A queue of jobs, each of which can be cancelled."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: deque[Submit] = deque()
        self._closed = False
        self._running: int | None = None
        self._stop = False
        self._heard = False

    def put(self, message: Submit) -> None:
        """Queue a job."""
        with self._changed:
            self._waiting.append(message)
            self._changed.notify()

    def take(self) -> Submit | None:
        """Wait for the next job, which is then the running one; None once the queue is closed."""
        with self._changed:
            self._running, self._stop, self._heard = None, False, False
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            message = self._waiting.popleft()
            self._running = message.job
            return message

    def cancel(self, job: int) -> bool:
        """Ask ``job`` to stop; returns whether it was still queued, so that it is over now."""
        with self._changed:
            waiting = next((message for message in self._waiting if message.job == job), None)
            if waiting is not None:
                self._waiting.remove(waiting)
            elif job == self._running:
                self._stop = True
            return waiting is not None

    def close(self) -> None:
        """End the queue: :meth:`take` returns None."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def should_stop(self) -> bool:
        """Whether the running job was asked to stop; remembers that the job has seen it."""
        self._heard = self._heard or self._stop
        return self._stop

    def was_heard(self) -> bool:
        """Whether the running job has seen that it shall stop; if not, it came to its own end first."""
        return self._heard
