"""The parent's side over a line that is slow, says other things first, is lost, or freezes."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from icltui.api import messages
from icltui.worker import handshake
from tests.waiting import PATIENCE
from tests.worker.scripted import step
from tests.worker.slow_pipe import LOST
from tests.worker.test_client import ENGINE, HELLO, HERE, Heard, Make, ask, gone, make, program

__all__ = ["make"]

DELAY = 0.2
"""Seconds each way."""
SLOW = (sys.executable, str(HERE / "slow_pipe.py"), str(DELAY), *ENGINE)


async def test_a_slow_line_delays_the_answer_and_nothing_else(make: Make) -> None:
    engine, heard = make(*SLOW), Heard()
    await engine.start(heard)
    await heard.until(lambda: heard.of(0))
    loop, began = asyncio.get_running_loop(), time.monotonic()
    lags = []
    for act in ("three steps", "until stopped", "three steps"):
        before = loop.time()
        ask(engine, act)
        lags.append(loop.time() - before)
    await heard.over(1)
    assert time.monotonic() - began >= 2 * DELAY
    engine.cancel(2)
    await heard.over(3)
    assert heard.of(1) == [step(1), step(2), step(3), messages.JobEnded()]
    assert heard.of(2) == [step(1), step(2), messages.JobCancelled()]
    assert sorted(lags)[1] < DELAY, "asking must not wait for the line; once the machine may"


async def test_a_line_that_is_cut_fails_its_jobs_and_is_made_anew(make: Make) -> None:
    engine, heard = make(*SLOW), Heard()
    await engine.start(heard)
    job = ask(engine, "until stopped")
    await heard.until(lambda: heard.of(job))
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGUSR1)
    died = await heard.died()
    assert died.message == f"the engine ended with exit code 255: {LOST}"
    assert died.log_tail == (LOST,)
    assert heard.of(job) == [step(1), messages.JobFailed(kind="EngineError", message=died.message)]
    again = Heard()
    await engine.start(again)
    assert await again.over(ask(engine, "three steps")) == messages.JobEnded()


async def test_a_frozen_line_is_ended_by_kill(make: Make) -> None:
    engine, heard = make(*SLOW), Heard()
    await engine.start(heard)
    job = ask(engine, "until stopped")
    await heard.until(lambda: heard.of(job))
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    engine.cancel(job)
    async with asyncio.timeout(PATIENCE):
        await engine.kill()
    await gone(pid)
    assert heard.all[-1] == (0, messages.EngineDied(message="the engine was stopped"))


async def test_a_frozen_line_does_not_hold_up_the_way_out(make: Make) -> None:
    engine, heard = make(*SLOW), Heard()
    await engine.start(heard)
    await heard.until(lambda: heard.of(0))
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE):
        await engine.close()
    await gone(pid)


@pytest.mark.parametrize(
    "banner", ["print('Welcome\\n\\nto gpubox!')", r"print('\x1b]0;gpubox\x07', end='')"]
)
async def test_what_a_login_prints_before_the_greeting_is_passed_over(make: Make, banner: str) -> None:
    engine, heard = make(*program(f"import sys; {banner}; {HELLO}; sys.stdin.read()")), Heard()
    await engine.start(heard)
    await heard.until(lambda: heard.of(0))
    assert heard.of(0) == [messages.EngineStarted(version="9")]


async def test_what_was_said_instead_of_a_greeting_is_in_the_tail(make: Make) -> None:
    engine, heard = make(*program("print('Welcome'); print('Account expired')")), Heard()
    await engine.start(heard)
    assert (await heard.died()).log_tail == ("Welcome", "Account expired")


async def test_an_echo_of_what_is_sent_is_told(make: Make) -> None:
    echo = f"import sys; {HELLO}; print(sys.stdin.readline(), flush=True); sys.stdin.read()"
    engine, heard = make(*program(echo)), Heard()
    await engine.start(heard)
    await heard.until(lambda: heard.of(0))
    ask(engine, "three steps")
    assert (await heard.died()).message == (
        "the engine's command echoes what it is sent: is it ssh -t? Use ssh -T"
    )


async def test_silence_is_told_and_waited_for(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(handshake, "SILENCE", 0.5)
    go = tmp_path / "go"
    dial = "import os, sys, time; print('dialing', file=sys.stderr, flush=True)"
    wait = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)"
    engine, heard = make(*program(f"{dial}\n{wait}\n{HELLO}\nsys.stdin.read()")), Heard()
    await engine.start(heard)
    await heard.until(lambda: len(heard.of(0)) >= 2)
    go.touch()
    await heard.until(lambda: isinstance(heard.of(0)[-1], messages.EngineStarted))
    first, *_ = told = heard.of(0)[:-1]
    assert isinstance(first, messages.EngineAwaited)
    assert first.log_tail == ("dialing",)
    assert all(isinstance(event, messages.EngineAwaited) for event in told)


async def test_the_command_has_no_terminal_to_ask_for_a_password_on(make: Make) -> None:
    engine, heard = make(*program(f"import sys; {HELLO}; sys.stdin.read()")), Heard()
    await engine.start(heard)
    await heard.until(lambda: heard.of(0))
    assert engine.pid is not None
    assert os.getsid(engine.pid) == engine.pid


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("root@gpubox: Permission denied (publickey,password).", "use a key or an agent"),
        ("Host key verification failed.", "connect once by hand"),
        ("bash: line 1: icltui: command not found", "give its full path"),
        ("sh: 1: icltui: not found", "give its full path"),
        ("/usr/bin/python3: No module named icltui", "name the python that has it"),
    ],
)
def test_what_ssh_and_shells_say_comes_with_a_way_out(line: str, hint: str) -> None:
    words = handshake.why_no_greeting("ended with exit code 255", [], ["Warning", line])
    assert words.startswith(f"the engine ended with exit code 255 before it answered: {line.rstrip('.')}. ")
    assert hint in words.lower()
