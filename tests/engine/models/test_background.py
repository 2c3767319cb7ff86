"""Work in a thread: what it tells comes in order, its error comes too, and it ends when nobody waits."""

from threading import Event as Flag

import pytest
import torch

from icltui.api.messages import Progress
from icltui.engine.models import background
from icltui.engine.models.background import GivenUp, run_errand


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """However slow the machine, nothing is said twice unless a test wants it."""
    monkeypatch.setattr(background, "HEARTBEAT", 60.0)


def at(done: int) -> Progress:
    return Progress(stage="work", done=done, total=3)


def test_what_is_told_comes_in_order_and_the_result_last():
    def work(tell):
        for done in range(3):
            tell(at(done))
        return "made"

    assert list(run_errand(work)) == [at(0), at(1), at(2), "made"]


def test_an_error_is_raised_where_somebody_waits():
    def work(tell):
        tell(at(0))
        raise KeyError("lost")

    events = run_errand(work)
    assert next(events) == at(0)
    with pytest.raises(KeyError, match="lost"):
        next(events)


def test_work_is_outside_of_inference_mode():
    """What is made under it could never be differentiated."""
    with torch.inference_mode():
        (tensor,) = run_errand(lambda _tell: torch.ones(2))
    assert not tensor.is_inference()


def test_silence_is_filled_so_that_the_listener_may_stop(monkeypatch):
    monkeypatch.setattr(background, "HEARTBEAT", 0.01)
    go_on = Flag()

    def work(tell):
        tell(at(1))
        go_on.wait(10)

    events = run_errand(work)
    assert [next(events), next(events), next(events)] == [at(1)] * 3
    go_on.set()
    assert list(events)[-1] is None


def test_work_that_was_given_up_ends_before_the_next_begins():
    ended, may_go_on = Flag(), Flag()

    def first(tell):
        tell(at(0))
        may_go_on.wait(10)
        try:
            tell(at(1))
        except GivenUp:
            ended.set()
            raise

    events = run_errand(first)
    next(events)
    events.close()
    second = run_errand(lambda _tell: ended.is_set())
    may_go_on.set()
    assert list(second) == [True]
