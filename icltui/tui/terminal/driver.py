"""Textual's driver for terminals, hardened: whatever a terminal sends or does, the program goes on or ends in order.

Bytes are cut into keys and replies before Textual's parser sees them, the size comes from the terminal itself, every
change of the window redraws everything, signals are handled by the event loop, and a lost terminal is reported once.
"""

import asyncio
import os
import select
import signal
import termios
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

from textual import events
from textual.app import App, ScreenError
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message

from icltui.tui.terminal import terminal_modes
from icltui.tui.terminal.input_events import InputEvents
from icltui.tui.terminal.messages import TerminalLost, TerminalReset

_READ = 4096
_WAIT = 0.1
"""Most seconds until the reading thread sees that the program ends."""
_AHEAD = 64
"""Most messages that the reading thread is ahead of the program: each takes kilobytes, and asyncio loses a signal that
comes while some 250 callbacks wait."""
_TURN = 0.005
"""Seconds between two checks of the program's queues."""
_FORM_FEED = "\f"
"""ctrl+l, by which dtach and people ask for a redraw, besides what the key is bound to."""
_WRITE = 2**16
"""Characters after which the output is flushed."""


class TerminalDriver(LinuxDriver):
    """The driver of a terminal on stdin and stderr."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._file: Any = Utf8Output(self._file.fileno() if self._file else -1, self._say_lost)
        self._is_suspended = False
        self._n_sent = 0
        self._raw: list[Any] | None = None
        self._loop.add_signal_handler(signal.SIGTSTP, self._sigtstp_application)
        self._loop.add_signal_handler(signal.SIGCONT, self._sigcont_application)

    @property
    def _is_up(self) -> bool:
        return self._key_thread is not None and self._key_thread.is_alive()

    def start_application_mode(self) -> None:
        """Take the terminal, and listen for changes of its window; a background job waits for the foreground."""
        start: Callable[[], None] = super().start_application_mode
        start()
        while not (self._writer_thread and self._writer_thread.is_alive()):  # it was stopped, and goes on
            start()
        self._is_suspended = False
        with suppress(termios.error):
            self._raw = termios.tcgetattr(self.fileno)
        self._loop.add_signal_handler(signal.SIGWINCH, self.reset)

    def suspend_application_mode(self) -> None:
        """Leave the terminal to others."""
        self._is_suspended = True
        super().suspend_application_mode()

    def _sigcont_application(self, *_: object) -> None:
        """Take the terminal again where it was left; after a bare SIGSTOP, which left nothing, reset it."""
        if self._is_suspended:
            super()._sigcont_application()
        else:
            self.reset()

    def reset(self) -> None:
        """Set the modes again and have everything redrawn: the terminal may be another one."""
        if not self._is_up:
            return
        if self._raw is not None:
            with suppress(termios.error):  # the terminal is gone, which the reading thread reports
                termios.tcsetattr(self.fileno, termios.TCSANOW, self._raw)
        self.write(terminal_modes.modes(self._mouse))
        size = Size(*self._get_terminal_size())
        self.send_message(events.Resize(size, size))
        self.send_message(TerminalReset())

    def _get_terminal_size(self) -> tuple[int, int]:
        return terminal_modes.size() or super()._get_terminal_size()

    def _run_input_thread(self) -> None:
        """Read; an error here ends the program as an error anywhere else does."""
        try:
            self.run_input_thread()
        except Exception as error:  # noqa: BLE001 -- reported in the app's thread
            self._app.call_later(self._app._handle_exception, error)

    def run_input_thread(self) -> None:
        """Read until the program ends or the terminal does."""
        source = InputEvents()
        while not self.exit_event.is_set():
            deadline = source.deadline
            wait = _WAIT if deadline is None else min(_WAIT, max(0.0, deadline - monotonic()))
            if select.select([self.fileno], [], [], wait)[0]:
                try:
                    data = os.read(self.fileno, _READ)
                except BlockingIOError:
                    continue  # another process has read it
                except OSError:
                    data = b""
                if not data:
                    return self._say_lost()
                found = source.feed(data, monotonic())
            else:
                found = source.expire(monotonic())
            self._hand_on(found)
        return None

    def _hand_on(self, found: Iterable[Message]) -> None:
        """Send the messages at the pace of the program, none once it ends."""
        for message in found:
            self.process_message(message)
            self._n_sent += 1
            if isinstance(message, events.Key) and message.character == _FORM_FEED:
                self._loop.call_soon_threadsafe(self.reset)
            if self._n_sent % _AHEAD == 0 and not self._has_caught_up():
                return

    def _has_caught_up(self) -> bool:
        """Wait until the program has handled nearly all messages; False: it ends."""
        hearing = asyncio.run_coroutine_threadsafe(self._catch_up(), self._loop)
        while not self.exit_event.is_set():
            with suppress(TimeoutError):
                hearing.result(_WAIT)
                return True
        hearing.cancel()
        return False

    async def _catch_up(self) -> None:
        """Return when the queues of the app and of the focused widget are short."""
        with suppress(ScreenError):  # there is no screen any more
            while any(pump.message_queue_size > _AHEAD for pump in (self._app, self._app.focused) if pump):
                await asyncio.sleep(_TURN)

    def _say_lost(self) -> None:
        with suppress(RuntimeError):  # the program has ended
            self._app.post_message(TerminalLost())


class Utf8Output:
    """The terminal as a file to write to, in UTF-8 whatever the locale; once it is gone, nothing is written.

    Args:
        fileno: of the terminal.
        on_lost: called once, in the thread that writes, when it is gone.
    """

    def __init__(self, fileno: int, on_lost: Callable[[], None]) -> None:
        self._fileno, self._on_lost = fileno, on_lost
        self._is_lost = False
        self._text: list[str] = []
        self._n = 0

    def fileno(self) -> int:
        """The terminal's descriptor."""
        return self._fileno

    def write(self, text: str) -> None:
        """Buffer ``text``; flush when there is much of it."""
        self._text.append(text)
        self._n += len(text)
        if self._n > _WRITE:
            self.flush()

    def flush(self) -> None:
        """Send the buffer to the terminal."""
        data = memoryview("".join(self._text).encode("utf-8", "replace"))
        self._text, self._n = [], 0
        while data and not self._is_lost:
            try:
                data = data[os.write(self._fileno, data) :]
            except BlockingIOError:  # another process has set O_NONBLOCK
                select.select([], [self._fileno], [])
            except OSError:
                self._is_lost = True
                self._on_lost()
