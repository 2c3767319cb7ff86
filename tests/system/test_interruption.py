"""An interrupted command ends with its code, and its work in other threads before it."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from icltui.api.progress_callback import ProgressCallback
from icltui.cli import main as module
from icltui.engine.models.background_thread import run_in_background
from icltui.system import interruption

ENDLESS = """
import sys, threading, time
from icltui.cli import main as module
from icltui.system import interruption

def interrupted(_args):
    threading.Thread(target=time.sleep, args=[60], name=interruption.BACKGROUND, daemon=True).start()
    print("said before", end="")
    raise KeyboardInterrupt

interruption.SECONDS = 0.2
module.COMMANDS["measure"] = interrupted
sys.exit(module.main(["measure", "-q", "b"]))
"""


def command(monkeypatch: pytest.MonkeyPatch, run) -> int:
    monkeypatch.setitem(module.COMMANDS, "measure", run)
    return module.main(["measure", "-q", "b"])


def test_work_in_a_thread_ends_before_the_command_does(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def work(on_progress: ProgressCallback) -> None:
        try:
            while True:
                on_progress("working")
                time.sleep(0.3)  # in a native library, where nothing interrupts it
        finally:
            ended.set()

    def interrupted(_args: object) -> int:
        for _ in run_in_background(work):
            raise KeyboardInterrupt
        return 0

    assert command(monkeypatch, interrupted) == 130
    assert ended.is_set()
    assert not [t for t in threading.enumerate() if t.name == interruption.BACKGROUND]


def test_work_that_does_not_end_is_left_behind() -> None:
    ran = subprocess.run([sys.executable, "-c", ENDLESS], capture_output=True, text=True, timeout=100)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "said before", "")


def test_sigterm_ends_a_command_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    tidied = []

    def stopped(_args: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            tidied.append(True)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    assert command(monkeypatch, stopped) == 130
    assert tidied
    assert signal.getsignal(signal.SIGTERM) == before


def test_sigterm_that_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_args: object) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert command(monkeypatch, stopped) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
