"""The engine's costs on the shapes of models that people use, as ratios.

:class:`~icltui.bench.model_and_prompts.RaceSettings` enter; a :class:`RealModel` leaves for each shape, or for the one
model that they name.
"""

from dataclasses import dataclass, replace
from functools import partial

from icltui.api.progress_callback import ProgressCallback
from icltui.bench.decode import HELD_AND_PER_STEP, LOOP, PLAIN, Decoding, time_decoding
from icltui.bench.jobs import Ratio, job_ratios
from icltui.bench.memory import peak_memory
from icltui.bench.methods import FLOOR, FLOOR_EVERY_COPY, METHODS, OURS, SAMPLED, Method, plain_forward
from icltui.bench.model_and_prompts import RaceSettings, Size, load_bench_model
from icltui.bench.model_shapes import REAL, full_name
from icltui.bench.race import Race, race

CONTEXT, QUERY, DECODE = (256,), (8,), 16
"""Context and query tokens of the prompt, and the tokens that every lane decodes."""
TIME, MEMORY = 1.15, 1.3
"""Packed over plain, at most, as it is wanted."""
PER_STEP = 2.0
"""A lane whose every token gets a patch of its own over a bare loop, at most, as it is wanted."""
RACE = (METHODS[0], METHODS[1], Method(FLOOR_EVERY_COPY, partial(plain_forward, every_copy=True)), *SAMPLED)


@dataclass(frozen=True)
class RealModel:
    """The costs on one model."""

    name: str
    settings: RaceSettings
    threads: int
    ratios: tuple[Ratio, ...]
    notes: tuple[str, ...]


def measure_real(settings: RaceSettings, shape: str | None, on_progress: ProgressCallback) -> list[RealModel]:
    """The costs on ``settings.model``, else on ``shape``, else on every shape."""
    if settings.model is not None:
        return [_measured(settings, on_progress)]
    names = REAL if shape is None else (full_name(shape),)
    return [_measured(replace(settings, shape=name), on_progress) for name in names]


def _measured(settings: RaceSettings, on_progress: ProgressCallback) -> RealModel:
    def progress(stage: str, done: int = 0, total: int = 0) -> None:
        on_progress(f"{settings.model or settings.shape}: {stage}", done, total)

    progress("loading")
    bench_model = load_bench_model(settings)
    progress("racing")
    raced = race(replace(settings, memory=False), progress, RACE, bench_model)
    decoding = time_decoding(settings, progress, HELD_AND_PER_STEP, bench_model)
    ratios = [*_race_ratios(raced), *_decode_ratios(decoding), *job_ratios(bench_model, settings, progress)]
    name, threads = bench_model.name, raced.threads
    del bench_model  # before other processes load it
    if settings.memory:
        progress("peak memory")
        ratios.insert(1, _memory_ratio(settings, raced))
    return RealModel(name, settings, threads, tuple(ratios), raced.notes)


def _race_ratios(raced: Race) -> list[Ratio]:
    """Packed over its floors, then each other method over packed."""
    (size,) = {(row.n, row.q) for row in raced.rows}
    seconds = {row.method: row.seconds for row in raced.rows}
    packed = seconds[OURS]
    ratios = [
        Ratio("packed / plain forward of as many tokens", packed / seconds[FLOOR], TIME, packed),
        Ratio("packed / the same with n + 1 logits", packed / seconds[FLOOR_EVERY_COPY], seconds=packed),
    ]
    row = raced.row(OURS, size)
    assert row is not None
    if row.first is not None:
        ratios.append(Ratio("first rows / all rows", row.first / packed, seconds=row.first))
    others = {method.name: seconds.get(method.name) for method in SAMPLED}
    return ratios + [
        Ratio(
            f"one forward per prefix, {name} / packed",
            None if taken is None else taken / packed,
            seconds=taken,
        )
        for name, taken in others.items()
    ]


def _decode_ratios(decoding: Decoding) -> list[Ratio]:
    """Each lane over the bare loop."""
    lines = {line.method: line for line in decoding.lines}
    bare = lines[LOOP]
    wanted = {"per step, two runs": PER_STEP}
    return [
        Ratio(
            f"a token, {name} / bare loop", line.ratio / bare.ratio, wanted.get(name), line.milliseconds / 1e3
        )
        for name, line in lines.items()
        if name in (PLAIN, *HELD_AND_PER_STEP)
    ]


def _memory_ratio(settings: RaceSettings, raced: Race) -> Ratio:
    sizes: list[Size] = sorted({(row.n, row.q) for row in raced.rows})
    packed, plain = (peak_memory(settings, method, sizes).get(sizes[0]) for method in RACE[:2])
    value = packed / plain if packed is not None and plain else None
    return Ratio("packed / plain forward, peak memory beside the weights", value, MEMORY)
