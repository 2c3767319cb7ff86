"""The engine on a GPU, on shapes of real models with random weights: one finding after the other, as they come.

:class:`GpuSettings` enter; lines leave: for each shape the seconds of all prefixes at all layers against a plain
forward pass of as many tokens, the peak memory of both, what a chunk waits for the device, and tokens per second with
and without a patch. A shape that does not fit is left out and said, and after ``limit`` seconds nothing more begins.
"""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile

from icltui.api.messages import Measure, UnitsMeasured
from icltui.bench.decode import HELD_AND_PER_STEP, PlainLoop
from icltui.bench.methods import plain_forward
from icltui.bench.model_and_prompts import BenchModel, TokenPrompt
from icltui.bench.model_shapes import GPU, random_model, weight_bytes
from icltui.engine.generate.generate import make_decoder
from icltui.engine.local import LocalEngine
from icltui.engine.measure.run_prefixes import tokens_per_chunk
from icltui.engine.models.device import free_bytes, pick_device
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.patch.decoding import Decoder
from icltui.engine.prompts.tokenize import Ids
from icltui.text.units import in_bytes

ROOM = 4 * 2**30
"""Bytes beside the weights that the longest measure needs."""
WAITS = (
    "cudaStreamSynchronize",
    "cudaDeviceSynchronize",
    "cudaEventSynchronize",
    "Memcpy DtoH",
    "aten::item",
)


@dataclass(frozen=True)
class GpuSettings:
    """What is measured."""

    device: str = "cuda"
    tiny: bool = False
    """Whether models of the same build take the shapes' place that take no time, to try the command on a CPU."""
    context_sizes: tuple[int, ...] = (1024, 4096)
    query_sizes: tuple[int, ...] = (4,)
    repeat: int = 2
    decode: int = 32
    """Tokens that every lane decodes."""
    limit: float = 170.0
    """Seconds after which nothing more begins."""


def gpu_lines(settings: GpuSettings) -> Iterator[str]:
    """The findings, each as soon as it is there."""
    device, start = pick_device(settings.device), time.perf_counter()
    yield f"{_device_name(device)}, {in_bytes(free_bytes(device))} free, torch {torch.__version__}"
    yield "all prefixes × all layers, against a plain forward pass of as many tokens, n + (n+1) q"
    models = [(shape, "bfloat16") for shape in GPU] + [(GPU[0], "float32")]
    for shape, dtype in models:
        title = f"{shape} {dtype}"
        if time.perf_counter() - start > settings.limit:
            yield f"{title}: left out, as {settings.limit:g} s are over"
            continue
        needed = 0 if settings.tiny else weight_bytes(shape, dtype) + ROOM
        if needed > free_bytes(device):
            yield f"{title}: left out, as it needs {in_bytes(needed)} and {in_bytes(free_bytes(device))} are free"
            continue
        runs = _Runs(shape, dtype, settings)
        yield from (f"{title}: {line}" for line in runs.lines(start + settings.limit))
        del runs
        gc.collect()
        torch.cuda.empty_cache()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


class _Runs:
    """One model and what is run on it."""

    def __init__(self, shape: str, dtype: str, settings: GpuSettings) -> None:
        self.settings, self.device = settings, pick_device(settings.device)
        loaded = random_model(shape, dtype, settings.device, tiny=settings.tiny)
        self.bench_model = BenchModel(LocalEngine(loaded, loaded.describe("packed")), loaded)

    def lines(self, end: float) -> Iterator[str]:
        """Each measurement that begins before ``end``."""
        self._measure(self.bench_model.prompt(64, 4))  # kernels are chosen and loaded at their first use
        q = self.settings.query_sizes[0]
        parts: list[Callable[[], str]] = [
            *(lambda n=n: self._compared(self.bench_model.prompt(n, q)) for n in self.settings.context_sizes),
            lambda: self._waits(self.bench_model.prompt(64, q)),
            self._decoding,
        ]
        for part in parts:
            if time.perf_counter() > end:
                yield "the rest is left out, as the time is over"
                return
            yield part()

    def _compared(self, prompt: TokenPrompt) -> str:
        ours, plain = [], []
        for _ in range(self.settings.repeat):  # in alternation
            ours.append(self._timed(lambda: self._measure(prompt)))
            plain.append(self._timed(lambda: self._plain(prompt)))
        seconds, floor = (median(run[0] for run in runs) for runs in (ours, plain))
        peak, floor_peak = (max(run[1] for run in runs) for runs in (ours, plain))
        first = median(run[2] for run in ours)
        ids = Ids(prompt.prefix, prompt.context, prompt.query, tuple(range(prompt.n + 1)))
        loaded = self.bench_model.loaded
        chunk = tokens_per_chunk(loaded, loaded.sites, ids)
        memory = (
            f"peak {in_bytes(peak)} against {in_bytes(floor_peak)}"
            if self.device.type == "cuda"
            else "no peak here"
        )
        return (
            f"n = {prompt.n}, q = {prompt.q}: {seconds:.3f} s, {seconds / floor:.2f} × plain ({floor:.3f} s), "
            f"{memory}, chunks of {chunk} tokens, first rows after {first:.3f} s"
        )

    def _timed(self, run: Callable[[], float]) -> tuple[float, int, float]:
        """Seconds, peak bytes beside what was there before, and what ``run`` returns."""
        held = 0
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            held = torch.cuda.memory_allocated(self.device)
        start = time.perf_counter()
        first = run()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = time.perf_counter() - start
        peak = torch.cuda.max_memory_allocated(self.device) - held if self.device.type == "cuda" else 0
        return seconds, peak, first

    def _measure(self, prompt: TokenPrompt) -> float:
        """The whole measure; returns seconds to the first rows."""
        start, first = time.perf_counter(), None
        for event in self.bench_model.engine.run(Measure(prompt=prompt.prompt), lambda: False):
            if first is None and isinstance(event, UnitsMeasured):
                first = time.perf_counter() - start
        return first or 0.0

    @torch.inference_mode()
    def _plain(self, prompt: TokenPrompt) -> float:
        plain_forward(self.bench_model)(prompt)
        return 0.0

    def _waits(self, prompt: TokenPrompt) -> str:
        """What the profiler saw of waiting for the device, in a measure of one chunk of copies."""
        kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (self.device.type == "cuda")
        with profile(activities=kinds) as seen:
            self._measure(prompt)
        counts: Counter[str] = Counter()
        for event in seen.key_averages():
            for name in WAITS:
                if name in event.key:
                    counts[name] += event.count
        words = ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
        return f"waits for the device in a measure of {prompt.n} units in one chunk, rows included: {words}"

    @torch.inference_mode()
    def _decoding(self) -> str:
        prompt = self.bench_model.prompt(256, 16)
        ids = Ids(prompt.prefix, prompt.context, prompt.query, tuple(range(prompt.n + 1)))
        speeds = {"bare loop": self._speed(PlainLoop(self.bench_model.model, ids.plain))}
        loaded = self.bench_model.loaded
        for name, recipe in HELD_AND_PER_STEP.items():
            spec = PatchSpec(loaded, loaded.sites, ids, "reset", recipe)
            speeds[name] = self._speed(make_decoder([spec], build_patch(spec, n_later=0), "patched"))
        bare = speeds["bare loop"]
        return "tokens per second: " + ", ".join(
            f"{name} {speed:.1f} ({bare / speed:.2f} × the time)" for name, speed in speeds.items()
        )

    def _speed(self, lane: Decoder | PlainLoop) -> float:
        """Tokens per second, each chosen greedily, after the first one."""
        said = [int(lane.prefill().argmax())]
        said = [int(lane.step(said).argmax())]
        start = time.perf_counter()
        for _ in range(self.settings.decode):
            said = [int(lane.step(said).argmax())]
        return self.settings.decode / (time.perf_counter() - start)
