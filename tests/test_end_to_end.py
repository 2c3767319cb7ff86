"""The whole chain on the embedded model: the real command in a real terminal, its engine in a real child process."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest

from icltui.api import Generate, GenerationEnded, JobEnded, LoadModel, Measure, MeasureEnded
from icltui.prompt import Prompt
from icltui.session import read_session
from icltui.worker.remote import RemoteEngine
from tests.worker.test_remote import Heard

PROMPT = Prompt(
    context="The capital of France is Rome.\nThe capital of Spain is Cairo.\n",
    query="The capital of France is",
)
ENTER_ALTERNATE, LEAVE_ALTERNATE, SHOW_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


class Terminal:
    """``icltui`` on a pseudo-terminal, and what a person would see there."""

    def __init__(self, argv: list[str], home: Path) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        ours = ("NO_COLOR", "TEXTUAL_THEME", "COLUMNS", "LINES", "SSH_CONNECTION")
        environment = {k: v for k, v in os.environ.items() if k not in ours}
        environment |= {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "icltui", *argv],
            stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True, cwd=home,
        )  # fmt: skip
        os.close(slave)
        self.drawn = b""
        self.screen = pyte.Screen(120, 40)
        self._stream = pyte.ByteStream(self.screen)

    @property
    def text(self) -> str:
        """The screen as it stands."""
        return "\n".join(self.screen.display)

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def until(self, is_so: Callable[[], object], what: str, seconds: float = 90.0) -> None:
        """Read what is drawn until ``is_so``."""
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, f"never came: {what}\n{self.text}"
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    data = os.read(self.master, 65536)
                except OSError:  # the other side is closed
                    assert is_so(), f"ended without {what}\n{self.text}"
                    return
                self.drawn += data
                self._stream.feed(data)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def explorer(home: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def make(*argv: str) -> Terminal:
        opened.append(Terminal(list(argv), home))
        return opened[-1]

    yield make
    for terminal in opened:
        terminal.close()


def restored(terminal: Terminal) -> bool:
    drawn = terminal.drawn
    return drawn.rfind(LEAVE_ALTERNATE) > drawn.rfind(ENTER_ALTERNATE) and SHOW_CURSOR in drawn


async def test_the_chain_through_a_real_process(tmp_path):
    """Lane 1 says the false capital, lane 2 the true one, lane 3 what lane 1 says, token for token."""
    heard, client = Heard(), RemoteEngine([sys.executable, "-m", "icltui", "engine"], tmp_path / "log")
    await client.start(heard)
    jobs = [
        client.submit(r)
        for r in (LoadModel(device="cpu"), Measure(prompt=PROMPT), Generate(prompt=PROMPT, n_tokens=8))
    ]
    for job in jobs:
        assert await heard.over(job) == JobEnded()
    await client.close()
    assert any(isinstance(event, MeasureEnded) for event in heard.of(jobs[1]))
    (generation,) = [e.generation for e in heard.of(jobs[2]) if isinstance(e, GenerationEnded)]
    assert generation.lanes["context"].text.startswith(" Rome")
    assert generation.lanes["plain"].text.startswith(" Paris")
    assert generation.lanes["patched"].token_ids == generation.lanes["context"].token_ids
    assert generation.fit["patched"].linf < 1e-4


def test_a_newcomer_sees_numbers_then_turns_the_patch_on_saves_and_quits(explorer, home):
    terminal = explorer("-c", PROMPT.context, "-q", PROMPT.query)
    terminal.until(lambda: "/12 equal" in terminal.text, "the first two lanes")
    assert "ΔW off" in terminal.text
    assert "▸·Rome" in terminal.text, "where the answer flips"
    terminal.press(b"\x14")  # ctrl+t
    terminal.until(lambda: "12/12 equal" in terminal.text, "the patched lane equal to the contextual one")
    terminal.press(b"\x13")  # ctrl+s
    terminal.until(lambda: "untitled.json" in terminal.text, "the save dialog")
    path = home / "mine.json"
    terminal.press(b"\x15")  # ctrl+u
    terminal.until(lambda: "path of the session file" in terminal.text, "the empty field")
    terminal.press(str(path).encode())
    terminal.until(lambda: "mine.json" in terminal.text, "the path as typed")
    terminal.press(b"\r")
    terminal.until(path.exists, "the file")
    terminal.press(b"\x11")  # ctrl+q
    terminal.until(lambda: restored(terminal), "the terminal restored")
    assert terminal.process.wait(20) == 0
    session = read_session(path)
    assert session.generation.agreement["patched"].first_difference is None
    assert len(session.measurement.predictions) == 17


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(explorer, number):
    terminal = explorer("-q", "dax")
    terminal.until(lambda: "1 Context" in terminal.text, "the first frame")
    terminal.process.send_signal(number)
    terminal.until(lambda: restored(terminal), "the terminal restored")
    terminal.process.wait(20)
