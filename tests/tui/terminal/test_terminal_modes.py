"""How large the terminal is, what is written on it, and what is told where it fails."""

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import TextIO

import pytest
from textual.drivers.headless_driver import HeadlessDriver
from textual.drivers.linux_driver import LinuxDriver

from icltui.api.messages import LoadModel
from icltui.cli.explore import prepare_terminal
from icltui.cli.main import main
from icltui.storage.config import Config
from icltui.tui.app import IcltuiApp
from icltui.tui.terminal import messages
from icltui.tui.terminal.driver import _AHEAD, TerminalDriver, Utf8Output
from icltui.tui.terminal.terminal_modes import encoding_notice, size
from tests.tui.conftest import open_desk
from tests.tui.fake_client import FakeClient
from tests.waiting import until


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the test's own: the program changes it."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal of 97×31 on stdin and stderr."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
    with os.fdopen(slave, "r+b", buffering=0) as raw:
        stream = open(raw.fileno(), "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        monkeypatch.setattr(sys, "__stdin__", stream)
        monkeypatch.setattr(sys, "__stderr__", stream)
        yield slave
        stream.close()
    os.close(master)


class TestSize:
    """The terminal's own, and the environment's only where there is none."""

    @pytest.mark.usefixtures("tty")
    def test_the_terminal_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("LINES", "24")
        assert size() == (97, 31)
        prepare_terminal(Config())
        assert "COLUMNS" not in os.environ
        assert "LINES" not in os.environ

    @pytest.mark.usefixtures("tty")
    def test_the_driver_asks_it_where_stdout_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        assert TerminalDriver.__new__(TerminalDriver)._get_terminal_size() == (97, 31)

    def test_one_that_does_not_know_leaves_it_to_the_environment(
        self, tty: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fcntl.ioctl(tty, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        monkeypatch.setenv("COLUMNS", "80")
        prepare_terminal(Config())
        assert size() is None
        assert os.environ["COLUMNS"] == "80"

    @pytest.mark.parametrize("stream", [None, open(os.devnull)])  # noqa: SIM115
    def test_none(self, stream: TextIO | None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "__stdin__", stream)
        monkeypatch.setattr(sys, "__stderr__", stream)
        monkeypatch.setenv("COLUMNS", "80")
        prepare_terminal(Config())
        assert size() is None
        assert os.environ["COLUMNS"] == "80"


@pytest.mark.parametrize(
    ("encoding", "is_told"),
    [
        ("utf-8", False),
        ("UTF8", False),
        ("utf_8", False),
        ("iso8859-1", True),
        ("ascii", True),
        ("gbk", True),
    ],
)
def test_a_locale_of_another_encoding_is_told(
    encoding: str, is_told: bool, tty: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(tty, "w", encoding=encoding, closefd=False) as stream:
        monkeypatch.setattr(sys, "__stderr__", stream)
        notice = encoding_notice()
    assert (encoding in notice) == bool(notice) == is_told


class TestOutput:
    """What is written goes out as UTF-8, or nowhere, but never ends the thread that writes."""

    def test_any_text_is_written(self) -> None:
        read, write = os.pipe()
        output = Utf8Output(write, lambda: pytest.fail("not lost"))
        output.write("─ 世 🙂 \ud83d")
        output.flush()
        assert os.read(read, 100) == "─ 世 🙂 ?".encode()
        os.close(read)
        os.close(write)

    def test_one_that_is_gone_is_told_once(self) -> None:
        read, write = os.pipe()
        lost: list[int] = []
        output = Utf8Output(write, lambda: lost.append(1))
        os.close(read)
        for _ in range(3):
            output.write("x" * 2**17)
            output.flush()
        assert lost == [1]
        os.close(write)

    def test_one_that_cannot_take_it_at_once_gets_all(self) -> None:
        read, write = os.pipe()
        os.set_blocking(write, False)
        text, got = "0123456789" * 2**15, bytearray()

        def drain() -> None:
            while len(got) < len(text):
                got.extend(os.read(read, 2**12))

        reader = Thread(target=drain)
        output = Utf8Output(write, lambda: pytest.fail("not lost"))
        reader.start()
        output.write(text)
        output.flush()
        reader.join(30)
        assert got.decode() == text
        os.close(read)
        os.close(write)


async def test_an_error_in_the_thread_that_reads_ends_it_as_any_other(tmp_path: Path) -> None:
    async def fail() -> None:
        async with open_desk() as desk:
            driver = TerminalDriver.__new__(TerminalDriver)
            driver._app = desk.app
            driver.run_input_thread = lambda: 1 / 0  # type: ignore[method-assign,assignment]
            thread = Thread(target=driver._run_input_thread)
            thread.start()
            await desk.until(lambda: desk.app._exit_renderables)
            assert desk.app.return_code == 1

    with pytest.raises(ZeroDivisionError):
        await fail()
    (log,) = tmp_path.rglob("crash.log")
    assert "ZeroDivisionError" in log.read_text()


async def test_what_is_typed_waits_where_the_program_is_behind() -> None:
    n_keys, heard = 1000, list[object]()
    app = SimpleNamespace(message_queue_size=n_keys, focused=None)
    driver = TerminalDriver.__new__(TerminalDriver)
    driver._app, driver._loop = app, asyncio.get_running_loop()  # type: ignore[assignment]
    driver._n_sent, driver.exit_event = 0, Event()
    driver.process_message = heard.append  # type: ignore[method-assign]
    driver.fileno, write = os.pipe()
    reading = asyncio.create_task(asyncio.to_thread(driver.run_input_thread))
    for _ in range(0, n_keys, 4):  # as they are typed, and not in one read
        os.write(write, b"x" * 4)
        await asyncio.sleep(0)
    await until(lambda: heard)
    for _ in range(20):  # of the looks that the reading takes
        await asyncio.sleep(0.01)
        assert len(heard) <= _AHEAD
    app.message_queue_size = 0
    await until(lambda: len(heard) == n_keys)
    driver.exit_event.set()
    await reading
    os.close(driver.fileno)
    os.close(write)


def test_an_input_that_ends_is_a_terminal_that_is_gone() -> None:
    posted: list[object] = []
    driver = TerminalDriver.__new__(TerminalDriver)
    driver._app = SimpleNamespace(post_message=posted.append)  # type: ignore[assignment]
    driver.exit_event = Event()
    driver.fileno, write = os.pipe()
    os.close(write)
    driver.run_input_thread()
    assert [type(message) for message in posted] == [messages.TerminalLost]
    os.close(driver.fileno)


def test_the_driver_is_ours_only_where_it_is_a_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen() -> type:
        return IcltuiApp(FakeClient(), LoadModel()).driver_class

    assert chosen() is TerminalDriver
    monkeypatch.setattr("textual.app.constants.DRIVER", "textual.drivers.headless_driver:HeadlessDriver")
    assert chosen() is HeadlessDriver


def test_a_textual_that_is_another_one_inside_drives_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("icltui.tui.terminal.driver", "icltui.tui.terminal.input_events"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "textual._xterm_parser", None)
    assert IcltuiApp(FakeClient(), LoadModel()).driver_class is LinuxDriver


def test_the_explorer_can_be_imported_where_there_is_no_termios() -> None:
    code = "import sys; sys.modules['termios'] = None; import icltui.tui.app"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


@pytest.mark.usefixtures("tty")
def test_what_ends_without_an_exit_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IcltuiApp, "run", lambda *_, **__: None)
    monkeypatch.setattr("gc.disable", lambda: None)
    assert main([]) == 1


@pytest.mark.usefixtures("tty")
@pytest.mark.parametrize("name", ["__stdin__", "__stderr__"])
@pytest.mark.parametrize("stream", [None, open(os.devnull)])  # noqa: SIM115
def test_no_terminal_is_one_plain_line(
    name: str,
    stream: TextIO | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, name, stream)
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("icltui: the explorer needs a terminal on stdin and stderr")
    assert err.count("\n") == 1


async def test_unread_bytes_are_told_for_each_paste_and_once_for_all_keys() -> None:
    async with open_desk() as desk:
        for message in (
            messages.UndecodableInput(1, is_paste=False),
            messages.UndecodableInput(3, is_paste=False),
            messages.UndecodableInput(1, is_paste=True),
            messages.UndecodableInput(1234, is_paste=True),
            messages.PasteTruncated(5),
        ):
            desk.app.post_message(message)
        await desk.until(lambda: len(desk.toasts()) == 4)
    told = " | ".join(desk.toasts())
    assert told.count("which was ignored: set its encoding to UTF-8") == 1
    assert "a byte of the paste is not UTF-8: shown as \ufffd" in told
    assert "1,234 bytes of the paste are not UTF-8: shown as \ufffd" in told
    assert "its last 5 characters are left out" in told


async def test_a_terminal_that_is_gone_leaves_as_its_hanging_up_does() -> None:
    async with open_desk() as desk:
        desk.app.post_message(messages.TerminalLost())
        await desk.until(lambda: desk.app._exit)
    assert desk.app.return_code == 129
