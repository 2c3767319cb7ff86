"""The speed of the explorer on a terminal: first paint, key latency, bytes and memory.

:class:`ScreenSettings` enter; :class:`ScreenResults` leave. The explorer runs as a user starts it, on a
pseudo-terminal; :mod:`~icltui.bench.fake_engine` streams the measures, the real engine loads. A paint is found
in the picture and not in the stream of bytes, so that an update is never taken for the effect of a key.
"""

import random
import shlex
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from icltui.api.progress_callback import ProgressCallback
from icltui.bench.key_cost import COST_KINDS, CostKind, KeyCosts, key_costs
from icltui.bench.key_latency import (
    KEY_KINDS,
    PAUSES,
    SPAN,
    TABS,
    TEXT,
    KeyKind,
    is_loaded,
    is_measured,
    n_streamed,
    painted_at,
    waits_for,
)
from icltui.bench.pseudo_terminal import PseudoTerminal, TerminalPicture
from icltui.storage.paths import example_sessions
from icltui.system.child_environment import own_command

BARE, PANES, OURS = "bare Textual, as many texts", "bare Textual, its own widgets as panes", "icltui"
"""The programs that are timed."""
QUIET = 0.7
"""Seconds without a byte after which a start is over."""
REST = 1.0
"""Seconds before a tab's bytes are counted."""
COSTED_UNITS = 200
"""Units that are measured while what a key costs is counted."""
UPDATES = 8
"""Units per second while bytes are counted: each update of the screen shows one."""
_SYNC = b"\x1b[?2026h"
"""The start of a frame."""


@dataclass(frozen=True)
class ScreenSettings:
    """How often each thing is timed, and on how much."""

    starts: int = 9
    keys: int = 60
    """Keys per kind and situation."""
    units: int = 1000
    layers: int = 24
    rate: float = 40.0
    """Units per second while keys are pressed."""
    costed: int = 12
    """Keys per kind whose CPU time and bytes are counted."""
    seconds: float = 8.0
    """Seconds for which each tab's bytes are counted."""


@dataclass(frozen=True)
class KeyTimes:
    """Milliseconds from key to paint, for the keys of one kind in one situation."""

    situation: str
    kind: str
    milliseconds: tuple[float, ...]
    n_unanswered: int


@dataclass(frozen=True)
class Traffic:
    """Bytes written to the terminal while a tab was shown."""

    tab: str
    n_units: int
    n_bytes: int
    n_updates: int


@dataclass(frozen=True)
class ScreenResults:
    """Every time, and the explorer's size."""

    settings: ScreenSettings
    n_widgets: int
    paints: dict[str, tuple[float, ...]]
    """Milliseconds from exec to the first full paint, for each start of each program."""
    key_times: tuple[KeyTimes, ...]
    costs: tuple[KeyCosts, ...]
    traffic: tuple[Traffic, ...]
    peak: int | None
    """Peak bytes of the explorer's process; None where the system does not tell."""
    has_torch: bool | None

    def ratio(self, program: str) -> float:
        """A program's first paint over the bare application's."""
        return median(self.paints[program]) / median(self.paints[BARE])


def measure_screen(settings: ScreenSettings, on_progress: ProgressCallback) -> ScreenResults:
    """Time everything, which takes about two minutes."""
    from icltui.bench.widget_count import count_widgets

    n_widgets = count_widgets()
    with tempfile.TemporaryDirectory() as folder:
        bench = ScreenBench(Path(folder), settings)
        on_progress(f"first paint: {settings.starts} starts")
        paints = bench.first_paints(n_widgets)
        on_progress("CPU time and bytes of each key")
        costs = tuple(bench.costs_of(kind) for kind in COST_KINDS)
        on_progress("keys while the model loads")
        loading = bench.keys_while_loading()
        on_progress(f"keys while {settings.units} units × {settings.layers} layers stream")
        streaming = bench.keys_while_streaming()
        on_progress(f"bytes at {UPDATES} updates a second")
        traffic, peak, has_torch = bench.traffic()
    return ScreenResults(settings, n_widgets, paints, (*loading, *streaming), costs, traffic, peak, has_torch)


class ScreenBench:
    """Starts programs, each with a home folder of its own, and times them."""

    def __init__(self, folder: Path, settings: ScreenSettings) -> None:
        self._folder, self._settings = folder, settings
        self._n_homes = 0
        self._chance = random.Random(0)

    def _start(self, module: str, *words: str) -> PseudoTerminal:
        self._n_homes += 1
        home = self._folder / str(self._n_homes)
        home.mkdir()
        return PseudoTerminal(own_command(*words, module=module), home)

    def _start_streaming(self, rate: float, at_once: int, n_units: int | None = None) -> PseudoTerminal:
        words = ("--layers", str(self._settings.layers), "--rate", str(rate), "--at-once", str(at_once))
        engine = own_command(*words, module="icltui.bench.fake_engine")
        context = self._context(n_units or self._settings.units)
        return self._start("icltui", "-c", f"@{context}", "-q", "w0", "--engine", shlex.join(engine))

    def _context(self, n_units: int) -> Path:
        path = self._folder / f"context-{n_units}.txt"
        path.write_text(" ".join(f"w{at}" for at in range(n_units)))
        return path

    # The first paint.

    def first_paints(self, n_widgets: int) -> dict[str, tuple[float, ...]]:
        """Milliseconds of each start; the programs take turns, and the first start of each warms the caches."""
        programs = {
            BARE: ("icltui.bench.bare_textual_app", str(n_widgets)),
            PANES: ("icltui.bench.bare_textual_app", "panes"),
            OURS: ("icltui", _session(), "--engine", "cat"),  # an engine that never answers
        }
        paints: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(self._settings.starts + 1):
            for name, words in programs.items():
                terminal = self._start(*words)
                terminal.settle(QUIET)
                paints[name].append(1000 * (painted_at(terminal.chunks) - terminal.started))
                terminal.close()
        return {name: tuple(times[1:]) for name, times in paints.items()}

    # Keys.

    def keys_while_loading(self) -> list[KeyTimes]:
        """Keys from the first paint until the real engine has its model; a new start for each kind."""
        return [self._times_while_loading(kind) for kind in KEY_KINDS]

    def _times_while_loading(self, kind: KeyKind) -> KeyTimes:
        waits: list[float | None] = []
        for _ in range(3):
            terminal = self._start("icltui", _session())
            terminal.until(lambda lines: "Quit" in lines[-1], "its keys")
            pressed = self._press(terminal, kind, self._settings.keys)
            terminal.settle(QUIET)
            terminal.close()
            loaded = next((at for at, lines in _pictures(terminal) if is_loaded(lines)), time.perf_counter())
            answered = waits_for(terminal.chunks, pressed, kind.seen)
            waits += [wait for (at, _), wait in zip(pressed, answered, strict=True) if at < loaded]
            if len(waits) >= self._settings.keys:
                break
        return _key_times("the engine loads", kind, waits)

    def keys_while_streaming(self) -> list[KeyTimes]:
        """Keys while measures stream; a new stream for each kind."""
        key_times = []
        for kind in KEY_KINDS:
            terminal = self._start_streaming(self._settings.rate, 2 * SPAN)
            terminal.until(lambda lines: n_streamed(lines) > 2 * SPAN, "units")
            pressed = self._press(terminal, kind, self._settings.keys)
            time.sleep(QUIET)
            terminal.close()
            key_times.append(_key_times("units stream", kind, waits_for(terminal.chunks, pressed, kind.seen)))
        return key_times

    def _press(self, terminal: PseudoTerminal, kind: KeyKind, n_keys: int) -> list[tuple[float, object]]:
        """When each key was pressed, and what the picture must then show."""
        for key in kind.setup.split():
            terminal.press(key)
            time.sleep(PAUSES[1])
        time.sleep(QUIET)
        pressed = []
        for key, expected in kind.keys(n_keys):
            pressed.append((terminal.press(key), expected))
            time.sleep(self._chance.uniform(*kind.pauses))
        return pressed

    def costs_of(self, kind: CostKind) -> KeyCosts:
        """What each key costs in a program at rest, with :data:`COSTED_UNITS` units; a new start for each kind."""
        terminal = self._start_streaming(1.0, 2 * COSTED_UNITS, COSTED_UNITS)
        terminal.until(is_measured, "the end of the stream")
        terminal.settle(QUIET)
        costs = key_costs(terminal, kind, self._settings.costed)
        terminal.close()
        return costs

    # Bytes and memory.

    def traffic(self) -> tuple[tuple[Traffic, ...], int | None, bool | None]:
        """Bytes of each tab; then the peak memory with all units, and whether torch was loaded."""
        settings = self._settings
        n_counted = round(UPDATES * (settings.seconds + 2 * REST) * (len(TABS) + 1))
        n_at_once = max(1, settings.units - n_counted)
        terminal = self._start_streaming(UPDATES, n_at_once)
        terminal.until(lambda lines: n_streamed(lines) >= n_at_once - 1, "units")
        traffic = [self._traffic_of(terminal, tab, key) for tab, key in (*TABS, TEXT)]
        terminal.until(is_measured, "the end of the stream")
        peak, has_torch = terminal.peak_memory(), terminal.has_mapped("libtorch")
        terminal.close()
        return tuple(traffic), peak, has_torch

    def _traffic_of(self, terminal: PseudoTerminal, tab: str, key: bytes) -> Traffic:
        terminal.press(key)
        time.sleep(REST)
        first = len(terminal.chunks)
        time.sleep(self._settings.seconds)
        counted = terminal.chunks[first:]
        data = b"".join(chunk.data for chunk in counted)
        return Traffic(tab, round(UPDATES * self._settings.seconds), len(data), data.count(_SYNC))


def _session() -> str:
    """What is opened: without a session a launcher or the tour would take the keys that are counted."""
    return str(example_sessions()[0])


def _pictures(terminal: PseudoTerminal) -> Iterator[tuple[float, list[str]]]:
    screen = TerminalPicture()
    for chunk in terminal.chunks:
        screen.feed(chunk.data)
        yield chunk.at, screen.lines


def _key_times(situation: str, kind: KeyKind, waits: Sequence[float | None]) -> KeyTimes:
    times = tuple(1000 * wait for wait in waits if wait is not None)
    return KeyTimes(situation, kind.name, times, sum(wait is None for wait in waits))
