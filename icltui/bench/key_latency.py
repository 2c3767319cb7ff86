"""The keys that are pressed on the explorer, and when their effect is seen in a picture of its screen.

Chunks of output, or the lines of a picture, enter; the times at which something was painted leave.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from icltui.bench.pseudo_terminal import OutputChunk, TerminalPicture

Lines = Sequence[str]

PAUSES = (0.09, 0.13)
"""Range of the seconds between two keys, drawn at random so that they are not in step with the updates."""
SLOW = (0.35, 0.45)
"""Range of the pause between keys whose effects one update would merge."""
LEFT = 40
"""Columns of the panes on the left."""
SPAN = 12
"""Units that the cursor moves forth and back."""


@dataclass(frozen=True)
class KeyKind:
    """Keys that each change the picture, and what in the picture shows which of them took effect."""

    name: str
    setup: bytes
    keys: Callable[[int], Iterator[tuple[bytes, object]]]
    """``count`` keys, each with the value of ``seen`` that it must lead to."""
    seen: Callable[[Lines], object]
    pauses: tuple[float, float] = PAUSES


def painted_at(chunks: Sequence[OutputChunk]) -> float:
    """When the picture last changed, colours included; its first line, the engine's state, does not count."""
    screen, at, before = TerminalPicture(), 0.0, None
    for chunk in chunks:
        screen.feed(chunk.data)
        cells = screen.cells[1:]
        if cells != before:
            at, before = chunk.at, cells
    return at


def waits_for(
    chunks: Sequence[OutputChunk], pressed: Sequence[tuple[float, object]], seen: Callable[[Lines], object]
) -> list[float | None]:
    """Seconds from each key to the first bytes that show its effect; None if they never come.

    Keys take effect in order; one update may show the effect of several.
    """
    waits: list[float | None] = []
    screen, before = TerminalPicture(), None
    for chunk in chunks:
        screen.feed(chunk.data)
        if (now := seen(screen.lines)) == before:
            continue
        before = now
        waiting = [(at, expected) for at, expected in pressed[len(waits) :] if at <= chunk.at]
        answer = next((n for n, (_, expected) in enumerate(waiting, 1) if expected == now), 0)
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
    """The number of typed letters in the editors."""
    return sum(line[:LEFT].count(_LETTER) for line in lines)


def tab_shown(lines: Lines) -> object:
    """Which of three tabs is shown."""
    marks = (("table", r"❯ *\d"), ("plots", r"━. L\d"), ("heatmap", r"layer \d+ +unit \d"))
    return next((tab for tab, mark in marks if re.search(mark, _right(lines))), None)


def n_streamed(lines: Lines) -> int:
    """The number of measured units in the first line."""
    found = re.search(r"([\d,]+) of [\d,]+ units", lines[0])
    return int(found[1].replace(",", "")) if found else -1


def is_measured(lines: Lines) -> bool:
    """Whether the engine is idle."""
    return "○" in lines[0]


def is_loaded(lines: Lines) -> bool:
    """Whether the engine has its model."""
    return "●" in lines[0] or "○" in lines[0]


def _right(lines: Lines) -> str:
    return "\n".join(line[LEFT:] for line in lines)


def _forth_and_back(on: bytes, back: bytes) -> Callable[[int], Iterator[tuple[bytes, object]]]:
    def keys(n: int) -> Iterator[tuple[bytes, object]]:
        for at in range(n):
            step = at % (2 * SPAN)
            yield (on, step + 1) if step < SPAN else (back, 2 * SPAN - step - 1)

    return keys


def _typing(n: int) -> Iterator[tuple[bytes, object]]:
    for at in range(1, n + 1):
        yield _LETTER.encode(), at


def _switching(n: int) -> Iterator[tuple[bytes, object]]:
    for at in range(1, n + 1):
        tab, key = TABS[at % len(TABS)]
        yield key, tab


_LETTER = "Z"
KEY_KINDS = (
    KeyKind("table, j and k", b"4 g", _forth_and_back(b"j", b"k"), row_unit),
    KeyKind("heatmap, l and h", b"6 g", _forth_and_back(b"l", b"h"), cell_unit),
    KeyKind("typing in the query", b"2 i", _typing, n_typed),
    KeyKind("tabs, 4 to 6", b"4 g", _switching, tab_shown, SLOW),
)
TABS = (("table", b"4"), ("plots", b"5"), ("heatmap", b"6"))
TEXT = ("text", b"0")
"""Tabs whose bytes are counted, with their keys."""
