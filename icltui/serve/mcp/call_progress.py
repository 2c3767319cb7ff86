"""How far a call is, told to a client that asked: always more than before, and few times a second."""

import time
from collections.abc import Awaitable, Callable

from icltui.api.collect import Collected
from icltui.api.messages import Event, LaneAdvanced, Progress, UnitsMeasured

Report = Callable[[float, float | None, str | None], Awaitable[None]]
"""Tells how much is done, of how much in all if that is known, and what is done."""
INTERVAL = 0.25
"""Seconds between two reports."""


class CallProgress:
    """Counts the jobs of one call: its answer, then its controls."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._jobs, self._told, self._last = 0, 0.0, -INTERVAL

    async def hear(self, event: Event, collected: Collected) -> None:
        """Tell what an event says of the running job."""
        found = _fraction(event, collected)
        if found is None or time.monotonic() - self._last < INTERVAL:
            return
        fraction, stage = found
        # A job's stages each begin at 0: what was told before is never more than what is told next.
        ahead = self._told + (self._jobs + 1 - self._told) / 10
        self._told = max(self._jobs + 0.99 * fraction, ahead)
        self._last = time.monotonic()
        await self._report(self._told, None, f"{'control: ' if self._jobs else ''}{stage}")

    def end_job(self) -> None:
        """The next job begins."""
        self._jobs += 1


def _fraction(event: Event, collected: Collected) -> tuple[float, str] | None:
    """How much of a job is done, and what; None where an event says nothing of it."""
    match event:
        case Progress(logged=False):
            return (event.done / event.total if event.total else 0.0), event.stage
        case UnitsMeasured() if event.rows and collected.tokens is not None:
            unit, n_units = event.rows[-1].unit, len(collected.tokens.units)
            return unit / max(n_units, 1), f"unit {unit} of {n_units}"
        case LaneAdvanced():
            n_tokens = getattr(collected.request, "n_tokens", 0)
            return (event.step.index + 1) / max(n_tokens, 1), f"token {event.step.index + 1} of {n_tokens}"
    return None
