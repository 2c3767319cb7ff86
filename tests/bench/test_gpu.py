"""The benchmark for a GPU, tried on a CPU with a tiny model: its lines come one by one."""

import pytest
import torch

from icltui.bench import gpu
from icltui.bench.gpu import GpuSettings, gpu_lines
from icltui.values.errors import BadInput

TINY = GpuSettings(device="cpu", tiny=True, context_sizes=(12,), repeat=1, decode=1)


def test_each_finding_is_a_line(monkeypatch):
    monkeypatch.setattr(gpu, "GPU", ("Qwen3-0.6B",))
    head, _, *lines = gpu_lines(TINY)
    assert head.startswith("cpu, ")
    for dtype, part in zip(("bfloat16", "float32"), (lines[:3], lines[3:]), strict=True):
        measured, waits, speeds = part
        assert measured.startswith(f"Qwen3-0.6B {dtype}: n = 12, q = 4: ")
        assert "× plain (" in measured
        assert "aten::item" in waits
        assert "compiled, rank 8" in speeds


def test_what_does_not_fit_or_is_too_late_is_said(monkeypatch):
    monkeypatch.setattr(gpu, "free_bytes", lambda _: 2**30)
    lines = list(gpu_lines(GpuSettings(device="cpu")))
    assert len(lines) == 2 + 4
    assert lines[3] == "Llama-8B bfloat16: left out, as it needs 20.4 GB and 1.07 GB are free"
    late = list(gpu_lines(GpuSettings(device="cpu", tiny=True, limit=-1.0)))
    assert all("left out, as -1 s are over" in line for line in late[2:])


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_says_so():
    with pytest.raises(BadInput, match="device 'cuda' is not available on this machine"):
        list(gpu_lines(GpuSettings()))
