"""Whether the terminal shows pictures: it is asked, and what it does not answer it does not have.

The kitty graphics protocol has a query of its own; sixel is attribute 4 of the primary device attributes (DA1). DA1 is
asked last and every terminal answers it, so that its answer ends the wait. tmux answers for itself: it takes no picture
by kitty's protocol, and has sixel where it was built with it.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

Pictures = Literal["kitty", "sixel", ""]
"""The protocol of a terminal's pictures; empty: none."""

QUERY_ID = 4711
QUERY = f"\x1b_Gi={QUERY_ID},s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[c"
"""A picture of one pixel that is only asked about; the size of a cell in pixels; the device attributes."""
WAIT = 1.0
"""Most seconds until a terminal has answered: a round trip of a slow line."""
_USUAL_CELL = (10, 20)
"""Pixels of a cell, where a terminal does not say."""
_KITTY = re.compile(rf"G(?:[^;]*,)?i={QUERY_ID}(?:,[^;]*)?;OK")
_CELL = re.compile(r"\x1b\[6;(\d{1,3});(\d{1,3})t")
_ATTRIBUTES = re.compile(r"\x1b\[\?([\d;]*)c")
REPLY = re.compile(rf"{_CELL.pattern}|{_ATTRIBUTES.pattern}")
"""The sequences that answer the query, besides kitty's."""


@dataclass(frozen=True)
class Graphics:
    """What a terminal shows besides text."""

    pictures: Pictures = ""
    cell: tuple[int, int] = _USUAL_CELL
    """Width and height of a cell in pixels."""


@runtime_checkable
class HasGraphics(Protocol):
    """An application that knows what its terminal shows."""

    async def graphics(self) -> Graphics:
        """What the terminal shows."""
        ...

    def write_picture(self, sequence: str) -> None:
        """Send a sequence to the terminal as it is."""
        ...


class GraphicsQuery:
    """The answers of a terminal that come in."""

    def __init__(self) -> None:
        self._found = Graphics()
        self._is_over = asyncio.Event()

    def take(self, reply: str) -> None:
        """Take one reply."""
        pictures, cell = self._found.pictures, self._found.cell
        if _KITTY.match(reply):
            pictures = "kitty"
        elif match := _CELL.fullmatch(reply):
            height, width = int(match[1]), int(match[2])
            cell = (width, height) if width and height else cell
        elif match := _ATTRIBUTES.fullmatch(reply):
            has_sixel = "4" in match[1].split(";")[1:]
            pictures = pictures or ("sixel" if has_sixel else "")
            self._is_over.set()
        self._found = Graphics(pictures, cell)

    async def answer(self, seconds: float = WAIT) -> Graphics:
        """What the terminal has answered by the time that it has answered all, or that the time is over."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_over.wait(), seconds)
        return self._found
