"""Lines of a log, each with the time at which it was written."""

import time
from collections.abc import Iterable
from typing import Self, SupportsIndex

now = time.time
"""Seconds since the epoch; tests have a clock of their own."""


class TimedLines(list[str]):
    """A list of lines that only grows, and remembers when it did."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        super().__init__()
        self.times: list[float] = []
        """Of each line, in seconds since the epoch."""
        self.extend(lines)

    def append(self, line: str) -> None:
        self.extend((line,))

    def extend(self, lines: Iterable[str]) -> None:
        super().extend(lines)
        self.times += [now()] * (len(self) - len(self.times))

    def __iadd__(self, lines: Iterable[str]) -> Self:  # type: ignore[override, misc]
        self.extend(lines)
        return self

    def __delitem__(self, at: SupportsIndex | slice) -> None:
        super().__delitem__(at)
        del self.times[at]

    def clock(self, at: int) -> str:
        """The time of a line, of the local day: ``14:03:59``."""
        return time.strftime("%H:%M:%S", time.localtime(self.times[at]))
