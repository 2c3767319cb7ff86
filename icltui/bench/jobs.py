"""What the engine's other jobs cost, as ratios to bare forward passes and decoding loops of the same tokens.

A :class:`~icltui.bench.model_and_prompts.BenchModel` enters; a :class:`Ratio` leaves for the proof at load, for verify,
and for the text after a changed strength. Job and floor take turns; a ratio is the median over turns.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from msgspec.structs import replace

from icltui.api.messages import Event, Generate, LaneAdvanced, Request, Verify
from icltui.api.progress_callback import ProgressCallback
from icltui.bench.decode import PlainLoop
from icltui.bench.model_and_prompts import BenchModel, RaceSettings, TokenPrompt
from icltui.engine.measure.kv_cache_check import check_kv_cache
from icltui.engine.measure.packing_check import choose_path
from icltui.engine.measure.rounding_error import measure_rounding
from icltui.engine.patch.exactness_at_load import check_at_load
from icltui.values.recipe import Recipe

N_TOKENS = 16
"""Tokens of each lane."""
ALPHAS = (0.5, 0.75)
"""Strengths that take turns, so that each job is a change."""
Seconds = tuple[float, ...]
Run = Callable[[], Seconds]
"""Runs once; seconds of each thing that is timed."""


@dataclass(frozen=True)
class Ratio:
    """One cost beside its floor."""

    name: str
    value: float | None
    """None where it could not be measured."""
    wanted: float | None = None
    """The largest that is wanted."""
    seconds: float | None = None


def job_ratios(bench_model: BenchModel, settings: RaceSettings, on_progress: ProgressCallback) -> list[Ratio]:
    """The ratios of every job on one prompt."""
    prompt = bench_model.prompt(settings.context_sizes[0], settings.query_sizes[0])
    timer = _Timer(bench_model, prompt)
    ratios: list[Ratio] = []

    def compare(job: Run, floor: Run, *rows: tuple[str, float | None]) -> None:
        on_progress(rows[0][0])
        ratios.extend(_alternate(job, floor, rows, settings.repeat))

    proof = timer.passes(lambda: _prove(bench_model))
    compare(
        lambda: timer.time(lambda: _prove(bench_model)),
        lambda: timer.plain([sum(proof)]),
        ("proof at load / one forward of its tokens", None),
    )
    job = Verify(prompt=prompt.prompt)
    passes = timer.passes(lambda: timer.drain(job))
    backward = [len(prompt.row(0))] * 2  # takes twice as long as its forward pass
    compare(
        lambda: timer.time(lambda: timer.drain(job)),
        lambda: timer.plain([*passes, *backward]),
        ("verify / the passes it needs", None),
    )
    compare(
        lambda: timer.generate(Recipe(), ("patched",))[1:],
        lambda: timer.loops([prompt.n, 0])[1:],
        ("generate per step, whole job / 2 bare loops", None),
    )
    for mode, recipe in (("per step", Recipe()), ("compiled", Recipe(mode="compiled", ridge=1e-4))):
        timer.generate(recipe, LANES)  # the text before the change
        compare(
            lambda recipe=recipe: timer.generate(recipe, LANES),  # type: ignore[misc]
            lambda: timer.loops([prompt.n, 0, 0]),
            (f"α change, {mode}, to the first new token / 3 bare prefills", None),
            (f"α change, {mode}, to the whole text / 3 bare loops", None),
        )
    return ratios


LANES = ("context", "plain", "patched")


def _alternate(
    job: Run, floor: Run, rows: Sequence[tuple[str, float | None]], repeat: int
) -> Iterator[Ratio]:
    turns = [(job(), floor()) for _ in range(repeat)]
    for k, (name, wanted) in enumerate(rows):
        ratio = median(ours[k] / bare[k] for ours, bare in turns)
        yield Ratio(name, ratio, wanted, median(ours[k] for ours, _ in turns))


def _prove(bench_model: BenchModel) -> None:
    loaded = bench_model.loaded
    check_kv_cache(loaded)
    choose_path(check_at_load(loaded))
    measure_rounding(loaded)


class _Timer:
    """Times a model's jobs, and bare passes and loops of the same tokens."""

    def __init__(self, bench_model: BenchModel, prompt: TokenPrompt) -> None:
        self.bench_model, self.prompt, self.clock = bench_model, prompt, bench_model.clock
        self.n_changes = 0

    def time(self, work: Callable[[], object]) -> Seconds:
        start = self.clock()
        work()
        return (self.clock() - start,)

    def drain(self, request: Request) -> None:
        """The whole job."""
        for _ in self._events(request):
            pass

    def generate(self, recipe: Recipe, lanes: tuple[Any, ...]) -> Seconds:
        """Seconds to the first patched token and of the whole job, at another strength each time."""
        self.n_changes += 1
        recipe = replace(recipe, alpha=ALPHAS[self.n_changes % len(ALPHAS)])
        request = Generate(prompt=self.prompt.prompt, recipe=recipe, lanes=lanes, n_tokens=N_TOKENS)
        start, first = self.clock(), None
        for event in self._events(request):
            if first is None and isinstance(event, LaneAdvanced) and event.step.lane == "patched":
                first = self.clock() - start
        assert first is not None
        return first, self.clock() - start

    def _events(self, request: Request) -> Iterator[Event]:
        return self.bench_model.engine.run(request, lambda: False)

    @torch.inference_mode()
    def plain(self, lengths: Sequence[int]) -> Seconds:
        """Plain forward passes of so many tokens each, as long as the model has positions for."""
        start, most = self.clock(), self.bench_model.loaded.window or max(lengths)
        for length in lengths:
            n_rows = -(-length // most)
            ids = torch.ones(
                n_rows, length // n_rows, dtype=torch.long, device=self.bench_model.loaded.device
            )
            self.bench_model.model(ids, use_cache=False, logits_to_keep=1)
        return (self.clock() - start,)

    @torch.inference_mode()
    def loops(self, prefixes: Sequence[int]) -> Seconds:
        """Seconds of the prefills, and of all, of a bare loop of :data:`N_TOKENS` after each prefix."""
        start = self.clock()
        loops = [PlainLoop(self.bench_model.model, self.prompt.row(prefix)) for prefix in prefixes]
        said = [int(loop.prefill().argmax()) for loop in loops]
        first = self.clock() - start
        for _ in range(N_TOKENS - 1):
            said = [int(loop.step([token]).argmax()) for loop, token in zip(loops, said, strict=True)]
        return first, self.clock() - start

    def passes(self, work: Callable[[], object]) -> list[int]:
        """The tokens of each forward pass of ``work``."""
        with _recorded(self.bench_model.model) as lengths:
            work()
        return lengths


@contextmanager
def _recorded(model: Any) -> Iterator[list[int]]:
    lengths: list[int] = []
    handle = model.register_forward_pre_hook(lambda _, args: lengths.append(args[0].numel()))
    try:
        yield lengths
    finally:
        handle.remove()
