"""The benchmark of the start: what is read twice is counted twice, and its parts make up the whole."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from icltui.bench.start import StartResults, StartSettings, time_start
from icltui.bench.start_parts import Part
from icltui.bench.start_table import start_table
from icltui.bench.tensor_reads import TensorReads
from icltui.values.errors import BadInput, EngineError, ModelError


def test_a_tensor_counts_as_often_as_it_is_taken_out(tmp_path, monkeypatch):
    file = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((4, 8), np.float32), "b": np.zeros(3, np.float32)}, file)
    reader = SimpleNamespace(safe_open=safe_open, __name__="reader")
    monkeypatch.setitem(sys.modules, "reader", reader)
    with TensorReads() as reads, reader.safe_open(file, framework="np") as opened:
        assert sorted(opened.keys()) == ["a", "b"]
        part = opened.get_slice("a")
        assert (part.get_shape(), reads.n_bytes_taken) == ([4, 8], 0), "a header is no tensor"
        assert part[1:3].shape == (2, 8)
        assert reads.n_bytes_taken == 64
        opened.get_tensor("b"), opened.get_tensor("b")
    assert (reads.n_bytes_taken, reads.n_bytes_in_files) == (64 + 24, file.stat().st_size)
    assert reader.safe_open is safe_open


def test_a_program_that_fails_is_told_with_its_last_line(monkeypatch):
    failing = [sys.executable, "-c", "raise SystemExit('first\\nwhy it fails')"]
    monkeypatch.setattr(StartSettings, "commands", (failing, failing, failing))
    with pytest.raises(EngineError, match="failed with 1: why it fails"):
        time_start(StartSettings(), lambda *_: None)


@pytest.mark.parametrize("kind", [BadInput, ModelError])
def test_what_the_command_refuses_is_refused_in_its_words(kind, monkeypatch):
    failing = [
        sys.executable,
        "-c",
        f"import sys; print('icltui: no model', file=sys.stderr); sys.exit({kind.exit_code})",
    ]
    monkeypatch.setattr(StartSettings, "commands", (failing, failing, failing))
    with pytest.raises(kind, match=r"^no model$"):
        time_start(StartSettings(), lambda *_: None)


def test_the_table_has_each_part_and_the_ratio_to_torch():
    parts = (Part("torch", 1.0, 2.0), Part("proving", 0.5, 0.25, 9))
    results = StartResults(
        StartSettings(repeat=3), Part("whole", 0.8, 1.0), Part("whole", 2.0, 1.5), parts, 1.0
    )
    text = start_table(results, 100)
    lines = [line.split() for line in text.splitlines()]
    assert ["importing", "torch", "alone", "0.8", "1", "·"] in lines
    assert ["icltui", "measure", "2", "1.5", "·"] in lines
    assert ["proving", "0.5", "0.25", "9"] in lines
    assert "2.50 times the CPU time of importing torch, 1.50 times by the clock" in " ".join(text.split())


@pytest.mark.soak
def test_all_of_it_once():
    """Weights are read once, each check makes its passes, and the parts are those of the command."""
    results = time_start(StartSettings(repeat=1), lambda *_: None)
    passes = {part.name: part.n_passes for part in results.parts if part.n_passes}
    assert passes == {
        "trying its cache": 5,
        "proving the patch on it": 9,
        "trying the packed pass on it": 8,
    }
    assert results.n_times_taken == pytest.approx(1.0, abs=0.01)
    assert [part.name for part in results.parts][-3:] == ["measuring", "report", "beginning and end"]
    assert all(part.cpu >= 0 for part in results.parts)
    assert sum(part.cpu for part in results.parts) == pytest.approx(results.whole.cpu, rel=0.5)
    assert start_table(results, 100)
