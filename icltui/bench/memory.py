"""Peak memory of a method beside the loaded model, at each size.

It is measured in a fresh process, whose allocator holds nothing yet, and in ascending order of size: what the allocator
keeps of one size is part of what the next one needs.
"""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from icltui.bench.methods import BATCH, Method
from icltui.bench.model_and_prompts import WARM_UP, RaceSettings, Size, load_bench_model
from icltui.engine.models.device import pick_device
from icltui.system.child_environment import guard_children
from icltui.system.process_memory import resident_bytes

_RESET = Path("/proc/self/clear_refs")
"""Takes the request to reset the peak: see proc(5)."""


def peak_memory(settings: RaceSettings, method: Method, sizes: Sequence[Size]) -> dict[Size, int]:
    """Bytes at each size; empty where the system does not tell.

    Methods that run one prefix after the other are measured on the longest prefixes, which need the most.
    """
    if pick_device(settings.device).type != "cuda" and not _RESET.exists():
        return {}
    guard_children()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_peaks, settings, method, sorted(sizes, key=_tokens)).result()


def _tokens(size: Size) -> int:
    n, q = size
    return n + (n + 1) * q


@torch.inference_mode()
def _peaks(settings: RaceSettings, method: Method, sizes: Sequence[Size]) -> dict[Size, int]:
    bench_model = load_bench_model(settings)
    run = method.prepare(bench_model)
    run(bench_model.prompt(*WARM_UP))
    device, peaks = bench_model.model.device, {}
    loaded = _used(device)
    for size in sizes:
        prompt = bench_model.prompt(*size).longest(BATCH)
        _forget_peak(device)
        run(prompt)
        peaks[size] = max(0, _most_used(device) - loaded)
    return peaks


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        _RESET.write_text("5")


def _used(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else resident_bytes("now") or 0


def _most_used(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else resident_bytes("peak") or 0
