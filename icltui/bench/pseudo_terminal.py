"""A program on a pseudo-terminal: what it writes, when, and what the screen then shows.

A command enters; :class:`OutputChunk` s leave, bytes with the time at which they came, and pictures of the screen. One
thread only reads and takes the time; pictures are drawn later, when nothing is timed.
"""

import ctypes
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from icltui.system.child_environment import child_environment
from icltui.system.process_memory import resident_bytes
from icltui.values.errors import BadInput, EngineError

SIZE = (120, 40)
"""Columns and lines."""
_SETTINGS = (
    "NO_COLOR",
    "TEXTUAL_THEME",
    "COLUMNS",
    "LINES",
    "SSH_CONNECTION",
    "TMUX",
    "PYTHONDONTWRITEBYTECODE",
)
"""Environment variables of this terminal that would change the result."""
_ASKED, _ANSWER = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
"""The query whether the terminal supports synchronized output, and the answer yes."""
_UNKNOWN = re.compile(rb"\x1b\[[>=<?]\d*(?:;\d+)*u|\x1b\[\?\d+\$p")
"""Sequences that pyte would draw as text."""


@dataclass(frozen=True)
class OutputChunk:
    """The bytes of one read."""

    at: float
    """Time of the read, by ``time.perf_counter``."""
    data: bytes


_C = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _end_with_us() -> None:
    """Ends the program with this process, on Linux: a program whose terminal is gone may spin for ever."""
    # No controlling terminal instead (SIGHUP): when its owner ends, the kernel drops what it wrote last.
    with suppress(AttributeError):
        _C.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class PseudoTerminal:
    """A running program, its terminal and its own home folder."""

    def __init__(self, command: Sequence[str], home: Path) -> None:
        self._master, slave = pty.openpty()
        columns, lines = SIZE
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        env = {name: value for name, value in child_environment().items() if name not in _SETTINGS}
        env |= {"HOME": str(home), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        env |= {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("STATE", "DATA", "CONFIG")}
        self.chunks: list[OutputChunk] = []
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            cwd=home,
            start_new_session=True,
            preexec_fn=_end_with_us,
        )
        os.close(slave)
        self._reader = Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            select.select([self._master], [], [])
            try:
                data = os.read(self._master, 2**16)
            except OSError:  # the other side is closed
                return
            self.chunks.append(OutputChunk(time.perf_counter(), data))
            if _ASKED in data:
                os.write(self._master, _ANSWER)

    def press(self, keys: bytes) -> float:
        """Type ``keys``; returns the time."""
        at = time.perf_counter()
        os.write(self._master, keys)
        return at

    def settle(self, quiet: float, limit: float = 60.0) -> None:
        """Wait until something was written and then nothing for ``quiet`` seconds.

        Raises:
            EngineError: the program never came to rest, or never began.
        """
        end = time.perf_counter() + limit
        while time.perf_counter() < end:
            if self.chunks and time.perf_counter() - self.chunks[-1].at > quiet:
                return
            time.sleep(quiet / 10)
        raise EngineError(f"the program did not come to rest within {limit:g} s")

    def rest(self, quiet: float, limit: float) -> None:
        """Wait until nothing is written for ``quiet`` seconds after the next output, or ``limit`` without any."""
        began, n_seen = time.perf_counter(), len(self.chunks)
        while (now := time.perf_counter()) - began < limit or len(self.chunks) > n_seen:
            if len(self.chunks) > n_seen and now - self.chunks[-1].at > quiet:
                return
            time.sleep(quiet / 20)

    def until(self, is_so: Callable[[Sequence[str]], bool], what: str, limit: float = 120.0) -> None:
        """Wait until ``is_so`` holds of the screen's lines; drawing takes time, so nothing is timed meanwhile.

        Raises:
            EngineError: ``is_so`` never holds.
        """
        end, screen, n_seen = time.perf_counter() + limit, TerminalPicture(), 0
        while time.perf_counter() < end:
            if has_ended := self._process.poll() is not None:
                self._reader.join(5)  # so that no output is missed
            chunks = self.chunks[n_seen:]
            n_seen += len(chunks)
            for chunk in chunks:
                screen.feed(chunk.data)
            if is_so(screen.lines):
                return
            if has_ended:
                break
            time.sleep(0.05)
        raise EngineError(f"the screen never showed {what}:\n" + "\n".join(screen.lines))

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def peak_memory(self) -> int | None:
        """The program's peak resident bytes; None where the system does not tell."""
        return resident_bytes("peak", self.pid)

    def has_mapped(self, library: str) -> bool | None:
        """Whether the program has loaded ``library``; None where the system does not tell."""
        maps = Path(f"/proc/{self.pid}/maps")
        return library in maps.read_text() if maps.exists() else None

    def close(self) -> None:
        """End the program and its process group."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(5)
        os.close(self._master)


class TerminalPicture:
    """The screen of a terminal, drawn from what is written to it."""

    def __init__(self) -> None:
        try:
            import pyte
        except ImportError as error:
            raise BadInput(
                "the screen's benchmark sees the terminal through pyte: pip install 'icltui[bench]'"
            ) from error
        self._screen = pyte.Screen(*SIZE)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, data: bytes) -> None:
        """Write bytes; a sequence may be cut between two calls."""
        self._stream.feed(_UNKNOWN.sub(b"", data))

    @property
    def lines(self) -> list[str]:
        """The characters of each line."""
        return list(self._screen.display)

    @property
    def cells(self) -> list[tuple[object, ...]]:
        """The characters of each line with their colours."""
        columns, lines = SIZE
        buffer = self._screen.buffer
        return [tuple(buffer[y][x] for x in range(columns)) for y in range(lines)]
