"""The program on a real pseudo-terminal: what a terminal sends, does and suffers, and how the program leaves it."""

import fcntl
import os
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

import icltui
from icltui.bench.pseudo_terminal import SIZE, PseudoTerminal, TerminalPicture
from tests.tui.terminal.replies import REPLIES

COMMAND = [sys.executable, "-m", "icltui", "--no-launcher", "--engine", "sleep 600"]
"""The explorer on its example; its engine never says anything."""
PATIENCE = 60.0
F8, FOCUS = b"\x1b[19~", b"\x1b[I"
MODES = ("?1047h", "?25l", "?7l", "?1004h", "?2004h", "?1000h", "?1003h", "?1006h", "=25u")
"""What a terminal that knows nothing of us must be told."""


class View:
    """The picture on a terminal that was blank when it was turned to the program."""

    def __init__(self, pty: "Pty") -> None:
        self._pty, self._screen = pty, TerminalPicture()
        self._first = self._n = len(pty.chunks)

    @property
    def lines(self) -> Sequence[str]:
        """Line by line."""
        chunks = self._pty.chunks[self._n :]
        self._n += len(chunks)
        for chunk in chunks:
            self._screen.feed(chunk.data)
        return self._screen.lines

    @property
    def sent(self) -> bytes:
        """What the program has written to it."""
        return b"".join(chunk.data for chunk in self._pty.chunks[self._first :])

    def shows(self, *words: str) -> None:
        """Wait until the picture has all of these."""
        self._pty.wait(lambda: all(word in "\n".join(self.lines) for word in words), str(words))

    def misses(self, word: str) -> None:
        """Wait until the picture has it no more."""
        self._pty.wait(lambda: word not in "\n".join(self.lines), f"no {word}")


class Pty(PseudoTerminal):
    """A program on a terminal whose window the test holds."""

    def __init__(self, command: Sequence[str], home: Path) -> None:
        super().__init__(command, home)
        self.view, self.set_before = View(self), self.attributes  # which a program takes longer to change

    def resize(self, columns: int, lines: int) -> None:
        """As a terminal does, which has no controlling process here to signal."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.signal(signal.SIGWINCH)

    def signal(self, number: int) -> None:
        """Send ``number`` to the program."""
        os.kill(self.pid, number)

    def wait_for_stop(self) -> None:
        """Until the program is stopped."""
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    @property
    def attributes(self) -> list[object]:
        """How the terminal is set."""
        return termios.tcgetattr(self._master)

    @property
    def exit_code(self) -> int:
        """Of the program, which must end."""
        code = self._process.wait(PATIENCE)
        self._reader.join(5)
        return code

    def wait(self, is_so: Callable[[], object], what: str) -> None:
        """Until it is so."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            picture = "\n".join(self.view.lines)
            assert time.monotonic() < end, f"{what}: never came true:\n{picture}"
            assert self._process.poll() is None, f"{what}: the program ended:\n{picture}"
            time.sleep(0.02)

    def unplug(self) -> None:
        """The window is closed."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self._master)
        os.close(nothing)
        self.signal(signal.SIGWINCH)  # what is written then lets go whoever still reads


@pytest.fixture
def open_pty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Pty]]:
    """Start the explorer on a terminal of its own, past the tour."""
    opened = []
    monkeypatch.setenv("PYTHONPATH", str(Path(icltui.__file__).parents[1]))
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")

    def start(*env: str) -> Pty:
        pty = Pty(["env", *env, *COMMAND], tmp_path)
        opened.append(pty)
        pty.view.shows("1 Context", "^q Quit", "Tour 1 of 10")
        pty.press(b"\x1b")
        pty.view.misses("Tour 1 of 10")
        return pty

    yield start
    for pty in opened:
        with suppress(ProcessLookupError):
            pty.signal(signal.SIGCONT)
        pty.close()


def check_redrawn(pty: Pty, do: Callable[[], None]) -> None:
    """``do`` has every cell drawn anew, and the terminal told again how to be."""
    pty.settle(0.3)
    before, view = pty.view.lines, View(pty)
    do()
    pty.wait(
        lambda: view.lines == pty.view.lines and view.lines[1:] == before[1:],  # the first counts seconds
        "all drawn anew",
    )
    assert [mode for mode in MODES if f"\x1b[{mode}".encode() not in view.sent] == []


def bounce(pty: Pty, gap: float) -> None:
    """Another size, and back."""
    columns, lines = SIZE
    pty.resize(80, 30)
    time.sleep(gap)
    pty.resize(columns, lines)


def test_what_a_terminal_does_and_sends(open_pty: Callable[..., Pty]) -> None:
    pty = open_pty("COLUMNS=90", "LINES=20")
    lines = pty.view.lines
    assert "ΔW off" in lines[0][-10:], "its own size, not the environment's"
    assert "^q Quit" in lines[-1]

    for gap in (0, 0.002, 0.01, 0.05):
        check_redrawn(pty, lambda gap=gap: bounce(pty, gap))
    check_redrawn(pty, lambda: pty.signal(signal.SIGWINCH))  # dtach, abduco and docker attach
    check_redrawn(pty, lambda: pty.press(F8))
    pty.press(b"?")
    pty.view.shows("How to read it")
    check_redrawn(pty, lambda: bounce(pty, 0.01))  # over a dialog too
    pty.press(b"\x1b")
    pty.view.misses("How to read it")

    pty.signal(signal.SIGSTOP)
    pty.wait_for_stop()
    check_redrawn(pty, lambda: pty.signal(signal.SIGCONT))
    view = View(pty)
    pty.signal(signal.SIGTSTP)
    pty.wait_for_stop()
    pty.wait(lambda: b"\x1b[?1049l" in view.sent, "the terminal is left")
    view = View(pty)
    pty.signal(signal.SIGCONT)
    view.shows("1 Context", "^q Quit")

    replies = b"".join([*REPLIES.values(), FOCUS])
    check_redrawn(pty, lambda: pty.press(replies + F8))  # and in the table none does a thing
    pty.press(b"1i" + replies)
    pty.press("zq caf\xe9".encode("latin-1") + b"xz ")
    pty.press(b"\x1b[200~<\xff\xfe>\x1b[201~")
    pty.view.shows("zq cafxz <\ufffd\ufffd>The", "not UTF-8")

    view = View(pty)
    in_use = pty.attributes
    pty.signal(signal.SIGINT)
    assert pty.exit_code == 128 + signal.SIGINT
    assert in_use != pty.attributes == pty.set_before
    assert b"\x1b[?1049l" in view.sent
    assert b"unsaved work was kept, open it with:" in view.sent.rstrip().splitlines()[-1]
    assert b"Traceback" not in view.sent


def test_a_terminal_that_is_gone_ends_it(open_pty: Callable[..., Pty], tmp_path: Path) -> None:
    pty = open_pty("PYTHONIOENCODING=latin-1")
    pty.view.shows("╭─ 1 Context ──", "encoding is iso8859-1", "written in UTF-8")
    pty.press(b"1iprecious ")
    pty.view.shows("precious")
    pty.unplug()
    assert pty.exit_code == 128 + signal.SIGHUP
    assert any("precious" in path.read_text() for path in tmp_path.rglob("*.json"))
