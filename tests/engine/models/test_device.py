"""Words for devices and dtypes, and how much memory is free."""

import pytest
import torch

from icltui.engine.models import device
from icltui.engine.models.device import free_bytes, pick_device, pick_dtype
from icltui.values.errors import BadInput


def test_devices_and_dtypes_that_do_not_exist():
    for text in ("gpu", "meta", "cuda:99"):
        with pytest.raises(BadInput, match="not to be had"):
            pick_device(text)
    with pytest.raises(BadInput, match="not known"):
        pick_dtype("float8")
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_dtype("auto") == "auto"


def test_memory_is_what_linux_says_is_available(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable:    70 kB\n")
    assert free_bytes(torch.device("cpu")) == 70 * 1024


def test_memory_elsewhere_is_counted_or_not_known(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "_MEMINFO", tmp_path / "none")
    monkeypatch.setattr(device.os, "sysconf", {"SC_AVPHYS_PAGES": 3, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert free_bytes(torch.device("cpu")) == 3 * 4096

    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(device.os, "sysconf", unknown)
    assert free_bytes(torch.device("cpu")) is None
    assert free_bytes(torch.device("cpu"), "auto") is None


def test_a_device_map_counts_every_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _gpu: (1000, 5000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _gpu: 300)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _gpu: 100)
    monkeypatch.setattr(device, "_free_ram", lambda: 50)
    assert free_bytes(torch.device("cuda"), "balanced") == 2 * 1200 + 50
    assert free_bytes(torch.device("cuda", 1)) == 1200
