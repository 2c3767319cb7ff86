"""How tests wait: for what must come, as long as a busy machine may take, and never by the clock.

Textual's pilot takes a program that used little of the processor for 20 ms to be done with a key. On a busy machine it
may not have had its turn yet. :func:`idle` looks at what the event loop has still to do instead.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

PATIENCE = 120.0
"""Seconds until what was waited for will never come: an engine needs three of its own to come up."""
SOON = 0.05
"""A timer that is due within so many seconds belongs to what was done: a screen is drawn 1/60 s behind its change."""


async def rest() -> None:
    """Let others work."""
    await asyncio.sleep(0.002)


async def until(
    is_so: Callable[[], object],
    meanwhile: Callable[[], Awaitable[None]] = rest,
    what: Callable[[], str] = lambda: "never came true",
) -> None:
    """Wait until ``is_so``.

    Raises:
        AssertionError: it never came true; ``what`` says more.
    """
    end = monotonic() + PATIENCE
    while not is_so():
        assert monotonic() < end, what()
        await meanwhile()


async def idle(*_: float) -> None:
    """Wait until nothing is left for the event loop to do, but what it would do later than :data:`SOON`."""
    loop = asyncio.get_running_loop()
    soon, n_quiet = loop.time() + SOON, 0
    while n_quiet < 2:  # between the two it looks for what came in from outside
        due = [timer.when() for timer in loop._scheduled if timer.when() <= soon and not timer.cancelled()]  # type: ignore[attr-defined]
        is_quiet = not due and not loop._ready  # type: ignore[attr-defined]
        n_quiet = n_quiet + 1 if is_quiet else 0
        await asyncio.sleep(0 if is_quiet or loop._ready else min(due) - loop.time())  # type: ignore[attr-defined]
