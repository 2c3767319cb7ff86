"""The explorer as an application: one client, one session, one screen, and a clean way out.

It starts the engine after the first frame, restores the terminal on signals, and leaves one line instead of a
traceback when something goes wrong that nobody foresaw.
"""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import on
from textual.app import App
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.driver import Driver
from textual.events import DescendantFocus, Event, InputEvent
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import ModalScreen, Screen
from textual.theme import Theme
from textual.widgets import Input, TextArea

from icltui.api.engine import Client
from icltui.api.messages import LoadModel
from icltui.storage.config import Config
from icltui.storage.paths import is_example
from icltui.tui.actions import QUIT
from icltui.tui.draw.safe_text import display
from icltui.tui.main.keep_and_recover import UnsavedWork
from icltui.tui.main.screen import ExplorerScreen
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.pane_names import ROWS_SCREEN
from icltui.tui.system.apply_settings import apply_config, bind_without_usual_key, remember_theme
from icltui.tui.system.crash_log import write_crash_log
from icltui.tui.terminal.frame_diff import FrameDiff
from icltui.tui.terminal.graphics import QUERY, Graphics, GraphicsQuery
from icltui.tui.terminal.messages import (
    PasteTruncated,
    TerminalLost,
    TerminalReply,
    TerminalReset,
    UndecodableInput,
)
from icltui.tui.terminal.osc52 import copyable_text, passed_on
from icltui.tui.terminal.terminal_modes import ResettableDriver
from icltui.tui.widgets.messages import ExplorerChanged
from icltui.values import Session

if TYPE_CHECKING:
    from icltui.tui.main.rows_screen import RowsScreen
    from icltui.tui.system.measurement_log import MeasurementLog

_SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT")
_NO_COLOR = NoColor()


class IcltuiApp(App[None]):
    """The explorer.

    Args:
        client: the engine, not started yet.
        load: the model to load.
        session: what to open on; its saved numbers show at once.
        path: the file that the session came from.
        notice: what to show at the start, a notification for each line.
        config: the user's settings.
        theme: the theme to begin with, whatever the settings say.
        place: the command by which the engine runs, where the user gave one.
        has_tour: whether to begin with the tour.
        folder: whose rows to browse; the engine then starts once one of them is opened.
        log: makes what writes the explorer's measurements to a database.
        has_launcher: whether to offer the last sessions and the examples over what shows at the start.
    """

    TITLE = "icltui"
    CSS_PATH = "icltui.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [QUIT]

    def __init__(
        self,
        client: Client,
        load: LoadModel,
        session: Session | None = None,
        path: Path | None = None,
        notice: str = "",
        config: Config | None = None,
        theme: str = "",
        place: str = "",
        has_tour: bool = False,
        folder: Path | None = None,
        log: "Callable[[Explorer], MeasurementLog] | None" = None,
        has_launcher: bool = False,
    ) -> None:
        super().__init__()
        self._config = config or Config()
        self._notices = [*notice.splitlines(), *apply_config(self, self._config, theme)]
        self._first_theme = self.theme
        self._first_variables, self._has_begun = self.get_css_variables(), False
        self.stylesheet.set_variables(self._first_variables)  # which has those of Textual's theme until now
        self.explorer = Explorer(client, load, session, path)
        self.explorer.models.place = place
        self.unsaved_work = UnsavedWork(self, self.explorer)
        self.measurement_log = log and log(self.explorer)
        self._client, self._has_tour, self._has_launcher = client, has_tour, has_launcher
        self._load, self._folder = load, folder
        self._frame = FrameDiff()
        self._asked: GraphicsQuery | None = None
        self._has_warned_of_bytes = False

    def get_default_screen(self) -> Screen[None]:
        """The explorer's screen, from the first frame on."""
        screen = ExplorerScreen(self.explorer)
        bind_without_usual_key(screen)
        return screen

    def get_driver_class(self) -> type[Driver]:
        """Our driver where Textual would take its own for terminals; any other choice of Textual stays."""
        found = super().get_driver_class()
        if found.__module__ != "textual.drivers.linux_driver":
            return found
        try:
            from icltui.tui.terminal.driver import TerminalDriver  # of what not every platform has
        except ImportError:  # a Textual that is another one inside
            return found
        return TerminalDriver

    def on_load(self) -> None:
        """Listen for signals before the terminal is taken, since it must be given back."""
        loop = asyncio.get_running_loop()
        for name in _SIGNALS:
            # Not every platform has them, and only the main thread may ask.
            with suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
                number = getattr(signal, name)
                loop.add_signal_handler(number, self._leave_on_signal, number)

    def on_mount(self) -> None:
        """Start the engine after the first frame."""
        for notice in self._notices:
            self.notify(display(notice), timeout=8, markup=False)
        self.theme_changed_signal.subscribe(self, self._remember_theme)
        self.app_resume_signal.subscribe(self, lambda _app: self.draw_anew())
        for begin in (gc.freeze, gc.enable):  # turned off for the start, whose objects all stay
            self.call_after_refresh(begin)
        if self.measurement_log is not None:
            self.call_after_refresh(self.measurement_log.start)
        if self._folder is not None:
            from icltui.tui.main.rows_screen import RowsScreen

            self.install_screen(RowsScreen(self._folder), ROWS_SCREEN)
            self.push_screen(ROWS_SCREEN)
            return
        self.call_after_refresh(self.run_worker, self.explorer.start)
        self.call_after_refresh(self.run_worker, self._welcome)

    async def _welcome(self) -> None:
        """Offer unsaved work, else the last sessions and the examples; then begin the tour, where that is due.

        Whoever typed already, or opened something, is at work and is not asked.
        """
        if (
            await self.unsaved_work.offer_recovery() or not self._screen_stack
        ):  # the user may have left meanwhile
            return
        screen = self.screen
        if not isinstance(screen, ExplorerScreen) or self.explorer.is_unsaved:
            return
        path = await screen.files.launch(screen.engine.engage) if self._has_launcher else None
        if self._has_tour and (path is None or is_example(path)):
            screen.guide.action_start_tour()

    def on_rows_screen_opened(self, event: "RowsScreen.Opened") -> None:
        """Show a row in the explorer; what is not saved there is asked about before it goes."""
        if isinstance(explorer := self.screen_stack[0], ExplorerScreen):
            from icltui.tui.state.rows.row_session import load_of

            load = load_of(event.row, self._load)
            explorer.files.open_row(event.session, load, explorer.engine.engage)

    def on_rows_screen_left(self) -> None:
        """Show the explorer below the rows, once one of them has been opened there."""
        if self._is_on_rows and self.explorer.jobs.engine != "off":
            self.pop_screen()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Show no colours at all under NO_COLOR and a theme of the terminal's own colours, which have no greys.

        Textual decides this once, before the theme is chosen, and would show black on black.
        """
        filters = super().get_line_filters()
        if not self.native_ansi_color:
            return filters
        return [_NO_COLOR if isinstance(filter_, Monochrome) else filter_ for filter_ in filters]

    def refresh_css(self, animate: bool = True) -> None:
        """Style everything anew, but not at the start: Textual asks for it as soon as it knows the theme.

        Every widget is styled by that theme already, and would be parsed, styled and laid out a second time.
        """
        variables = self.get_css_variables()
        if self._has_begun or variables != self._first_variables:
            super().refresh_css(animate)
        self._has_begun = True

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Send what differs from what the terminal shows."""
        is_shown = self._running and not self._closed and not self._batch_count and not self.is_headless
        if renderable is not None and is_shown and self._driver is not None:
            renderable = self._frame.reduce(renderable, self.console)
        super()._display(screen, renderable)

    async def on_event(self, event: Event) -> None:
        """Take no key once the screens have closed: one that comes as the program ends would look for them in vain."""
        if self._screen_stack or not isinstance(event, InputEvent):
            await super().on_event(event)

    def action_redraw(self) -> None:
        """Reset the terminal's modes and send every cell again: another program may have written there."""
        if isinstance(self._driver, ResettableDriver):
            self._driver.reset()
        else:
            self.draw_anew()

    @on(TerminalReset)
    def draw_anew(self) -> None:
        """Send every cell, whatever was sent before."""
        self._frame = FrameDiff()  # which knows of no cell
        if (
            self._screen_stack and self.screen.size == self.size
        ):  # or else all is laid out and sent in a moment
            self.screen.refresh()

    @on(UndecodableInput)
    def warn_of_bytes(self, event: UndecodableInput) -> None:
        """Warn of input that cannot be decoded: of each paste, but of keys once, since each would say the same."""
        if event.is_paste:
            what = "a byte of the paste is" if event.n == 1 else f"{event.n:,} bytes of the paste are"
            self._warn(f"{what} not UTF-8: shown as \ufffd")
        elif not self._has_warned_of_bytes:
            self._has_warned_of_bytes = True
            self._warn(
                "the terminal sent a byte that is not UTF-8, which was ignored: "
                "set its encoding to UTF-8, or its Alt key to send Escape"
            )

    @on(PasteTruncated)
    def warn_of_cut(self, event: PasteTruncated) -> None:
        """Warn of a paste that is not taken whole."""
        self._warn(f"the paste is too long: its last {event.n:,} characters are left out")

    def _warn(self, line: str) -> None:
        self.notify(display(line), severity="warning", timeout=8, markup=False)

    @on(TerminalLost)
    def leave_without_terminal(self) -> None:
        """Leave as when the terminal hangs up."""
        self._leave_on_signal(signal.SIGHUP)

    def _leave_on_signal(self, number: int) -> None:
        """Leave without a question: the sender of a signal cannot be asked whether to save."""
        self.unsaved_work.keep_for_good()
        self.exit(None, 128 + number)

    async def on_unmount(self) -> None:
        """Keep what is not saved in a file, and end the engine."""
        self.unsaved_work.keep_for_good()
        self.unsaved_work.close()
        await self._client.close()

    @on(ExplorerChanged)
    def keep_work(self, event: ExplorerChanged) -> None:
        """Keep what has changed in a file."""
        self.unsaved_work.note(event.changes)

    def _remember_theme(self, theme: Theme) -> None:
        """Remember a theme chosen in the palette for the next start, unless the settings name one."""
        if theme.name != self._first_theme:
            remember_theme(theme.name)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Stop cursors from blinking, also in Textual's own fields: each blink is bytes on a slow line."""
        if isinstance(event.widget, Input | TextArea):
            event.widget.cursor_blink = False

    async def run_action(
        self,
        action: Any,  # a text, or Textual's parse of it
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Let a worker that the action began take its first step, so that its dialog gets the next key."""
        is_handled = await super().run_action(action, default_namespace, namespaces)
        await asyncio.sleep(0)
        return is_handled

    async def graphics(self) -> Graphics:
        """What the terminal shows besides text: it is asked each time, as another one may be attached by now."""
        wanted = self._config.graphics
        if self._driver is None or self.is_headless or wanted == "off":
            return Graphics()
        self._asked = GraphicsQuery()
        self._driver.write(QUERY)
        found = await self._asked.answer()
        self._asked = None
        return found if wanted == "auto" else replace(found, pictures=wanted)

    @on(TerminalReply)
    def take_reply(self, event: TerminalReply) -> None:
        """Take what the terminal answers."""
        if self._asked is not None:
            self._asked.take(event.text)

    def write_picture(self, sequence: str) -> None:
        """Send a sequence to the terminal as it is."""
        if self._driver is not None:
            self._driver.write(sequence)

    async def action_quit(self) -> None:
        """Leave; ask first where something is not saved, and asked again keep it aside. A dialog only closes."""
        match self.screen:
            case ExplorerScreen() as screen:
                screen.files.leave()
            case ModalScreen() as dialog:
                self._quit_from(dialog)
            case _ if self._is_on_rows:
                self._leave_from_rows()

    def _quit_from(self, dialog: ModalScreen[Any]) -> None:
        from icltui.tui.dialogs.confirm import UnsavedDialog

        if isinstance(dialog, UnsavedDialog):
            self.unsaved_work.keep_for_good()
            self.exit(None, 0)
        else:
            dialog.dismiss(None)

    @property
    def _is_on_rows(self) -> bool:
        return self.is_screen_installed(ROWS_SCREEN) and self.screen is self.get_screen(ROWS_SCREEN)

    def _leave_from_rows(self) -> None:
        """Leave as from the explorer below, whose session may not be saved."""
        if isinstance(screen := self.screen_stack[0], ExplorerScreen):
            screen.files.leave()

    def copy_to_clipboard(self, text: str) -> None:
        """Copy by OSC 52, wrapped as well where tmux or GNU screen is between."""
        super().copy_to_clipboard(copyable_text(text))
        if self._driver is not None and (wrapped := passed_on(text, os.environ)):
            self._driver.write(wrapped)

    def action_command_palette(self) -> None:
        """Open the palette, in which every action is found by its words; not over a dialog."""
        self._open_palette()

    def action_change_theme(self, name: str = "") -> None:
        """Take a theme; without a name, list them."""
        if name in self.available_themes:
            self.theme = name
        else:
            self._open_palette("/theme ")

    def _open_palette(self, text: str = "") -> None:
        from icltui.tui.main.command_palette import open_palette  # which the first frame does not need

        if not isinstance(self.screen, ModalScreen):
            open_palette(self.screen, text)

    def _handle_exception(self, error: Exception) -> None:
        """Leave with one line and keep the traceback in the log; tests still see the error itself."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self.unsaved_work.keep_for_good()
        self.panic(Text(write_crash_log(error)))
