"""What a key costs: CPU time of the explorer's process and bytes to its terminal, until it is at rest again.

A running :class:`.PseudoTerminal` enters; :class:`KeyCosts` leave. CPU time is what other programs of the machine do
not change, as they change the time from key to paint.
"""

from dataclasses import dataclass

from icltui.bench.pseudo_terminal import PseudoTerminal
from icltui.system.process_time import cpu_seconds

QUIET = 0.3
"""Seconds without a byte after which a key has had its effect: more than what is drawn eight times a second waits."""
SILENT = 1.0
"""Seconds after which a key is taken to have none."""


@dataclass(frozen=True)
class CostKind:
    """Keys of one kind."""

    name: str
    setup: bytes
    """Keys before them, apart by blanks."""
    keys: tuple[bytes, ...]
    """Pressed in turn, over and over."""
    back: bytes = b""
    """Pressed after each of them, and not counted."""


@dataclass(frozen=True)
class KeyCosts:
    """CPU milliseconds and bytes of each key of a kind; the first of a kind may load what it needs."""

    kind: str
    milliseconds: tuple[float, ...]
    n_bytes: tuple[int, ...]


COST_KINDS = (
    CostKind("cursor: table", b"4 g", (b"j", b"k")),
    CostKind("cursor: heatmap", b"6 g", (b"l", b"h")),
    CostKind("cursor: text", b"0 g", (b"l", b"h")),
    CostKind("tab: table, plots, heatmap", b"4", (b"5", b"6", b"4")),
    CostKind("tab: the next of all", b"4", (b"]",)),
    CostKind("measure m, on the table", b"4", (b"m",)),
    CostKind("measure m, on the heatmap", b"6", (b"m",)),
    CostKind("zoom z", b"4", (b"z",)),
    CostKind("help ?", b"4", (b"?",), b"\x1b"),
    CostKind("palette ctrl+p", b"4", (b"\x10",), b"\x1b"),
    CostKind("letter in the query", b"2 i", (b"Z",)),
)
"""The ``i`` begins to type where an editor asks for it, and is a letter like others where it does not."""


def key_costs(terminal: PseudoTerminal, kind: CostKind, n_keys: int) -> KeyCosts:
    """Press ``n_keys`` keys, each once the program is at rest."""
    for key in kind.setup.split():
        _cost_of(terminal, key)
    costs = []
    for at in range(n_keys):
        costs.append(_cost_of(terminal, kind.keys[at % len(kind.keys)]))
        if kind.back:
            _cost_of(terminal, kind.back)
    return KeyCosts(kind.name, tuple(ms for ms, _ in costs), tuple(n for _, n in costs))


def _cost_of(terminal: PseudoTerminal, key: bytes) -> tuple[float, int]:
    """CPU milliseconds and bytes of one key."""
    first, before = len(terminal.chunks), cpu_seconds(terminal.pid)
    terminal.press(key)
    terminal.rest(QUIET, SILENT)
    return 1000 * (cpu_seconds(terminal.pid) - before), sum(
        len(each.data) for each in terminal.chunks[first:]
    )
