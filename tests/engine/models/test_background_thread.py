"""Work in a thread: its progress comes in order, its error comes too, and it ends when nobody waits."""

from threading import Event as Flag

import pytest
import torch

from icltui.api.messages import Progress, QueryWritten
from icltui.engine.models import background_thread
from icltui.engine.models.background_thread import Cancelled, run_in_background, stream_in_background
from tests.engine.generators import run_to_end


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """However slow the machine, nothing is said twice unless a test wants it."""
    monkeypatch.setattr(background_thread, "HEARTBEAT", 60.0)


def at(done: int) -> Progress:
    return Progress(stage="work", done=done, total=3)


def test_progress_comes_in_order_and_the_result_is_returned():
    def work(on_progress):
        for done in range(3):
            on_progress("work", done, 3)
        return "made"

    assert run_to_end(run_in_background(work)) == ([at(0), at(1), at(2)], "made")


def test_an_error_is_raised_where_somebody_waits():
    def work(on_progress):
        on_progress("work", 0, 3)
        raise KeyError("lost")

    events = run_in_background(work)
    assert next(events) == at(0)
    with pytest.raises(KeyError, match="lost"):
        next(events)


def test_work_is_outside_of_inference_mode():
    """What is made under it could never be differentiated."""
    with torch.inference_mode():
        _, tensor = run_to_end(run_in_background(lambda _on_progress: torch.ones(2)))
    assert not tensor.is_inference()


def test_silence_is_filled_so_that_the_listener_may_stop(monkeypatch):
    monkeypatch.setattr(background_thread, "HEARTBEAT", 0.01)
    go_on = Flag()

    def work(on_progress):
        on_progress("work", 1, 3)
        go_on.wait(10)

    events = run_in_background(work)
    assert [next(events), next(events), next(events)] == [at(1)] * 3
    go_on.set()
    assert run_to_end(events)[1] is None


def test_events_of_the_work_come_among_its_progress_and_are_never_repeated(monkeypatch):
    monkeypatch.setattr(background_thread, "HEARTBEAT", 0.01)
    go_on, written = Flag(), QueryWritten(query="q", done=1, total=2)

    def work(on_progress, send):
        on_progress("work", 1, 3)
        send(written)
        go_on.wait(10)
        return "made"

    events = stream_in_background(work)
    assert [next(events), next(events), next(events)] == [at(1), written, at(1)]
    go_on.set()
    rest, result = run_to_end(events)
    assert result == "made"
    assert set(rest) <= {at(1)}


def test_cancelled_work_ends_before_the_next_begins():
    ended, may_go_on = Flag(), Flag()

    def first(on_progress):
        on_progress("work", 0, 3)
        may_go_on.wait(10)
        try:
            on_progress("work", 1, 3)
        except Cancelled:
            ended.set()
            raise

    events = run_in_background(first)
    next(events)
    events.close()
    second = run_in_background(lambda _on_progress: ended.is_set())
    may_go_on.set()
    assert run_to_end(second)[1]
