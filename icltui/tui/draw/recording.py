"""A recording of the screen: what it showed one after the other, with the times in between made short."""

from collections.abc import Callable, Sequence
from time import monotonic

from textual.strip import Strip

from icltui.tui.draw.animated_svg import Frame

MOST = 120
"""Frames of a recording; it ends there."""
SHORTEST, LONGEST, LAST = 0.2, 2.5, 4.0
"""Seconds that a frame is shown at least and at most, and the last one."""


class Recording:
    """Frames, each shown until the next; ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._frames: list[tuple[tuple[Strip, ...], float]] = []

    def take(self, strips: Sequence[Strip]) -> None:
        """Add a frame where the screen has changed, and is as large as it was; not beyond the most."""
        taken = tuple(strips)
        before = self._frames[-1][0] if self._frames else None
        is_of_one_size = before is None or _size(before) == _size(taken)
        if not self.is_full and taken != before and is_of_one_size:
            self._frames.append((taken, self._clock()))

    @property
    def is_full(self) -> bool:
        """Whether it takes no more."""
        return len(self._frames) >= MOST

    @property
    def frames(self) -> list[Frame]:
        """The frames with the seconds that each is shown."""
        ends = [at for _, at in self._frames[1:]]
        shown = [
            min(max(end - at, SHORTEST), LONGEST) for (_, at), end in zip(self._frames, ends, strict=False)
        ]
        return [
            Frame(strips, round(seconds, 1))
            for (strips, _), seconds in zip(self._frames, [*shown, LAST], strict=False)
        ]


def _size(strips: Sequence[Strip]) -> tuple[int, int]:
    return len(strips), max((strip.cell_length for strip in strips), default=0)
