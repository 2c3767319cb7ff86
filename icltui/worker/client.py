"""The parent: requests enter, a child process works, events leave through the listener, in the event loop."""

import asyncio
import itertools
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from icltui.api.messages import (
    JOB_OVER,
    EngineAwaited,
    EngineDied,
    EngineStarted,
    Event,
    JobFailed,
    Listener,
    Request,
)
from icltui.system.log_file import LogFile
from icltui.values.errors import BadInput, EngineError, reason_of
from icltui.worker import handshake
from icltui.worker.event_check import Claims
from icltui.worker.log import ChildLog
from icltui.worker.process import Child, exit_words
from icltui.worker.protocol import (
    MARK,
    Cancel,
    Happened,
    Order,
    Report,
    Submit,
    decode_report,
    encode,
    is_order,
)

_SAID_LINES = 20
"""So many of the last lines that a process said instead of a greeting go with the log's."""


class RemoteEngine:
    """An ``api.Client`` whose engine is the process that ``command`` starts, here or, through ssh, elsewhere.

    Args:
        command: the program and its arguments; its stdin and stdout must be the wire and nothing else.
        log_path: takes the process's stderr, and what it says on the wire that is no message; see :class:`.LogFile`.
        env: the process's environment; that of this process if not given.

    Raises:
        BadInput: an empty command.
    """

    def __init__(self, command: Sequence[str], log_path: Path, env: Mapping[str, str] | None = None) -> None:
        if not command:
            raise BadInput("the engine's command is empty: give one, such as icltui engine")
        self._command, self._log, self._env = tuple(command), LogFile(log_path), env
        self._changing = asyncio.Lock()
        self._child: Child | None = None
        self._reading: asyncio.Task[None] | None = None
        self._listener: Listener | None = None
        self._alive = False
        self._killed = False
        self._has_greeted = False
        self._last_job = 0
        self._outstanding: dict[int, None] = {}

    @property
    def pid(self) -> int | None:
        """Of the running process, here; None when there is none."""
        return self._child.pid if self._child is not None and self._alive else None

    @property
    def log_trouble(self) -> str:
        """Why the log is not where it should be, and where it is; empty where it is there."""
        return self._log.trouble

    async def start(self, listener: Listener) -> None:
        """Start the engine's process, anew if there was one; ``EngineStarted`` or ``EngineDied`` follows."""
        async with self._changing:
            await self._end()
            self._listener, self._killed = listener, False
            self._fail_jobs("the engine was started anew: ask again")
            try:
                self._child = await Child.spawn(self._command, ChildLog(self._log), self._env)
            except OSError as error:
                self._tell(0, EngineDied(message=self._why_not(error)))
                return
            self._alive = True
            self._reading = asyncio.create_task(self._read(self._child), name="engine reader")

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
        """Ask a queued or running job to stop; for one that is over there is nothing to do."""
        if self._alive and job in self._outstanding:
            self._send(Cancel(job))

    async def kill(self) -> None:
        """End the engine's process and its children at once; ``EngineDied`` follows if there was one."""
        async with self._changing:
            if self._child is not None and self._reading is not None:
                self._killed = True
                self._child.kill()
                await asyncio.wait({self._reading})

    async def close(self) -> None:
        """End the engine's process politely, or at once if it does not listen; no event follows."""
        async with self._changing:
            self._listener = None
            self._outstanding.clear()
            await self._end()

    async def _end(self) -> None:
        child, reading = self._child, self._reading
        self._alive, self._child, self._reading = False, None, None
        if child is not None and reading is not None:
            reading.cancel()
            await asyncio.wait({reading})
            await child.end()

    async def _read(self, child: Child) -> None:
        offence, said = "", list[str]()
        self._has_greeted = False
        try:
            if await self._await_hello(child, said):
                await self._read_reports(child)
        except EngineError as error:
            offence = str(error)
            child.kill()
        self._alive = False
        code = await child.end()
        log_tail = child.log.tail()
        reason = offence or self._why_over(code, said, log_tail)
        self._fail_jobs(reason)
        self._tell(0, EngineDied(message=reason, log_tail=(*said[-_SAID_LINES:], *log_tail)))

    async def _await_hello(self, child: Child, said: list[str]) -> bool:
        waiting = asyncio.create_task(self._tell_of_silence(child), name="engine silence")
        try:
            hello = await handshake.read_hello(child.read, said)
        finally:
            waiting.cancel()
        if hello is not None:
            self._has_greeted = True
            self._tell(0, EngineStarted(version=hello.version))
        return self._has_greeted

    async def _tell_of_silence(self, child: Child) -> None:
        for times in itertools.count(1):
            await asyncio.sleep(handshake.SILENCE)
            seconds = round(times * handshake.SILENCE)
            self._tell(0, EngineAwaited(seconds=seconds, log_tail=child.log.tail()))

    async def _read_reports(self, child: Child) -> None:
        claims = Claims()
        while (piece := await child.read())[0]:
            match _report(*piece):
                case Happened(job, event):
                    claims.check(event)
                    self._pass_on(job, event)
                case None:
                    await child.log.take(piece[0])
                case _:
                    raise EngineError("the engine greeted twice: its command must be one icltui engine")
            await asyncio.sleep(0)  # lines that wait in the buffer would otherwise never let the loop go

    def _pass_on(self, job: int, event: Event) -> None:
        if job not in self._outstanding or self._listener is None:
            return  # late; or not started yet, and start will tell
        if isinstance(event, JOB_OVER):
            del self._outstanding[job]
        self._tell(job, event)

    def _send(self, order: Order) -> None:
        if self._child is not None:
            self._child.write(encode(order))

    def _fail_jobs(self, reason: str) -> None:
        for job in tuple(self._outstanding):
            self._fail(job, EngineError(reason))

    def _fail(self, job: int, error: EngineError | BadInput) -> None:
        self._pass_on(
            job, JobFailed(kind=type(error).__name__, message=str(error), exit_code=error.exit_code)
        )

    def _tell(self, job: int, event: Event) -> None:
        if self._listener is not None:
            self._listener(job, event)

    def _why_over(self, code: int, said: Sequence[str], log_tail: Sequence[str]) -> str:
        if self._killed:
            return "the engine was stopped"
        if not self._has_greeted:
            return handshake.no_greeting(exit_words(code), said, log_tail)
        if code == handshake.CONNECTION_LOST:
            return handshake.connection_lost(exit_words(code), log_tail)
        return f"the engine {exit_words(code)}"

    def _why_not(self, error: OSError) -> str:
        command = shlex.join(self._command)
        if isinstance(error, FileNotFoundError) and error.filename == self._command[0]:
            return f"the engine's command was not found: {command}"
        return f"the engine could not be started: {reason_of(error)}: {error.filename or command}"


def _report(piece: bytes, is_line_start: bool) -> Report | None:
    """The message that the piece is; None where it is what something else printed.

    Raises:
        EngineError: it begins as a message, and is a broken one or an echo.
    """
    if not piece.startswith(MARK):
        return None
    try:
        if is_order(piece):
            raise EngineError("the engine's command echoes what it is sent: is it ssh -t? Use ssh -T")
        return decode_report(piece)
    except EngineError:
        if is_line_start:
            raise
        return None  # quoted in a foreign line
