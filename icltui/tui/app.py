"""The explorer as an application: one client, one session, one screen, and a clean way out.

It starts the engine behind the first frame, restores the terminal on signals, and leaves one line instead of a
traceback when something goes wrong that nobody foresaw.
"""

import asyncio
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import ModalScreen, Screen

from icltui.api import Client, LoadModel
from icltui.session import Session
from icltui.tui.actions import QUIT
from icltui.tui.cells import display
from icltui.tui.clipboard import copyable_text, passed_on
from icltui.tui.commands import ActionCommands
from icltui.tui.crash import write_crash_log
from icltui.tui.flows.explorer import Explorer
from icltui.tui.rescue import rescue
from icltui.tui.screens.confirm import UnsavedScreen
from icltui.tui.screens.document import DocumentScreen
from icltui.tui.screens.explorer import ExplorerScreen

_SIGNALS = ("SIGTERM", "SIGHUP")
_SYSTEM_COMMANDS = ("Theme", "Screenshot")


class IcltuiApp(App[None]):
    """The explorer.

    Args:
        client: the engine, not started yet.
        load: the model to load.
        session: what to open on; its saved numbers show at once.
        path: the file that the session came from.
        notice: one line to show at the start.
    """

    TITLE = "icltui"
    CSS_PATH = "icltui.tcss"
    COMMANDS = App.COMMANDS | {ActionCommands}
    BINDINGS: ClassVar[list[BindingType]] = [QUIT]

    def __init__(
        self,
        client: Client,
        load: LoadModel,
        session: Session | None = None,
        path: Path | None = None,
        notice: str = "",
    ) -> None:
        super().__init__()
        self.theme = os.environ.get("TEXTUAL_THEME") or "textual-dark"
        if "SSH_CONNECTION" in os.environ:
            self.animation_level = "none"
        self.explorer = Explorer(client, load, session, path)
        self._client, self._notice = client, notice

    def get_default_screen(self) -> Screen[None]:
        """The explorer's screen is there from the first frame on."""
        return ExplorerScreen(self.explorer)

    def on_mount(self) -> None:
        """Listen for signals now, start the engine behind the first frame."""
        loop = asyncio.get_running_loop()
        for name in _SIGNALS:
            # Not every platform has them, and only the main thread may ask.
            with suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
                number = getattr(signal, name)
                loop.add_signal_handler(number, self._leave_on_signal, number)
        if self._notice:
            self.notify(display(self._notice), timeout=8, markup=False)
        self.call_after_refresh(self.run_worker, self.explorer.start)

    def _leave_on_signal(self, number: int) -> None:
        """Whoever ends the program from outside cannot be asked whether to save."""
        self.exit(None, 128 + number, rescue(self.explorer) or None)

    async def on_unmount(self) -> None:
        """The engine goes with the screen."""
        await self._client.close()

    async def action_quit(self) -> None:
        """Leave; ask first where something is not saved, and asked again keep it aside. A dialog only closes."""
        match self.screen:
            case DocumentScreen() as screen:
                screen.leave()
            case UnsavedScreen():
                self.exit(None, 0, rescue(self.explorer) or None)
            case ModalScreen() as dialog:
                dialog.dismiss(None)

    def copy_to_clipboard(self, text: str) -> None:
        """By OSC 52, and in a wrap too where tmux or GNU screen stands between."""
        super().copy_to_clipboard(copyable_text(text))
        if self._driver is not None and (wrapped := passed_on(text, os.environ)):
            self._driver.write(wrapped)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Textual's own commands, less those that the registry of actions has."""
        return (c for c in super().get_system_commands(screen) if c.title in _SYSTEM_COMMANDS)

    def _handle_exception(self, error: Exception) -> None:
        """Leave with one line and keep the traceback in the log; tests still see the error itself."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        lines = [write_crash_log(error), rescue(self.explorer)]
        self.panic(Text("\n".join(line for line in lines if line)))
