"""Words for devices and dtypes, and how much memory is free."""

import sys

import psutil
import pytest
import torch

from icltui.engine.local import LocalEngine
from icltui.engine.models import device
from icltui.engine.models.device import free_bytes, pick_device, pick_dtype
from icltui.values.errors import BadInput


def test_devices_and_dtypes_that_do_not_exist():
    for text in ("gpu", "meta", "cuda:99"):
        with pytest.raises(BadInput, match="not available"):
            pick_device(text)
    with pytest.raises(BadInput, match="not known"):
        pick_dtype("float8")
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_dtype("auto") == "auto"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="writes a /proc/meminfo")
def test_memory_is_what_linux_says_is_available(tmp_path, monkeypatch):
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    sizes = {
        "MemTotal": 100,
        "MemFree": 10,
        "MemAvailable": 70,
        "Buffers": 1,
        "Cached": 5,
        "Shmem": 1,
        "Active": 1,
    }
    lines = [f"{name}:    {size} kB\n" for name, size in (sizes | {"Inactive": 1}).items()]
    (tmp_path / "meminfo").write_text("".join(lines))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert free_bytes(torch.device("cpu")) == 70 * 1024
    assert free_bytes(torch.device("cpu"), "auto") == 70 * 1024


def test_a_device_map_counts_every_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _gpu: (1000, 5000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _gpu: 300)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _gpu: 100)
    monkeypatch.setattr(device, "_free_ram", lambda: 50)
    assert free_bytes(torch.device("cuda"), "balanced") == 2 * 1200 + 50
    assert free_bytes(torch.device("cuda", 1)) == 1200


@pytest.mark.parametrize("asks", ["old", "new"])
def test_float32_is_float32_whatever_the_environment_asks_for(asks):
    """Containers ask for TensorFloat-32; torch has an older way to say so and a newer one, and may mix them."""
    try:
        if asks == "old":
            torch.backends.cuda.matmul.allow_tf32 = True
        else:
            torch.backends.cuda.matmul.fp32_precision = "tf32"
        LocalEngine()
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.set_float32_matmul_precision("highest")
