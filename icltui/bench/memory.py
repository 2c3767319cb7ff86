"""The most memory that a way needs beside the loaded model, at each size.

Enters: settings, a way, sizes. Leaves: bytes. The work is done in a fresh process, whose allocator holds nothing yet;
sizes come in ascending order, so that what it keeps of one is part of what the next one takes.
"""

import multiprocessing
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from icltui.bench.contenders import BATCH, Way
from icltui.bench.workload import WARM_UP, Settings, Size, make_subject
from icltui.engine.models.device import pick_device
from icltui.system.child_process import guard_children

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(settings: Settings, way: Way, sizes: Sequence[Size]) -> dict[Size, int]:
    """Bytes at each size; empty where the system does not tell.

    Ways that run one prefix after the other are measured on the longest prefixes, which need the most.
    """
    if pick_device(settings.device).type != "cuda" and not _RESET.exists():
        return {}
    guard_children()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_peaks, settings, way, sorted(sizes, key=_tokens)).result()


def _tokens(size: Size) -> int:
    n, q = size
    return n + (n + 1) * q


@torch.inference_mode()
def _peaks(settings: Settings, way: Way, sizes: Sequence[Size]) -> dict[Size, int]:
    subject = make_subject(settings)
    run = way.prepare(subject)
    run(subject.task(*WARM_UP))
    device, peaks = subject.model.device, {}
    loaded = _used(device)
    for size in sizes:
        task = subject.task(*size).longest(BATCH)
        _forget_peak(device)
        run(task)
        peaks[size] = max(0, _most_used(device) - loaded)
    return peaks


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        _RESET.write_text("5")  # the highest mark begins anew, see proc(5)


def _used(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _resident("VmRSS")


def _most_used(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident("VmHWM")


def _resident(what: str) -> int:
    found = re.search(rf"^{what}:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
