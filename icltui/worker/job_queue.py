"""The jobs that wait, and the wish to stop the one that runs; shared by the two threads of the child."""

from collections import deque
from threading import Condition

from icltui.worker.protocol import Submit


class Desk:
    """A queue of orders of which single ones can be withdrawn."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: deque[Submit] = deque()
        self._closed = False
        self._running: int | None = None
        self._stop = False
        self._heard = False

    def put(self, order: Submit) -> None:
        """Queue an order."""
        with self._changed:
            self._waiting.append(order)
            self._changed.notify()

    def take(self) -> Submit | None:
        """Wait for the next order and call it the running one; None once the desk is closed."""
        with self._changed:
            self._running, self._stop, self._heard = None, False, False
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            order = self._waiting.popleft()
            self._running = order.job
            return order

    def cancel(self, job: int) -> bool:
        """Ask ``job`` to stop; whether it had not begun, and so is over now."""
        with self._changed:
            waiting = next((order for order in self._waiting if order.job == job), None)
            if waiting is not None:
                self._waiting.remove(waiting)
            elif job == self._running:
                self._stop = True
            return waiting is not None

    def close(self) -> None:
        """Take no more; whoever waits in :meth:`take` gets None."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def should_stop(self) -> bool:
        """Whether the running job was asked to stop; remembers that it was told so."""
        self._heard = self._heard or self._stop
        return self._stop

    def was_heard(self) -> bool:
        """Whether the running job was told to stop: if not, it came to its own end first."""
        return self._heard
