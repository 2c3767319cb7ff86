"""The parent: sends requests to a child process and passes its events to the listener, in the event loop."""

import asyncio
import itertools
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from icltui.api.engine import Listener
from icltui.api.job_error import job_failed
from icltui.api.messages import JOB_OVER, EngineAwaited, EngineDied, EngineStarted, Event, Request
from icltui.system.log_file import LogFile
from icltui.values.errors import BadInput, EngineError, reason_of
from icltui.worker import handshake
from icltui.worker.event_check import EventChecker
from icltui.worker.log import ProcessLog
from icltui.worker.process import EngineProcess, exit_words
from icltui.worker.protocol import (
    MARK,
    Cancel,
    ClientMessage,
    Happened,
    ServerMessage,
    Submit,
    decode_server_message,
    encode,
    is_client_message,
)

_SAID_LINES = 20
"""Lines printed instead of a greeting that are shown with the log's last ones."""


class RemoteEngine:
    """An ``api.Client`` whose engine is the process that ``command`` starts, here or, through ssh, elsewhere.

    Args:
        command: the program and its arguments; its stdin and stdout carry messages and nothing else.
        log_path: the log of the process's stderr, and of what it prints on stdout that is no message; see
            :class:`.LogFile`.
        env: the process's environment; by default that of this process.

    Raises:
        BadInput: an empty command.
    """

    def __init__(self, command: Sequence[str], log_path: Path, env: Mapping[str, str] | None = None) -> None:
        if not command:
            raise BadInput("the engine's command is empty: give one, such as icltui engine")
        self._command, self._log, self._env = tuple(command), LogFile(log_path), env
        self._changing = asyncio.Lock()
        self._process: EngineProcess | None = None
        self._reading: asyncio.Task[None] | None = None
        self._listener: Listener | None = None
        self._alive = False
        self._killed = False
        self._has_greeted = False
        self._last_job = 0
        self._outstanding: dict[int, None] = {}

    @property
    def pid(self) -> int | None:
        """The process id on this machine; None when no process runs."""
        return self._process.pid if self._process is not None and self._alive else None

    @property
    def log_trouble(self) -> str:
        """Why the log is not at its path, and where it is instead; empty if it is there."""
        return self._log.trouble

    async def start(self, listener: Listener) -> None:
        """Start the engine's process, anew if there was one; ``EngineStarted`` or ``EngineDied`` follows."""
        async with self._changing:
            await self._end()
            self._listener, self._killed = listener, False
            self._fail_jobs("the engine was restarted: ask again")
            try:
                self._process = await EngineProcess.spawn(self._command, ProcessLog(self._log), self._env)
            except OSError as error:
                self._notify(0, EngineDied(message=self._spawn_failure(error)))
                return
            self._alive = True
            self._reading = asyncio.create_task(self._read(self._process), name="engine reader")

    def submit(self, request: Request) -> int:
        """Queue a job; its id comes back at once, and its events to the listener."""
        self._last_job = job = self._last_job + 1
        self._outstanding[job] = None
        try:
            if not self._alive:
                raise EngineError("the engine is not running: restart it")
            self._send(Submit(job, request))
        except (BadInput, EngineError) as error:
            # In the loop's next turn: the caller does not know the job's id yet.
            asyncio.get_running_loop().call_soon(self._fail, job, error)
        return job

    def cancel(self, job: int) -> None:
        """Ask a queued or running job to stop; a job that is over is left alone."""
        if self._alive and job in self._outstanding:
            self._send(Cancel(job))

    async def kill(self) -> None:
        """End the engine's process and its children at once; ``EngineDied`` follows if there was one."""
        async with self._changing:
            if self._process is not None and self._reading is not None:
                self._killed = True
                self._process.kill()
                await asyncio.wait({self._reading})

    async def close(self) -> None:
        """End the engine's process politely, or at once if it does not listen; no event follows."""
        async with self._changing:
            self._listener = None
            self._outstanding.clear()
            await self._end()

    async def _end(self) -> None:
        process, reading = self._process, self._reading
        self._alive, self._process, self._reading = False, None, None
        if process is not None and reading is not None:
            reading.cancel()
            await asyncio.wait({reading})
            await process.end()

    async def _read(self, process: EngineProcess) -> None:
        offence, said = "", list[str]()
        self._has_greeted = False
        try:
            if await self._await_greeting(process, said):
                await self._read_events(process)
        except EngineError as error:
            offence = str(error)
            process.kill()
        self._alive = False
        code = await process.end()
        log_tail = process.log.tail()
        reason = offence or self._exit_reason(code, said, log_tail)
        self._fail_jobs(reason)
        self._notify(0, EngineDied(message=reason, log_tail=(*said[-_SAID_LINES:], *log_tail)))

    async def _await_greeting(self, process: EngineProcess, said: list[str]) -> bool:
        waiting = asyncio.create_task(self._report_silence(process), name="engine silence")
        try:
            hello = await handshake.read_hello(process.read, said)
        finally:
            waiting.cancel()
        if hello is not None:
            self._has_greeted = True
            self._notify(0, EngineStarted(version=hello.version))
        return self._has_greeted

    async def _report_silence(self, process: EngineProcess) -> None:
        for times in itertools.count(1):
            await asyncio.sleep(handshake.SILENCE)
            seconds = round(times * handshake.SILENCE)
            self._notify(0, EngineAwaited(seconds=seconds, log_tail=process.log.tail()))

    async def _read_events(self, process: EngineProcess) -> None:
        claims = EventChecker()
        while (piece := await process.read())[0]:
            match _decode(*piece):
                case Happened(job, event):
                    claims.check(event)
                    self._forward(job, event)
                case None:
                    await process.log.take(piece[0])
                case _:
                    raise EngineError("the engine greeted twice: its command must run one icltui engine")
            await asyncio.sleep(0)  # lines that wait in the buffer would otherwise never let the loop go

    def _forward(self, job: int, event: Event) -> None:
        if job not in self._outstanding or self._listener is None:
            return  # late, or before start has returned
        if isinstance(event, JOB_OVER):
            del self._outstanding[job]
        self._notify(job, event)

    def _send(self, message: ClientMessage) -> None:
        if self._process is not None:
            self._process.write(encode(message))

    def _fail_jobs(self, reason: str) -> None:
        for job in tuple(self._outstanding):
            self._fail(job, EngineError(reason))

    def _fail(self, job: int, error: EngineError | BadInput) -> None:
        self._forward(job, job_failed(error))

    def _notify(self, job: int, event: Event) -> None:
        if self._listener is not None:
            self._listener(job, event)

    def _exit_reason(self, code: int, said: Sequence[str], log_tail: Sequence[str]) -> str:
        if self._killed:
            return "the engine was stopped"
        if not self._has_greeted:
            return handshake.why_no_greeting(exit_words(code), said, log_tail)
        if code == handshake.CONNECTION_LOST:
            return handshake.connection_lost(exit_words(code), log_tail)
        return f"the engine {exit_words(code)}"

    def _spawn_failure(self, error: OSError) -> str:
        command = shlex.join(self._command)
        if isinstance(error, FileNotFoundError) and error.filename == self._command[0]:
            return f"the engine's command was not found: {command}"
        return f"the engine could not be started: {reason_of(error)}: {error.filename or command}"


def _decode(piece: bytes, is_line_start: bool) -> ServerMessage | None:
    """The message in ``piece``; None for any other output.

    Raises:
        EngineError: ``piece`` begins as a message, and is broken or an echo.
    """
    if not piece.startswith(MARK):
        return None
    try:
        if is_client_message(piece):
            raise EngineError("the engine's command echoes what it is sent: is it ssh -t? Use ssh -T")
        return decode_server_message(piece)
    except EngineError:
        if is_line_start:
            raise
        return None  # quoted in a foreign line
