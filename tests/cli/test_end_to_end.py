"""The whole chain on the embedded model: the real command in a real terminal, its engine in a real child process."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyte
import pytest

from icltui.api.messages import Generate, GenerationEnded, JobEnded, LoadModel, Measure, MeasureEnded
from icltui.storage.sessions import read_session, write_session
from icltui.values import Session
from icltui.values.prompt import Prompt
from icltui.worker.client import RemoteEngine
from tests.waiting import PATIENCE
from tests.worker.test_client import Heard

PROMPT = Prompt(
    context="The capital of France is Rome.\nThe capital of Spain is Cairo.\n",
    query="The capital of France is",
)
ENTER_ALTERNATE, LEAVE_ALTERNATE, SHOW_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


class Terminal:
    """``icltui`` on a pseudo-terminal, and what a person would see there."""

    def __init__(
        self, argv: list[str], home: Path, program: Sequence[str] = ("-m", "icltui"), **more: str
    ) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        ours = ("NO_COLOR", "TEXTUAL_THEME", "COLUMNS", "LINES", "SSH_CONNECTION")
        environment = {k: v for k, v in os.environ.items() if k not in ours}
        environment |= {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "TERM": "xterm-256color"}
        environment |= {"XDG_CONFIG_HOME": str(home / "config"), **more}
        self.process = subprocess.Popen(
            [sys.executable, *program, *argv],
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

    def until(self, is_so: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
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

    def left_behind(self) -> str:
        """What stands on the terminal's own screen once the program has ended."""
        self.until(lambda: restored(self), "the terminal restored")
        self.process.wait(PATIENCE)
        while select.select([self.master], [], [], 0.1)[0]:
            try:
                self.drawn += os.read(self.master, 65536)
            except OSError:
                break
        text = self.drawn[self.drawn.rfind(LEAVE_ALTERNATE) :].decode()
        return re.sub(r"\x1b\[[0-9;?>=<]*[a-zA-Z]", "", text).replace("\r", "").strip()

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.master)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def explorer(home: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def make(*argv: str, **more: Any) -> Terminal:
        opened.append(Terminal(list(argv), home, **more))
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
    terminal.until(lambda: "▸·Rome" in terminal.text, "where the answer flips")
    terminal.press(b"\x14")  # ctrl+t
    terminal.until(lambda: "12/12 equal" in terminal.text, "the patched lane equal to the contextual one")
    terminal.press(b"\x13")  # ctrl+s
    terminal.until(lambda: "Save session" in terminal.text, "the save dialog")
    path = home / "mine.json"
    terminal.press(b"\x15")  # ctrl+u
    terminal.until(lambda: "a name, or a path" in terminal.text, "the empty field")
    terminal.press(str(path).encode())
    terminal.until(lambda: "mine.json" in terminal.text, "the path as typed")
    terminal.press(b"\r")
    terminal.until(path.exists, "the file")
    terminal.press(b"\x11")  # ctrl+q
    terminal.until(lambda: restored(terminal), "the terminal restored")
    assert terminal.process.wait(PATIENCE) == 0
    session = read_session(path)
    assert session.generation.agreement["patched"].first_difference is None
    assert len(session.measurement.predictions) == 17


def write(terminal: Terminal, text: bytes) -> None:
    """Write into the context."""
    terminal.press(b"1i")
    terminal.until(lambda: "writing, esc ends" in terminal.text, "the context taking letters as text")
    terminal.press(text)


SILENT = ["--engine", "sleep 1000"]
"""An engine that never answers: the screen is there at once, and stays as it is."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(explorer, number):
    terminal = explorer("-q", "dax", *SILENT)
    terminal.until(lambda: "1 Context" in terminal.text, "the first frame")
    terminal.process.send_signal(number)
    assert terminal.left_behind() == ""
    assert terminal.process.returncode == 128 + number


def test_a_signal_keeps_unsaved_work_and_the_next_start_offers_it(explorer, home):
    terminal = explorer("-q", "dax", *SILENT)
    terminal.until(lambda: "1 Context" in terminal.text, "the first frame")
    write(terminal, b"half a thought")
    terminal.until(lambda: "half a thought" in terminal.text, "the text")
    terminal.process.send_signal(signal.SIGTERM)
    line = terminal.left_behind()
    (path,) = (home / "state" / "icltui" / "autosave").iterdir()
    assert line == f"unsaved work was kept, open it with:  icltui {path}"
    assert read_session(path).prompt.context == "half a thought"
    after = explorer(*SILENT)
    after.until(lambda: "icltui ended before this was saved" in after.text, "the question")
    after.press(b"\r")
    after.until(lambda: "half a thought" in after.text, "the work")
    after.until(lambda: not path.exists(), "the work in a file of the new program's own")
    after.process.kill()
    again = explorer(*SILENT)
    again.until(lambda: "icltui ended before this was saved" in again.text, "the question again")


def test_a_line_that_breaks_keeps_unsaved_work(explorer, home):
    """The terminal goes away, as a window that is closed, and SIGHUP comes: nothing can be written to it any more."""
    terminal = explorer("-q", "dax", *SILENT)
    terminal.until(lambda: "1 Context" in terminal.text, "the first frame")
    write(terminal, b"half a thought")
    terminal.until(lambda: "half a thought" in terminal.text, "the text")
    os.close(terminal.master)
    terminal.process.send_signal(signal.SIGHUP)
    terminal.process.wait(PATIENCE)
    (path,) = (home / "state" / "icltui" / "autosave").glob("*.json")
    assert read_session(path).prompt.context == "half a thought"


def test_a_crash_leaves_one_line_the_work_and_the_terminal_as_it_was(explorer, home):
    code = (
        "from icltui.cli.main import main; from icltui.tui.dialogs.help import HelpDialog\n"
        "HelpDialog.compose = lambda self: 1 / 0\n"
        "raise SystemExit(main())"
    )
    terminal = explorer("-q", "dax", *SILENT, program=("-c", code))
    terminal.until(lambda: "1 Context" in terminal.text, "the first frame")
    write(terminal, b"half a thought")
    terminal.until(lambda: "half a thought" in terminal.text, "the text")
    terminal.press(b"\x1bOP")  # F1
    lines = terminal.left_behind()
    assert "icltui stopped because of an internal error (ZeroDivisionError: division by zero)" in " ".join(
        lines.split()
    )
    assert "Traceback" not in lines
    (path,) = (home / "state" / "icltui" / "autosave").glob("*.json")
    assert lines.splitlines()[-1] == f"unsaved work was kept, open it with:  icltui {path}"
    assert terminal.process.returncode == 1


def test_leaving_while_the_engine_loads(explorer):
    terminal = explorer("-q", "dax")
    terminal.until(lambda: "1 Context" in terminal.text, "the first frame")
    terminal.press(b"\x11")
    assert terminal.left_behind() == ""
    assert terminal.process.returncode == 0


def test_an_engine_that_is_not_there_leaves_the_screen(explorer):
    terminal = explorer("-q", "dax", "--engine", "no-such-program")
    terminal.until(lambda: "no-such-program" in terminal.text, "what is wrong")
    assert "1 Context" in terminal.text
    terminal.press(b"\x11")
    assert terminal.left_behind() == ""
    assert terminal.process.returncode == 0


def test_the_last_line_opens_the_session_again(explorer, home):
    write_session(home / "my own.json", Session(created="", prompt=PROMPT))
    terminal = explorer("my own.json", *SILENT)
    terminal.until(lambda: "my own" in terminal.text, "the first frame")
    terminal.press(b"\x11")
    assert terminal.left_behind() == "open it again with:  icltui 'my own.json'"


def test_a_bad_config_is_said_and_keeps_nothing_from_starting(explorer, home):
    (home / "config" / "icltui").mkdir(parents=True)
    (home / "config" / "icltui" / "config.toml").write_text('theme = "nort"\n[keys]\nquit = "f10"\n')
    terminal = explorer("-q", "dax", *SILENT, NO_COLOR="1", SSH_CONNECTION="1 2 3 4")
    terminal.until(lambda: "theme 'nort' is not known" in terminal.text, "the notice")
    terminal.until(lambda: "f10 Quit" in terminal.text, "the key of one's own")
    terminal.press(b"\x1b[21~")
    assert terminal.left_behind() == ""
    assert terminal.process.returncode == 0


def test_a_small_terminal_says_what_it_needs_and_leaves_as_any_other(explorer):
    terminal = explorer("-q", "dax", *SILENT)
    terminal.until(lambda: "1 Context" in terminal.text, "the first frame")
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 50, 0, 0))
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.until(lambda: "terminal too small: 50×12, needs 60×18" in terminal.text, "the one line")
    terminal.press(b"\x11")
    assert terminal.left_behind() == ""
