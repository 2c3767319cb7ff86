"""How long a job still takes, by the pace that it has kept so far."""

from collections.abc import Callable
from time import monotonic

SURE_AFTER = 1.0
"""Seconds of work before anything is said."""
WORTH = 2.0
"""Seconds below which nobody wants to know."""


class Pace:
    """The pace of one job after another: what is done of a total, as it is noted."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._total = self._first = self._done = 0
        self._began = self._noted = 0.0

    def note(self, done: int, total: int) -> None:
        """Note how much is done; another total, or less than before, is the beginning of something else."""
        now = self._clock()
        if total != self._total or done < self._done:
            self._total, self._first, self._began = total, done, now
        self._done, self._noted = done, now

    def rest(self) -> None:
        """Forget a job that is over."""
        self._total = self._first = self._done = 0

    @property
    def words(self) -> str:
        """``12 s left``, ``3 min left``; empty where that is not known yet, or not worth a word."""
        seconds, n = self._noted - self._began, self._done - self._first
        if n <= 0 or seconds < SURE_AFTER:
            return ""
        left = (self._total - self._done) * seconds / n - (self._clock() - self._noted)
        if left < WORTH:
            return ""
        return f"{left:.0f} s left" if left < 90 else f"{left / 60:.0f} min left"
