"""The child: orders enter on one stream, the events of one job after another leave on the other.

The calling thread runs the jobs in order; a second one reads the orders, so that a cancel is heard at once
and the end of the input, which means that the parent is gone, ends the process even in the middle of a job.
"""

import faulthandler
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from threading import Lock, Thread
from typing import BinaryIO

from icltui import __version__
from icltui.api.messages import Engine, Event, JobCancelled, JobEnded, JobFailed
from icltui.values import errors
from icltui.values.errors import EngineError, IcltuiError, panicked
from icltui.worker.job_queue import Desk
from icltui.worker.protocol import (
    LINE_LIMIT,
    PROTOCOL,
    Cancel,
    Happened,
    Hello,
    Report,
    Submit,
    addressed_job,
    decode_order,
    encode,
)
from icltui.worker.redirect_output import take_wire

MakeEngine = Callable[[], Engine]
Leave = Callable[[int], object]

_OUT_OF_MEMORY = "out of memory: shorten the context, choose fewer layers, or load a smaller model or dtype"


def main(make_engine: MakeEngine) -> None:
    """Be the child process: serve on the real stdin and stdout, and let nothing else write there."""
    os.environ.update(TOKENIZERS_PARALLELISM="false", HF_HUB_DISABLE_PROGRESS_BARS="1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    faulthandler.enable()  # a native crash leaves its stack in the log
    stdin, stdout = take_wire()
    serve(lambda: _without_search(make_engine), stdin, stdout)


def _without_search(make_engine: MakeEngine) -> Engine:
    """The engine; what it imports stays for good, so that no garbage is looked for there, then or later."""
    gc.disable()
    try:
        return make_engine()
    finally:
        gc.freeze()
        gc.enable()


def serve(make_engine: MakeEngine, stdin: BinaryIO, stdout: BinaryIO, leave: Leave = os._exit) -> None:
    """Say hello, make the engine, and do its jobs until the input ends or nobody reads the output.

    Args:
        make_engine: called after the greeting, as its imports take seconds.
        leave: ends the process with an exit code at once, from any thread.
    """
    Server(stdin, stdout, leave).run(make_engine)


class Server:
    """One engine at the service of one pair of streams."""

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO, leave: Leave) -> None:
        self._stdin, self._stdout, self._leave = stdin, stdout, leave
        self._desk = Desk()
        self._writing = Lock()

    def run(self, make_engine: MakeEngine) -> None:
        """Serve until :attr:`_leave` is called; return if it does."""
        self._say(Hello(PROTOCOL, __version__))
        Thread(target=self._read_orders, name="orders", daemon=True).start()
        try:
            engine = make_engine()
        except Exception as error:  # noqa: BLE001 (logged; without an engine there is no process)
            _log(error)
            self._leave(error.exit_code if isinstance(error, IcltuiError) else 1)
            return
        while (order := self._desk.take()) is not None:
            self._do(engine, order)

    def _do(self, engine: Engine, order: Submit) -> None:
        try:
            for event in engine.run(order.request, self._desk.should_stop):
                self._tell(order.job, event)
            last: Event = JobCancelled() if self._desk.was_heard() else JobEnded()
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 (told, and logged if it is no refusal)
            last = failure(error)
            if not isinstance(error, IcltuiError):
                _log(error)
        self._tell(order.job, last)
        if isinstance(last, JobFailed) and "CUDA error" in last.message:
            self._leave(1)  # the device's context is lost for good: only a new process gets another

    def _read_orders(self) -> None:
        while line := self._stdin.readline(LINE_LIMIT):
            try:
                self._heed(decode_order(line))
            except EngineError as error:
                print(error, file=sys.stderr, flush=True)  # noqa: T201 (stderr is the log)
                if (job := addressed_job(line)) is not None:
                    self._tell(job, failure(error))
        self._desk.close()
        self._leave(0)

    def _heed(self, order: Submit | Cancel) -> None:
        if isinstance(order, Submit):
            self._desk.put(order)
        elif self._desk.cancel(order.job):
            self._tell(order.job, JobCancelled())

    def _tell(self, job: int, event: Event) -> None:
        self._say(Happened(job, event))

    def _say(self, report: Report) -> None:
        line = encode(report)
        try:
            with self._writing:
                self._stdout.write(line)
                self._stdout.flush()
        except OSError:
            self._leave(0)  # nobody reads any more


def failure(error: BaseException) -> JobFailed:
    """What the parent is told of an error, in one line."""
    error = panicked(error) or error
    if isinstance(error, IcltuiError):
        kind = next(c.__name__ for c in type(error).__mro__ if c.__module__ == errors.__name__)
        return JobFailed(kind=kind, message=_sendable(str(error)), exit_code=error.exit_code)
    text = " ".join(str(error).split())[:500]
    if type(error).__name__ in ("MemoryError", "OutOfMemoryError") or "can't allocate memory" in text:
        return JobFailed(kind="EngineError", message=_OUT_OF_MEMORY)
    return JobFailed(
        kind="EngineError", message=_sendable(f"{type(error).__name__}: {text} (details in the log)")
    )


def _sendable(text: str) -> str:
    """The text with halves of characters, which no message may hold, written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _log(error: BaseException) -> None:
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.flush()
