"""A command that is interrupted: SIGTERM ends it as Ctrl-C does, and work in other threads ends before the process.

A thread that is inside a native library while the interpreter goes would abort the process.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

BACKGROUND, WHEN_IDLE = "background", "when idle"
"""Names of threads that compute, and of those that tidy up after them."""
SECONDS = 5.0
"""That work may take to its next report, where it learns that nobody listens any more."""


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Within, SIGTERM raises KeyboardInterrupt, so that what is half-written goes; ignored, it stays ignored."""
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end_background(exit_code: int) -> None:
    """Wait for the threads that compute; where one goes on, end the process at once."""
    end = time.monotonic() + SECONDS
    try:
        while working := [thread for thread in threading.enumerate() if _works(thread)]:
            if time.monotonic() > end:
                _leave(exit_code)
            working[0].join(0.1)
    except KeyboardInterrupt:  # once more: no patience
        _leave(exit_code)


def _works(thread: threading.Thread) -> bool:
    return thread.name in (BACKGROUND, WHEN_IDLE)


def _interrupt(*_signal: object) -> NoReturn:
    raise KeyboardInterrupt


def _leave(exit_code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(exit_code)
