"""One child process: spawned, written to, read line by line, ended. It does not know what the lines mean."""

import asyncio
import contextlib
import os
import signal
from asyncio import SubprocessTransport
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import Mapping, Sequence
from pathlib import Path

from icltui.errors import EngineError
from icltui.worker.log import open_log, read_tail

LINE_LIMIT = 64 * 2**20
"""Longest line in bytes that is read from the child."""
PATIENCE = 0.5
"""Seconds that a child which was told to end may take."""


class Child:
    """A process in a group of its own: the terminal's Ctrl-C passes it by, and its children die with it."""

    def __init__(
        self, process: Process, transport: SubprocessTransport, log_path: Path, log_start: int
    ) -> None:
        self._process, self._transport = process, transport
        self._log_path, self._log_start = log_path, log_start

    @classmethod
    async def spawn(cls, command: Sequence[str], log_path: Path, env: Mapping[str, str] | None) -> "Child":
        """Start ``command``, its stderr to the log.

        Raises:
            OSError: the log cannot be written, or the command cannot be run.
        """
        loop = asyncio.get_running_loop()
        log = open_log(log_path)
        try:
            start = os.fstat(log).st_size
            # What asyncio.create_subprocess_exec does, which keeps the transport to itself.
            transport, protocol = await loop.subprocess_exec(
                lambda: SubprocessStreamProtocol(limit=LINE_LIMIT, loop=loop),
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                env=env,
                start_new_session=True,
            )
        finally:
            os.close(log)
        return cls(Process(transport, protocol, loop), transport, log_path, start)

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    def write(self, line: bytes) -> None:
        """Send a line; one that a dead child will not read is dropped."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(line)

    async def read(self) -> bytes:
        """The next whole line, or nothing at the end; one that its writer died over is no line.

        Raises:
            EngineError: the line is longer than ``LINE_LIMIT``.
        """
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
        except ValueError as error:
            raise EngineError(f"the engine sent a line of more than {LINE_LIMIT} bytes") from error
        return line if line.endswith(b"\n") else b""

    def kill(self) -> None:
        """End the whole group at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def end(self) -> int:
        """Close the child's input, give it a moment, then kill it; its exit code, negative for a signal."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return await asyncio.wait_for(self._gone(), PATIENCE)
        except TimeoutError:
            self.kill()
        self._close_pipes()
        try:
            return await asyncio.wait_for(self._gone(), PATIENCE)
        except TimeoutError:  # stuck in a driver's call, which even SIGKILL must wait for
            return -signal.SIGKILL

    def _close_pipes(self) -> None:
        """Close our ends: asyncio waits for the pipes too, and somebody else may hold the other ends.

        Not the whole transport: it would ask for the exit code itself and take it away from asyncio's watcher, which
        then makes up 255.
        """
        for number in (0, 1):
            pipe = self._transport.get_pipe_transport(number)
            if isinstance(pipe, asyncio.WriteTransport) and pipe.get_write_buffer_size():
                pipe.abort()  # close waits until everything is read
            elif pipe is not None:
                pipe.close()

    async def _gone(self) -> int:
        assert self._process.stdout is not None
        while await self._process.stdout.read(LINE_LIMIT):  # unread output would hold up the end of the pipe
            pass
        return await self._process.wait()

    def log_tail(self) -> tuple[str, ...]:
        """The last lines that this child logged."""
        return read_tail(self._log_path, self._log_start)


def exit_words(code: int) -> str:
    """How a process ended, from its exit code as :meth:`Child.end` gives it.

    >>> exit_words(3)
    'ended with exit code 3'
    >>> exit_words(-11)
    'was ended by signal 11 (SIGSEGV, segmentation fault)'
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name, words = signal.Signals(-code).name, signal.strsignal(-code) or "no description"
    except ValueError:
        return f"was ended by signal {-code}"
    hint = "; often the system had run out of memory" if -code == signal.SIGKILL else ""
    return f"was ended by signal {-code} ({name}, {words.lower()}{hint})"
