"""The child's side, in this process, over pipes."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread
from typing import BinaryIO

import pytest

from icltui import __version__
from icltui.api import messages
from icltui.values.errors import ModelError
from icltui.worker.protocol import (
    PROTOCOL,
    Cancel,
    ClientMessage,
    Happened,
    Hello,
    Submit,
    decode_server_message,
    encode,
)
from icltui.worker.server import MakeEngine, job_failure, serve
from tests.waiting import PATIENCE
from tests.worker.scripted import ScriptedEngine, prompt, step


class Peer:
    """The parent's ends of the pipes, and what the child would have left with."""

    def __init__(self, orders: BinaryIO, reports: BinaryIO) -> None:
        self.orders, self.reports = orders, reports
        self.left = Flag()
        self.code: int | None = None

    def leave(self, code: int) -> None:
        self.code = code if self.code is None else self.code
        self.left.set()

    def say(self, *orders: ClientMessage) -> None:
        self.orders.write(b"".join(map(encode, orders)))
        self.orders.flush()

    def ask(self, job: int, act: str) -> None:
        self.say(Submit(job, messages.Measure(prompt=prompt(act))))

    def hear(self) -> Happened:
        report = decode_server_message(self.reports.readline())
        assert isinstance(report, Happened)
        return report

    def hear_job(self, job: int) -> list[messages.Event]:
        events: list[messages.Event] = []
        while not (events and isinstance(events[-1], messages.JOB_OVER)):
            report = self.hear()
            assert report.job == job
            events.append(report.event)
        return events


@contextmanager
def serving(make_engine: MakeEngine = ScriptedEngine) -> Iterator[Peer]:
    (child_in, parent_out), (parent_in, child_out) = os.pipe(), os.pipe()
    with os.fdopen(parent_out, "wb") as orders, os.fdopen(parent_in, "rb") as reports:
        peer = Peer(orders, reports)
        stdin, stdout = os.fdopen(child_in, "rb"), os.fdopen(child_out, "wb")
        thread = Thread(target=serve, args=(make_engine, stdin, stdout, peer.leave), daemon=True)
        thread.start()
        yield peer


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving() as peer:
        assert decode_server_message(peer.reports.readline()) == Hello(PROTOCOL, __version__)
        yield peer


def test_the_greeting_does_not_wait_for_the_engine() -> None:
    imported = Flag()

    def slow() -> ScriptedEngine:
        imported.wait(PATIENCE)
        return ScriptedEngine()

    with serving(slow) as peer:
        assert decode_server_message(peer.reports.readline()) == Hello(PROTOCOL, __version__)
        peer.ask(1, "three steps")
        imported.set()
        assert peer.hear_job(1)[-1] == messages.JobEnded()


def test_jobs_run_in_order_and_each_ends_once(peer: Peer) -> None:
    for job in (1, 2, 3):
        peer.ask(job, "three steps")
    for job in (1, 2, 3):
        assert peer.hear_job(job) == [step(1), step(2), step(3), messages.JobEnded()]


def test_the_running_job_stops_when_asked(peer: Peer) -> None:
    peer.ask(1, "until stopped")
    assert peer.hear() == Happened(1, step())
    peer.say(Cancel(1))
    assert peer.hear_job(1) == [step(2), messages.JobCancelled()]
    peer.ask(2, "until stopped")
    assert peer.hear() == Happened(2, step())  # the wish to stop was job 1's alone
    peer.say(Cancel(2))
    assert peer.hear_job(2)[-1] == messages.JobCancelled()


def test_a_waiting_job_is_cancelled_at_once(peer: Peer) -> None:
    peer.ask(1, "until stopped")
    assert peer.hear() == Happened(1, step())
    peer.ask(2, "three steps")
    peer.ask(3, "three steps")
    peer.say(Cancel(2))
    assert peer.hear() == Happened(2, messages.JobCancelled())
    peer.say(Cancel(1))
    assert peer.hear_job(1)[-1] == messages.JobCancelled()
    assert peer.hear_job(3)[-1] == messages.JobEnded()


def test_cancelling_what_is_over_or_unknown_does_nothing(peer: Peer) -> None:
    peer.ask(1, "three steps")
    peer.hear_job(1)
    peer.say(Cancel(1), Cancel(99))
    peer.ask(2, "three steps")
    assert peer.hear_job(2)[-1] == messages.JobEnded()


def test_a_refusal_names_its_class_and_the_next_job_runs(peer: Peer) -> None:
    peer.ask(1, "refuse")
    refusal = messages.JobFailed(kind="BadInput", message="query is empty: type one", exit_code=2)
    assert peer.hear_job(1) == [refusal]
    peer.ask(2, "three steps")
    assert peer.hear_job(2)[-1] == messages.JobEnded()


def test_a_bug_is_one_line_with_its_traceback_in_the_log(
    peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.ask(1, "crash")
    *before, last = peer.hear_job(1)
    assert before == [step()]
    message = "ValueError: first line second line (details in the log)"
    assert last == messages.JobFailed(kind="EngineError", message=message)
    assert "Traceback" in capsys.readouterr().err
    peer.ask(2, "leave python")
    assert isinstance(peer.hear_job(2)[-1], messages.JobFailed)
    peer.ask(3, "half character")
    assert isinstance(peer.hear_job(3)[-1], messages.JobFailed)
    peer.ask(4, "three steps")
    assert peer.hear_job(4)[-1] == messages.JobEnded()


def test_half_a_character_in_what_is_wrong_is_written_out(peer: Peer) -> None:
    peer.ask(1, "refuse half a character")
    assert peer.hear_job(1) == [
        messages.JobFailed(kind="BadInput", message=r"the model says \ud800", exit_code=2)
    ]
    peer.ask(2, "crash over half a character")
    (last,) = peer.hear_job(2)
    assert isinstance(last, messages.JobFailed)
    assert last.message == r"ValueError: \udfff (details in the log)"


def test_out_of_memory_says_what_to_do(peer: Peer) -> None:
    peer.ask(1, "fill memory")
    (last,) = peer.hear_job(1)
    assert isinstance(last, messages.JobFailed)
    assert "shorten the context" in last.message
    assert job_failure(MemoryError()) == last


def test_a_lost_device_ends_the_process_after_its_job_was_told(peer: Peer) -> None:
    peer.ask(1, "lose device")
    (last,) = peer.hear_job(1)
    assert isinstance(last, messages.JobFailed)
    assert "device-side assert" in last.message
    assert peer.left.wait(PATIENCE)
    assert peer.code == 1


def test_subclasses_made_elsewhere_are_told_as_the_tree_knows_them() -> None:
    class UnloadableError(ModelError):
        pass

    assert job_failure(UnloadableError("no")) == messages.JobFailed(
        kind="ModelError", message="no", exit_code=3
    )


def test_a_line_not_understood_fails_its_job_and_no_other(
    peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.orders.write(b'garbage\n{"say":"Submit","job":7,"request":{"type":"Fly"}}\n')
    peer.ask(8, "three steps")
    (last,) = peer.hear_job(7)
    assert isinstance(last, messages.JobFailed)
    assert "Fly" in last.message
    assert peer.hear_job(8)[-1] == messages.JobEnded()
    assert "garbage" in capsys.readouterr().err


@pytest.mark.parametrize("act", ["deaf", None])
def test_the_end_of_the_input_ends_the_process_even_in_a_job(peer: Peer, act: str | None) -> None:
    if act:
        peer.ask(1, act)
        assert peer.hear() == Happened(1, step())
    peer.orders.close()
    assert peer.left.wait(PATIENCE)
    assert peer.code == 0


def test_it_ends_quietly_when_nobody_reads(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as peer:
        peer.reports.close()
        peer.ask(1, "three steps")
        assert peer.left.wait(PATIENCE)
        assert peer.code == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("error", "code"), [(ModelError("no weights"), 3), (ImportError("torch"), 1)])
def test_an_engine_that_cannot_be_made_ends_the_process(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> ScriptedEngine:
        raise error

    make: Callable[[], ScriptedEngine] = fail
    with serving(make) as peer:
        assert peer.left.wait(PATIENCE)
    assert peer.code == code
    assert str(error) in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="only Linux has it")
@pytest.mark.parametrize("length", [10, 100_000, 900_000])
def test_a_message_leaves_whole_though_nobody_reads_yet(length: int) -> None:
    """Whoever else writes to the same pipe writes between messages: a full one would let its line into them."""
    ours, its = os.pipe()
    source = (
        "from icltui.worker.redirect_output import claim_stdio; _, wire = claim_stdio()\n"
        f"wire.write(b'x' * {length} + b'\\n'); wire.flush()"
    )
    with os.fdopen(ours, "rb") as read, os.fdopen(its, "wb") as written:
        program = [sys.executable, "-c", source]
        subprocess.run(program, stdin=subprocess.DEVNULL, stdout=written, check=True, timeout=60)
        written.close()
        assert len(read.read()) == length + 1
