"""The screen's benchmark: what it sees in the bytes, and all of it once with tiny counts."""

import re
import sys

import pytest

from icltui.api.messages import Measure, MeasureEnded, PromptTokenized, UnitsMeasured
from icltui.bench import screen
from icltui.bench.fake_engine import FakeEngine
from icltui.bench.key_cost import CostKind, KeyCosts, key_costs
from icltui.bench.key_latency import n_streamed, painted_at, waits_for
from icltui.bench.pseudo_terminal import OutputChunk, PseudoTerminal
from icltui.bench.screen import ScreenSettings, Traffic, measure_screen
from icltui.bench.screen_table import percentile, screen_table
from icltui.cli import bench
from icltui.values.errors import EngineError
from icltui.values.prompt import Prompt


def said(*texts: str) -> list[OutputChunk]:
    """A chunk each second, every text at the start of the second line."""
    return [OutputChunk(float(at), f"\x1b[2;1H{text}".encode()) for at, text in enumerate(texts)]


def first_letter(lines: list[str]) -> str:
    return lines[1][0]


def test_a_key_is_answered_by_its_own_effect_and_not_by_another_paint():
    chunks = said("a", "a", "b", "b", "c")
    assert waits_for(chunks, [(0.5, "b"), (2.5, "c")], first_letter) == [1.5, 1.5]


def test_keys_that_one_update_answers_share_it_and_a_lost_one_is_told():
    chunks = said("a", "d")
    assert waits_for(chunks, [(0.1, "b"), (0.2, "c"), (0.3, "d")], first_letter) == [0.9, 0.8, 0.7]
    assert waits_for(chunks, [(0.1, "d"), (0.2, "e")], first_letter) == [0.9, None]
    assert waits_for(chunks, [(1.5, "d")], first_letter) == [None], "painted before it was pressed"


def test_a_paint_counts_when_the_picture_is_what_it_stays():
    assert painted_at(said("a", "b", "b", "b")) == 1.0
    assert painted_at(said("a", "\x1b[31ma", "\x1b[31ma")) == 1.0, "colours too"
    later = OutputChunk(9.0, b"\x1b[1;1Hengine ready")
    assert painted_at([*said("a", "b"), later]) == 1.0, "but for the first line"


def test_percentile():
    values = tuple(float(value) for value in range(1, 201))
    assert percentile(values, 99) == 198.0
    assert percentile((5.0,), 99) == 5.0


def test_the_fake_engine_streams_every_unit_at_every_layer():
    request = Measure(prompt=Prompt(context="a b c d", query="e"))
    first, *chunks, last = FakeEngine(n_layers=3, rate=1e6, n_at_once=2).run(request, lambda: False)
    assert isinstance(first, PromptTokenized)
    assert isinstance(last, MeasureEnded)
    rows = [row for chunk in chunks if isinstance(chunk, UnitsMeasured) for row in chunk.rows]
    assert [(row.unit, row.layer) for row in rows] == [
        (unit, layer) for unit in range(5) for layer in range(3)
    ]
    assert len(chunks) == 4, "two units at once, then one after the other"


def test_a_program_that_ends_is_told_with_what_it_showed(tmp_path):
    terminal = PseudoTerminal([sys.executable, "-c", "print('all I say')"], tmp_path)
    with pytest.raises(EngineError, match="all I say"):
        terminal.until(lambda lines: "more" in lines[0], "more")
    terminal.close()


BUSY = """
import os, time, tty
tty.setraw(0)
while key := os.read(0, 1):
    start = time.process_time()
    while key == b"b" and time.process_time() - start < 0.05:
        pass
    os.write(1, b"x" * 300 if key == b"b" else b"y")
"""
"""A program that computes for 50 ms and writes 300 bytes at each b, and one byte at any other key."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of another process's CPU time")
def test_a_key_costs_what_the_program_computes_and_writes_for_it(tmp_path):
    terminal = PseudoTerminal([sys.executable, "-c", BUSY], tmp_path)
    terminal.press(b"a")
    terminal.settle(0.1)
    costs = key_costs(terminal, CostKind("both", b"a", (b"b", b"c"), b"d"), 4)
    terminal.close()
    assert costs.n_bytes == (300, 1, 300, 1)
    dear, cheap = costs.milliseconds[::2], costs.milliseconds[1::2]
    assert all(50 <= ms < 80 for ms in dear), "what is pressed after it is not counted"
    assert max(cheap) < 20


@pytest.mark.soak
def test_all_of_it_once(monkeypatch):
    for name, value in (("QUIET", 0.3), ("REST", 0.2), ("UPDATES", 30), ("KEY_KINDS", screen.KEY_KINDS[::3])):
        monkeypatch.setattr(screen, name, value)
    monkeypatch.setattr(screen, "COST_KINDS", screen.COST_KINDS[::5])
    monkeypatch.setattr(
        screen.ScreenBench, "keys_while_loading", lambda _: []
    )  # torch would take its seconds
    figures = measure_screen(
        ScreenSettings(starts=1, keys=3, units=250, layers=2, seconds=0.3, costed=2), lambda _: None
    )
    assert figures.n_widgets > 20
    assert 0 < figures.ratio(screen.OURS) < 100
    assert [len(each.milliseconds) + each.n_unanswered for each in figures.key_times] == [3] * 2
    assert all(each.milliseconds for each in figures.key_times)
    assert all(0 < ms < 20_000 for each in figures.key_times for ms in each.milliseconds)
    assert all(0 < ms < 5_000 for each in figures.costs for ms in each.milliseconds)
    assert [each.tab for each in figures.traffic] == ["table", "plots", "heatmap", "text"]
    assert all(0 < each.n_bytes < 100_000 for each in figures.traffic)
    assert figures.has_torch is (False if sys.platform == "linux" else None)
    text = screen_table(figures, 110)
    assert re.search(r"^icltui +\S+ +\S+ +\d+\.\d\d$", text, re.MULTILINE)
    assert "torch: never loaded" in text or sys.platform != "linux"


def test_command_prints_the_table_alone(monkeypatch, capsys):
    paints = {screen.BARE: (100.0,), screen.OURS: (120.0,)}
    traffic = (Traffic("table", 10, 20480, 10),)
    costs = (KeyCosts("zoom z", (90.0, 30.0, 40.0), (9000, 3000, 4000)),)
    figures = screen.ScreenResults(ScreenSettings(), 30, paints, (), costs, traffic, 80_000_000, False)
    monkeypatch.setattr(screen, "measure_screen", lambda _settings, _on_progress: figures)
    assert bench.bench(bench.argparse.Namespace(only="screen")) == 0
    out = capsys.readouterr().out
    assert "1.20" in out
    assert re.search(r"^table +2\.00 +2\.00 +1\.00$", out, re.MULTILINE)
    assert re.search(r"^zoom z +40 +90 +90 +4000 +9000$", out, re.MULTILINE)
    assert "80 MB" in out
    assert n_streamed(["● 1,012 of 1,500 units, 4 s left"]) == 1012
