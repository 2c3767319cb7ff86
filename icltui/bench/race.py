"""Times the methods in alternation.

Settings enter; a :class:`Race` leaves: median times, peak memory, and a note for each method that was not run. A method
whose numbers differ from ours ends the race, since its time would mean nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import linear_regression, median

import torch

from icltui.api.progress_callback import ProgressCallback
from icltui.bench.memory import peak_memory
from icltui.bench.methods import FIGURES, METHODS, Method, MethodResult, RunMethod
from icltui.bench.model_and_prompts import (
    WARM_UP,
    BenchModel,
    RaceSettings,
    Size,
    TokenPrompt,
    load_bench_model,
)
from icltui.values.errors import EngineError

TOLERANCE = 1e-3
"""Relative difference of ‖δ‖, ‖ΔW‖ and h from ours, over all prefixes of a layer."""


@dataclass(frozen=True)
class RaceRow:
    """The time and memory of one method at one size."""

    method: str
    n: int
    q: int
    seconds: float
    first: float | None
    """Seconds until the first rows."""
    scale: float = 1.0
    """``seconds`` over the time that was measured."""
    peak: int | None = None
    """Peak bytes beside the loaded model; None if not measured."""


@dataclass(frozen=True)
class Race:
    """Every method at every size, with the model and the machine."""

    settings: RaceSettings
    model: str
    threads: int
    rows: tuple[RaceRow, ...]
    notes: tuple[str, ...]

    def row(self, method: str, size: Size) -> RaceRow | None:
        """The row of ``method`` at ``size``; None if it was not run."""
        return next((row for row in self.rows if (row.method, row.n, row.q) == (method, *size)), None)

    def growth(self, method: str, q: int) -> float | None:
        """The power of n that the time grows with; None without two sizes."""
        return exponent([(row.n, row.seconds) for row in self.rows if (row.method, row.q) == (method, q)])


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """The slope of log y over log x, by least squares.

    >>> exponent([(1, 3.0), (2, 12.0), (4, 48.0)])
    2.0
    """
    if len(points) < 2:
        return None
    xs, ys = ([math.log(value) for value in column] for column in zip(*points, strict=True))
    return linear_regression(xs, ys).slope


def race(
    settings: RaceSettings,
    on_progress: ProgressCallback,
    methods: Sequence[Method] = METHODS,
    loaded: BenchModel | None = None,
) -> Race:
    """Every method at every size within the time limit; the first method is ours. ``loaded``: the model, if it is."""
    bench_model = loaded or load_bench_model(settings)
    warm_up = bench_model.prompt(*WARM_UP)
    notes: list[str] = []
    runs: dict[str, RunMethod] = {}
    for method in methods:
        run = _prepare(method, bench_model, warm_up, notes)
        if run is not None:
            runs[method.name] = run
    rows: list[RaceRow] = []
    for q in settings.query_sizes:
        for n in sorted(settings.context_sizes):
            chosen = _within(settings.limit, rows, list(runs), (n, q), notes)
            on_progress(f"n = {n}, q = {q}: {', '.join(chosen)}")
            rows += _alternate({name: runs[name] for name in chosen}, bench_model.prompt(n, q), settings)
    if settings.memory:
        on_progress("peak memory")
        rows = [
            row for method in methods if method.name in runs for row in _with_peaks(rows, method, settings)
        ]
    return Race(settings, bench_model.name, torch.get_num_threads(), tuple(rows), tuple(notes))


def _prepare(
    method: Method, bench_model: BenchModel, warm_up: TokenPrompt, notes: list[str]
) -> RunMethod | None:
    """The method, run once; None with a note where its package is not here, or does not fit this model."""
    if not method.is_here:
        notes.append(f"{method.name}: skipped, {method.needs} is not installed")
        return None
    try:
        run = method.prepare(bench_model)
        _timed(run, warm_up, bench_model.clock)
    except Exception as error:
        if method.needs is None:
            raise
        reason = " ".join(str(error).split())[:120]
        notes.append(
            f"{method.name}: skipped, it does not take this model ({type(error).__name__}: {reason})"
        )
        return None
    return run


def _within(limit: float, rows: list[RaceRow], names: list[str], size: Size, notes: list[str]) -> list[str]:
    """The methods whose time at smaller sizes promises no more than ``limit`` seconds; a note for each of the others.

    The first is never left out: the others are compared with it.
    """
    n, q = size
    chosen = []
    for name in names:
        before = [(row.n, row.seconds / row.scale) for row in rows if (row.method, row.q) == (name, q)]
        seconds = _expected(before[-2:], n)
        if seconds <= limit or name == names[0]:
            chosen.append(name)
        else:
            over = f"about {seconds:.0f} s, over the limit of {limit:g} s"
            notes.append(f"{name}: skipped at n = {n}, q = {q}: {over}")
    return chosen


def _expected(before: Sequence[tuple[int, float]], n: int) -> float:
    """Seconds at ``n``, extrapolated from smaller sizes; 0 without any."""
    if not before:
        return 0.0
    power = exponent(before) or 2.0
    return float(before[-1][1] * (n / before[-1][0]) ** power)


def _alternate(runs: dict[str, RunMethod], prompt: TokenPrompt, settings: RaceSettings) -> list[RaceRow]:
    """Median times; the methods take turns, so that other load of the machine slows all of them."""
    taken: dict[str, list[tuple[float, MethodResult | None]]] = {name: [] for name in runs}
    for turn in range(settings.repeat):
        for name, run in runs.items():
            if turn and taken[name][0][0] > settings.limit:
                continue
            taken[name].append(_timed(run, prompt, settings.clock))
            if settings.dtype == "float32":  # in half precision right ways lie further apart than a tolerance
                check_agreement(name, taken[name][-1][1], taken[next(iter(runs))][0][1], prompt)
    return [_row(name, prompt, of_way) for name, of_way in taken.items()]


def _row(name: str, prompt: TokenPrompt, taken: Sequence[tuple[float, MethodResult | None]]) -> RaceRow:
    answers = [answer for _, answer in taken if answer is not None]
    scale = answers[0].scale if answers else 1.0
    firsts = [answer.first for answer in answers if answer.first is not None]
    seconds = median(seconds for seconds, _ in taken)
    return RaceRow(name, prompt.n, prompt.q, seconds * scale, median(firsts) if firsts else None, scale)


@torch.inference_mode()
def _timed(
    run: RunMethod, prompt: TokenPrompt, clock: Callable[[], float]
) -> tuple[float, MethodResult | None]:
    start = clock()
    answer = run(prompt)
    return clock() - start, answer


def check_agreement(
    name: str, answer: MethodResult | None, ours: MethodResult | None, prompt: TokenPrompt
) -> None:
    """Compare a method's answer with ours.

    Raises:
        EngineError: they differ by more than :data:`TOLERANCE` at a layer.
    """
    if answer is None or ours is None:
        return
    expected = ours.figures[[ours.units.index(unit) for unit in answer.units]]
    errors = (answer.figures - expected).norm(dim=0) / expected.norm(dim=0)  # (layers, figures)
    for symbol, worst in zip(FIGURES, errors.amax(dim=0).tolist(), strict=True):
        if not worst <= TOLERANCE:  # NaN is no agreement either
            raise EngineError(
                f"{name} gives another {symbol} than we do at n = {prompt.n}, q = {prompt.q}: relative difference "
                f"{worst:.1e}, at most {TOLERANCE:.0e} was expected: one of the two is wrong"
            )


def _with_peaks(rows: Sequence[RaceRow], method: Method, settings: RaceSettings) -> list[RaceRow]:
    """The rows of ``method``, each with its peak memory."""
    mine = [row for row in rows if row.method == method.name]
    peaks = peak_memory(settings, method, [(row.n, row.q) for row in mine])
    return [replace(row, peak=peaks.get((row.n, row.q))) for row in mine]
