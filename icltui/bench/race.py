"""Run the ways in alternation and hold them against each other.

Enters: settings. Leaves: a :class:`Race`, times as medians and peak memory, and a note for whatever was not run. A race
against a wrong answer is worthless: a way whose numbers are not ours ends it.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch

from icltui.bench.contenders import FIGURES, WAYS, Answer, Run, Way
from icltui.bench.memory import peak_memory
from icltui.bench.workload import WARM_UP, Settings, Size, Task, make_subject
from icltui.values.errors import EngineError

TOLERANCE = 1e-3
"""Of ‖δ‖, ‖ΔW‖ and h against ours, relative, over all prefixes of a layer."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Line:
    """One way at one size."""

    way: str
    n: int
    q: int
    seconds: float
    first: float | None
    """Seconds until the first rows."""
    scale: float = 1.0
    """How many times the seconds that were really taken ``seconds`` is."""
    peak: int | None = None
    """Bytes above the loaded model's; None where it was not measured."""


@dataclass(frozen=True)
class Race:
    """All that was measured."""

    settings: Settings
    model: str
    threads: int
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    def line(self, way: str, size: Size) -> Line | None:
        """The line of ``way`` at ``size``, if it was run there."""
        return next((line for line in self.lines if (line.way, line.n, line.q) == (way, *size)), None)

    def growth(self, way: str, q: int) -> float | None:
        """The power of n that the time grows with; None without two sizes."""
        return exponent([(line.n, line.seconds) for line in self.lines if (line.way, line.q) == (way, q)])


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """The slope of log y over log x, by least squares.

    >>> exponent([(1, 3.0), (2, 12.0), (4, 48.0)])
    2.0
    """
    if len(points) < 2:
        return None
    xs, ys = ([math.log(value) for value in column] for column in zip(*points, strict=True))
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    along = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    return float(along / sum((a - x) ** 2 for a in xs))


def race(settings: Settings, tell: Tell, ways: Sequence[Way] = WAYS) -> Race:
    """Every way at every size, as far as the time limit lets it; the first way is ours."""
    subject = make_subject(settings)
    notes = [f"{way.name}: skipped, {way.needs} is not installed" for way in ways if not way.is_here]
    runs = {way.name: way.prepare(subject) for way in ways if way.is_here}
    warm_up = subject.task(*WARM_UP)
    for run in runs.values():
        _timed(run, warm_up)
    lines: list[Line] = []
    for q in settings.query_sizes:
        for n in sorted(settings.context_sizes):
            chosen = _within(settings.limit, lines, list(runs), (n, q), notes)
            tell(f"n = {n}, q = {q}: {', '.join(chosen)}")
            lines += _alternate({name: runs[name] for name in chosen}, subject.task(n, q), settings)
    if settings.memory:
        tell("peak memory")
        lines = [line for way in ways if way.is_here for line in _with_peaks(lines, way, settings)]
    return Race(settings, subject.name, torch.get_num_threads(), tuple(lines), tuple(notes))


def _within(limit: float, lines: list[Line], names: list[str], size: Size, notes: list[str]) -> list[str]:
    """The ways that will take no longer than ``limit``, judged by smaller sizes; a note for each of the others.

    The first, ours, is never left out: the others are held against it.
    """
    n, q = size
    chosen = []
    for name in names:
        before = [(line.n, line.seconds / line.scale) for line in lines if (line.way, line.q) == (name, q)]
        seconds = _expected(before[-2:], n)
        if seconds <= limit or name == names[0]:
            chosen.append(name)
        else:
            over = f"about {seconds:.0f} s, over the limit of {limit:g} s"
            notes.append(f"{name}: skipped at n = {n}, q = {q}: {over}")
    return chosen


def _expected(before: Sequence[tuple[int, float]], n: int) -> float:
    """Seconds at ``n``, from those at smaller sizes; 0 without any."""
    if not before:
        return 0.0
    power = exponent(before) or 2.0
    return float(before[-1][1] * (n / before[-1][0]) ** power)


def _alternate(runs: dict[str, Run], task: Task, settings: Settings) -> list[Line]:
    """Medians; the ways take turns, so that what else the machine does falls on all of them."""
    taken: dict[str, list[tuple[float, Answer | None]]] = {name: [] for name in runs}
    for turn in range(settings.repeat):
        for name, run in runs.items():
            if turn and taken[name][0][0] > settings.limit:
                continue
            taken[name].append(_timed(run, task))
            check_agreement(name, taken[name][-1][1], taken[next(iter(runs))][0][1], task)
    return [_line(name, task, of_way) for name, of_way in taken.items()]


def _line(name: str, task: Task, taken: Sequence[tuple[float, Answer | None]]) -> Line:
    answers = [answer for _, answer in taken if answer is not None]
    scale = answers[0].scale if answers else 1.0
    firsts = [answer.first for answer in answers if answer.first is not None]
    seconds = median(seconds for seconds, _ in taken)
    return Line(name, task.n, task.q, seconds * scale, median(firsts) if firsts else None, scale)


@torch.inference_mode()
def _timed(run: Run, task: Task) -> tuple[float, Answer | None]:
    start = time.perf_counter()
    answer = run(task)
    return time.perf_counter() - start, answer


def check_agreement(name: str, answer: Answer | None, ours: Answer | None, task: Task) -> None:
    """Raises EngineError where a way that answers gives other numbers than ours, at any layer."""
    if answer is None or ours is None:
        return
    expected = ours.figures[[ours.units.index(unit) for unit in answer.units]]
    errors = (answer.figures - expected).norm(dim=0) / expected.norm(dim=0)  # (layers, figures)
    for symbol, worst in zip(FIGURES, errors.amax(dim=0).tolist(), strict=True):
        if not worst <= TOLERANCE:  # NaN is no agreement either
            raise EngineError(
                f"{name} gives another {symbol} than we do at n = {task.n}, q = {task.q}: relative difference "
                f"{worst:.1e}, at most {TOLERANCE:.0e} was expected: one of the two is wrong"
            )


def _with_peaks(lines: Sequence[Line], way: Way, settings: Settings) -> list[Line]:
    """The lines of ``way``, each with its peak memory."""
    mine = [line for line in lines if line.way == way.name]
    peaks = peak_memory(settings, way, [(line.n, line.q) for line in mine])
    return [replace(line, peak=peaks.get((line.n, line.q))) for line in mine]
