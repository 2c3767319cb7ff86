"""Which keys are pressed on the explorer, and what of them is seen in a picture of its screen.

Enters: what a terminal got, chunk by chunk, or a picture's lines. Leaves: when something was painted, and what.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from icltui.bench.terminal import Chunk, Screen

Lines = Sequence[str]

PAUSES = (0.09, 0.13)
"""Seconds between two keys, by chance: never in step with the updates."""
SLOW = (0.35, 0.45)
"""The same where keys that an update answers together could not be told apart."""
LEFT = 40
"""Columns of the prompt and the layers."""
SPAN = 12
"""Units that the cursor goes there and back."""


@dataclass(frozen=True)
class Kind:
    """Keys that each change what is seen, and how one sees which of them were answered."""

    name: str
    setup: bytes
    keys: Callable[[int], Iterator[tuple[bytes, object]]]
    """So many keys, each with what the picture must then say."""
    seen: Callable[[Lines], object]
    pauses: tuple[float, float] = PAUSES


def painted_at(chunks: Sequence[Chunk]) -> float:
    """When the picture became what it then stayed, colours too; but for the first line, which tells of the engine."""
    screen, at, before = Screen(), 0.0, None
    for chunk in chunks:
        screen.feed(chunk.data)
        cells = screen.cells[1:]
        if cells != before:
            at, before = chunk.at, cells
    return at


def waits_for(
    chunks: Sequence[Chunk], pressed: Sequence[tuple[float, object]], seen: Callable[[Lines], object]
) -> list[float | None]:
    """Seconds from each key to the first bytes that show its effect; None where they never came.

    Keys are answered in their order, and several at once where one update shows the effect of all of them.
    """
    waits: list[float | None] = []
    screen, before = Screen(), None
    for chunk in chunks:
        screen.feed(chunk.data)
        if (now := seen(screen.lines)) == before:
            continue
        before = now
        waiting = [(at, expected) for at, expected in pressed[len(waits) :] if at <= chunk.at]
        answer = next((place for place, (_, expected) in enumerate(waiting, 1) if expected == now), 0)
        waits += [chunk.at - at for at, _ in waiting[:answer]]
    return waits + [None] * (len(pressed) - len(waits))


def row_unit(lines: Lines) -> object:
    """The unit under the table's cursor."""
    found = re.search(r"❯ *(\d+)", _right(lines))
    return int(found[1]) if found else None


def cell_unit(lines: Lines) -> object:
    """The unit that the heatmap reads out."""
    found = re.search(r"layer \d+ +unit (\d+)", _right(lines))
    return int(found[1]) if found else None


def n_typed(lines: Lines) -> object:
    """How often the letter that is typed stands in the editors."""
    return sum(line[:LEFT].count(_LETTER) for line in lines)


def tab_shown(lines: Lines) -> object:
    """Which of three tabs is in front."""
    marks = (("table", r"❯ *\d"), ("plots", r"━. L\d"), ("heatmap", r"layer \d+ +unit \d"))
    return next((tab for tab, mark in marks if re.search(mark, _right(lines))), None)


def n_streamed(lines: Lines) -> int:
    """How many units the first line tells of."""
    found = re.search(r"(\d+)/\d+ units", lines[0])
    return int(found[1]) if found else -1


def is_measured(lines: Lines) -> bool:
    """Whether nothing is going on."""
    return "○" in lines[0]


def is_loaded(lines: Lines) -> bool:
    """Whether the engine has its model."""
    return "●" in lines[0] or "○" in lines[0]


def _right(lines: Lines) -> str:
    return "\n".join(line[LEFT:] for line in lines)


def _there_and_back(on: bytes, back: bytes) -> Callable[[int], Iterator[tuple[bytes, object]]]:
    def keys(n: int) -> Iterator[tuple[bytes, object]]:
        for at in range(n):
            place = at % (2 * SPAN)
            yield (on, place + 1) if place < SPAN else (back, 2 * SPAN - place - 1)

    return keys


def _typing(n: int) -> Iterator[tuple[bytes, object]]:
    for at in range(1, n + 1):
        yield _LETTER.encode(), at


def _switching(n: int) -> Iterator[tuple[bytes, object]]:
    for at in range(1, n + 1):
        tab, key = TABS[at % len(TABS)]
        yield key, tab


_LETTER = "Z"
KINDS = (
    Kind("table, j and k", b"4 g", _there_and_back(b"j", b"k"), row_unit),
    Kind("heatmap, l and h", b"6 g", _there_and_back(b"l", b"h"), cell_unit),
    Kind("typing in the query", b"2", _typing, n_typed),
    Kind("tabs, 4 to 6", b"4 g", _switching, tab_shown, SLOW),
)
TABS = (("table", b"4"), ("plots", b"5"), ("heatmap", b"6"))
TEXT = ("text", b"0")
"""Tabs whose bytes are counted, with their keys."""
