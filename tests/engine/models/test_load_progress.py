"""Progress in bytes, from what transformers and the hub tell their bars."""

from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace

import pytest
from transformers.utils import logging

from icltui.api.progress_callback import ignore_progress
from icltui.engine.models.load_progress import INTERVAL, LoadProgress


@dataclass
class MadeOf:
    """What transformers hands to its bar beside each name."""

    layer_targets: dict[str, set[str]]


@dataclass
class Reported:
    """Every call of ``on_progress``."""

    stages: set[str] = field(default_factory=set)
    steps: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, stage, done=0, total=0):
        self.stages.add(stage)
        self.steps.append((done, total))


WEIGHTS = [
    ("q", MadeOf({"q": {"a"}})),
    ("experts", MadeOf({"experts": {"b", "c"}})),
    ("tied", MadeOf({"tied": {"unknown"}})),
]
SIZES = {"a": 10, "b": 20, "c": 30, "left out": 40}


@pytest.fixture
def clock():
    """Every look at it takes as long as two events must be apart."""
    ticks = iter(range(1000))
    return lambda: next(ticks) * INTERVAL


def test_weights_are_counted_by_what_they_are_made_of(clock):
    reported = Reported()
    with LoadProgress("m", SIZES, reported, clock).counting_weights():
        assert list(logging.tqdm(WEIGHTS, desc="Loading weights")) == WEIGHTS
        assert list(logging.tqdm([1], desc="Writing")) == [1]
    assert reported.steps == [(10, 100), (60, 100), (60, 100), (100, 100)]
    assert reported.stages == {"loading m"}


def test_no_more_than_eight_a_second_but_always_the_end():
    reported = Reported()
    with LoadProgress("m", SIZES, reported, clock=lambda: 0.0).counting_weights():
        list(logging.tqdm(WEIGHTS, desc="Loading weights"))
    assert reported.steps == [(10, 100), (100, 100)]


def test_the_hook_that_was_there_is_put_back():
    seen = []

    def theirs(factory, args, kwargs):
        seen.append(kwargs["desc"])
        return factory(*args, **kwargs)

    def read_and_fail():
        with LoadProgress("m", {}, ignore_progress).counting_weights():
            list(logging.tqdm([], desc="Loading weights"))
            raise RuntimeError("cut off")

    before = logging.set_tqdm_hook(theirs)
    try:
        with pytest.raises(RuntimeError, match="cut off"):
            read_and_fail()
        assert logging.set_tqdm_hook(theirs) is theirs
        assert seen == ["Loading weights"]
    finally:
        logging.set_tqdm_hook(before)


def test_downloads_are_told_and_write_nothing(capsys):
    reported = Reported()
    bar = LoadProgress("m", {}, reported).download_bar()
    with bar(total=0, unit="B", unit_scale=True, desc="Reconstructing") as files:
        files.total = 100
        files.refresh()
        files.update(60)
        files.refresh()
    with bar(total=3, desc="Fetching 3 files") as count, bar(unit="B", desc="Downloading bytes") as wire:
        count.update(1)
        wire.update(10)
    assert reported.steps
    assert reported.stages == {"downloading m"}
    assert {total for _, total in reported.steps} <= {0, 100}
    assert capsys.readouterr() == ("", "")


def test_the_tensors_of_a_gguf_are_counted_as_they_are_unpacked():
    told, seconds = Reported(), count(0.0, 1.0)
    progress = LoadProgress("m", {"a": 3, "b": 4}, told, clock=lambda: next(seconds))
    tensors = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]
    assert list(progress.count_tensors(tensors, desc="a bar's title")) == tensors
    assert told.steps == [(3, 7), (7, 7)]
