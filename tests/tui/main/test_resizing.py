"""A terminal of any size, changed while numbers stream in, on every tab and over every dialog.

Nothing ends the explorer, and no line is wider or narrower than the terminal. ``--sizes 1000`` goes through more.
"""

import random
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest

from icltui.api.messages import (
    Event,
    Generate,
    JobEnded,
    LoadModel,
    Measure,
    PatchTested,
    Request,
    VerificationEnded,
    Verify,
)
from icltui.values import LANES
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.screen_checks import check_screen

WIDEST, HIGHEST = 300, 100
EDGES = ((1, 1), (300, 100), (300, 1), (1, 100), (59, 18), (60, 17), (60, 18), (99, 29), (100, 30), (20, 5))
"""The ends, and where the layout changes."""
STEPS = (
    *(("escape", "4"), ("escape", "5"), ("escape", "6"), ("escape", "7"), ("escape", "8"), ("escape", "9")),
    *(("escape", "0"), ("escape", "4", "e"), ("tab",), ("escape", "4", "o"), ("down",), ("escape", "4", "H")),
    *(("escape", "1"), ("escape", "2"), ("escape", "3"), ("escape", "4", "z"), ("m", "y"), ("6", "l", "j")),
    *(("escape", "4", "question_mark"), ("j", "pagedown"), ("escape", "ctrl+l", "d"), ("down",)),
    *(
        ("escape", "ctrl+p"),
        ("d",),
        ("escape", "1", "i", "x", "ctrl+s"),
        ("escape", "ctrl+q"),
        ("c",),
    ),
)
"""What is pressed before each look: every tab, every pane, zoom, every dialog and what moves in it."""


def sizes(chance: random.Random, n: int) -> Iterator[tuple[int, int]]:
    """The edges, and between them anything, small ones as often as large ones."""
    edges = list(EDGES)
    for _ in range(n):
        if chance.random() < 0.2:
            yield edges[chance.randrange(len(edges))]
        else:
            width, height = (round(top ** chance.random()) for top in (WIDEST, HIGHEST))
            yield (
                (width, height)
                if chance.random() < 0.5
                else (chance.randint(1, WIDEST), chance.randint(1, HIGHEST))
            )


SAID: dict[type, tuple[Event, ...]] = {
    LoadModel: (samples.LOADED,),
    Measure: (
        samples.TOKENIZED,
        *(samples.chunk(unit, unit) for unit in range(samples.N_UNITS + 1)),
        samples.MEASURED,
    ),
    Generate: (*samples.generate(LANES), PatchTested(patch=samples.PATCH)),
    Verify: (VerificationEnded(verification=samples.VERIFICATION),),
}


class Stream:
    """An engine that has always something to say, and says one thing at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._request: Request | None = None
        self._left: Iterator[Event] = iter(())

    def advance(self) -> None:
        """One event of the present job; where there is none, another run begins."""
        jobs, settings, client = self._desk.explorer.jobs, self._desk.explorer.settings, self._desk.client
        if jobs.request is None:
            jobs.ask([settings.measure(), settings.generate(), settings.verify()])
        if jobs.request is not self._request:
            self._request, self._left = jobs.request, iter(SAID.get(type(jobs.request), ()))
        if client.job in client.cancelled:
            client.give_way()
        else:
            client.send(client.job, next(self._left, JobEnded()))


async def close_dialogs(desk: Desk) -> None:
    """Back to the explorer's screen, whatever is over it."""
    while desk.app.screen is not desk.screen:
        await desk.press("escape")
        await desk.pilot.pause()


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_a_terminal_of_any_size_while_numbers_stream_in(
    pytestconfig: pytest.Config, count: Callable[[str], None]
) -> None:
    n_sizes, chance, n_lines = pytestconfig.getoption("sizes"), random.Random(7), 0
    async with open_desk(samples.session()) as desk:
        await desk.until(lambda: desk.client.requests)
        stream, steps = Stream(desk), cycle(STEPS)
        for size in sizes(chance, n_sizes):
            keys = next(steps)
            stream.advance()
            await desk.pilot.resize_terminal(*size)
            desk.explorer.is_unsaved = True  # so that ctrl+q asks
            stream.advance()
            if keys[0] == "escape":
                await close_dialogs(desk)
            await desk.press(*keys)
            stream.advance()
            try:
                await desk.drawn()
                n_lines += check_screen(desk.app)
            except AssertionError as error:
                error.add_note(f"at {size} behind {keys}, on {desk.app.screen}, {desk.explorer.jobs.request}")
                raise
            assert not desk.app._exit
    count(f"{n_sizes} sizes from 1×1 to {WIDEST}×{HIGHEST}, {n_lines} lines")
