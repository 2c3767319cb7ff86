"""One child process: started, written to, read piece by piece, ended. What the pieces mean is not known here."""

import asyncio
import contextlib
import os
import signal
from asyncio import SubprocessTransport
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import Mapping, Sequence

from icltui.worker.log import CHUNK, ProcessLog
from icltui.worker.message_splitter import LineReader

PATIENCE = 0.5
"""Seconds that a child may take to end once its input is closed."""


class EngineProcess:
    """A process in a group of its own: the terminal's Ctrl-C does not reach it, and its children end with it."""

    def __init__(
        self, process: Process, transport: SubprocessTransport, log: ProcessLog, logging: asyncio.Task[None]
    ) -> None:
        assert process.stdout is not None
        self._process, self._transport = process, transport
        self._lines = LineReader(process.stdout)
        self.log = log
        """Takes its stderr, and what its reader finds to be no message."""
        self._logging = logging

    @classmethod
    async def spawn(
        cls, command: Sequence[str], log: ProcessLog, env: Mapping[str, str] | None
    ) -> "EngineProcess":
        """Start ``command`` with its stderr piped to the log, which stays bounded as a plain file would not.

        Raises:
            OSError: the command cannot be run.
        """
        loop = asyncio.get_running_loop()
        ours, its = os.pipe()
        try:
            # What asyncio.create_subprocess_exec does, which keeps the transport to itself.
            transport, protocol = await loop.subprocess_exec(
                lambda: SubprocessStreamProtocol(limit=CHUNK, loop=loop),
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=its,
                env=env,
                start_new_session=True,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(its)
        logging = asyncio.create_task(_follow(ours, log), name="engine log")
        return cls(Process(transport, protocol, loop), transport, log, logging)

    @property
    def pid(self) -> int:
        """The process id, which is its group's too."""
        return self._process.pid

    def write(self, line: bytes) -> None:
        """Send a line; it is dropped if the child is dead."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(line)

    async def read(self) -> tuple[bytes, bool]:
        """The next piece of its output: see :meth:`.LineReader.read`."""
        return await self._lines.read()

    def kill(self) -> None:
        """End the whole group at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def end(self) -> int:
        """Close the child's input, give it a moment, then kill it; returns the exit code, negative for a signal."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = await self._end()
        await asyncio.wait({self._logging}, timeout=PATIENCE)  # somebody else may hold the other end
        self._logging.cancel()
        await asyncio.wait({self._logging})
        return code

    async def _end(self) -> int:
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
        while await self._process.stdout.read(CHUNK):  # unread output would hold up the end of the pipe
            pass
        return await self._process.wait()


async def _follow(pipe: int, log: ProcessLog) -> None:
    """Log what comes out of ``pipe``, and close it in the end."""
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader(CHUNK, loop)
    with os.fdopen(pipe, "rb", 0) as file:
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream, loop=loop), file
        )
        try:
            await log.follow(stream)
        finally:
            transport.close()


def exit_words(code: int) -> str:
    """How a process ended, from its exit code as :meth:`EngineProcess.end` gives it.

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
