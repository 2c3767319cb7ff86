"""The child: reads messages from one stream and writes the events of one job after another to the other.

The calling thread runs the jobs in order; what comes before numbers, imports and loads, runs at low priority, since a
user types meanwhile. A second thread reads messages, so that a cancel takes effect at once; the end of the input, which
means that the parent is gone, ends the process even in the middle of a job.
"""

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from threading import Lock, Thread
from typing import BinaryIO

from icltui import __version__
from icltui.api.engine import Engine
from icltui.api.job_error import job_failed
from icltui.api.messages import Event, JobCancelled, JobEnded, JobFailed, LoadModel
from icltui.system.low_priority import at_low_priority
from icltui.values.errors import EngineError, IcltuiError, OutOfMemory, rust_panic_error
from icltui.worker.job_queue import JobQueue
from icltui.worker.protocol import (
    LINE_LIMIT,
    PROTOCOL,
    Cancel,
    Happened,
    Hello,
    ServerMessage,
    Submit,
    decode_client_message,
    encode,
    job_of,
)
from icltui.worker.redirect_output import claim_stdio

MakeEngine = Callable[[], Engine]
Exit = Callable[[int], object]

_OUT_OF_MEMORY = "out of memory: shorten the context, choose fewer layers, or load a smaller model or dtype"


def main(make_engine: MakeEngine) -> None:
    """Serve on the process's stdin and stdout, and let nothing else write there."""
    os.environ.update(TOKENIZERS_PARALLELISM="false", HF_HUB_DISABLE_PROGRESS_BARS="1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    faulthandler.enable()  # a native crash leaves its stack in the log
    stdin, stdout = claim_stdio()
    serve(make_engine, stdin, stdout)


def serve(make_engine: MakeEngine, stdin: BinaryIO, stdout: BinaryIO, exit_process: Exit = os._exit) -> None:
    """Greet, make the engine, and run its jobs until the input ends or the output is closed.

    Args:
        make_engine: called after the greeting, since its imports take seconds.
        exit_process: ends the process with an exit code, at once and from any thread.
    """
    Server(stdin, stdout, exit_process).run(make_engine)


class Server:
    """Serves one engine on one pair of streams."""

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO, exit_process: Exit) -> None:
        self._stdin, self._stdout, self._exit_process = stdin, stdout, exit_process
        self._jobs = JobQueue()
        self._writing = Lock()

    def run(self, make_engine: MakeEngine) -> None:
        """Serve until :attr:`_exit_process` is called; return if it does."""
        self._send(Hello(PROTOCOL, __version__))
        Thread(target=self._read_messages, name="messages", daemon=True).start()
        try:
            engine = at_low_priority(make_engine)
        except Exception as error:  # noqa: BLE001 (logged; without an engine there is no process)
            _log(error)
            self._exit_process(error.exit_code if isinstance(error, IcltuiError) else 1)
            return
        while (message := self._jobs.take()) is not None:
            if isinstance(message.request, LoadModel):
                at_low_priority(partial(self._run_job, engine, message))
            else:
                self._run_job(engine, message)

    def _run_job(self, engine: Engine, message: Submit) -> None:
        try:
            for event in engine.run(message.request, self._jobs.should_stop):
                self._send_event(message.job, event)
            last: Event = JobCancelled() if self._jobs.was_heard() else JobEnded()
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 (reported, and logged if it is no refusal)
            last = job_failure(error)
            if not isinstance(error, IcltuiError):
                _log(error)
        self._send_event(message.job, last)
        if isinstance(last, JobFailed) and "CUDA error" in last.message:
            self._exit_process(1)  # the device's context is lost for good: only a new process gets another

    def _read_messages(self) -> None:
        while line := self._stdin.readline(LINE_LIMIT):
            try:
                self._handle(decode_client_message(line))
            except EngineError as error:
                print(error, file=sys.stderr, flush=True)  # noqa: T201 (stderr is the log)
                if (job := job_of(line)) is not None:
                    self._send_event(job, job_failure(error))
        self._jobs.close()
        self._exit_process(0)

    def _handle(self, message: Submit | Cancel) -> None:
        if isinstance(message, Submit):
            self._jobs.put(message)
        elif self._jobs.cancel(message.job):
            self._send_event(message.job, JobCancelled())

    def _send_event(self, job: int, event: Event) -> None:
        self._send(Happened(job, event))

    def _send(self, message: ServerMessage) -> None:
        line = encode(message)
        try:
            with self._writing:
                self._stdout.write(line)
                self._stdout.flush()
        except OSError:
            self._exit_process(0)  # nobody reads any more


def job_failure(error: BaseException) -> JobFailed:
    """The event that reports ``error`` in one line."""
    error = rust_panic_error(error) or error
    if not isinstance(error, IcltuiError):
        text = " ".join(str(error).split())[:500]
        is_full = (
            type(error).__name__ in ("MemoryError", "OutOfMemoryError") or "can't allocate memory" in text
        )
        plain = f"{type(error).__name__}: {text} (details in the log)"
        error = OutOfMemory(_OUT_OF_MEMORY) if is_full else EngineError(plain)
    return job_failed(error)


def _log(error: BaseException) -> None:
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.flush()
