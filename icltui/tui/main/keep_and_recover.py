"""Unsaved work of the explorer: kept in a file while it runs and as it ends, offered again at the next start."""

import asyncio
from collections.abc import Set
from contextlib import suppress

from textual.app import App
from textual.timer import Timer

from icltui.storage.paths import real_path
from icltui.tui.draw.safe_text import display
from icltui.tui.main.screen import ExplorerScreen
from icltui.tui.state.change import Change
from icltui.tui.state.explorer import Explorer
from icltui.tui.system.autosave import Autosave, Orphan, orphans
from icltui.tui.system.save_on_exit import save_on_exit
from icltui.values import Session
from icltui.values.errors import SessionError

KEEP_AFTER = 5.0
"""Seconds from an edit until it is kept in a file: this much is lost at most when the machine goes down."""


class UnsavedWork:
    """Work that is in no file of the user's.

    Args:
        app: shows that work cannot be kept, and asks what to recover.
        explorer: whose work.
    """

    def __init__(self, app: App[None], explorer: Explorer) -> None:
        self._app, self._explorer = app, explorer
        self._autosave = Autosave(
            explorer, lambda line: app.notify(display(line), severity="error", markup=False)
        )
        self._timer: Timer | None = None
        self.farewell: str | None = None
        """The line to leave on the terminal, once it is known."""

    def note(self, changes: Set[Change]) -> None:
        """Keep the work after each run, and soon after an edit, until the user has saved or given up what is in it."""
        if not self._explorer.is_unsaved:
            self._autosave.forget()
        elif Change.RESULT in changes:
            self._autosave.keep()
        elif Change.SETTINGS in changes and self._timer is None:
            self._timer = self._app.set_timer(KEEP_AFTER, self._keep_edits)

    def _keep_edits(self) -> None:
        self._timer = None
        if self._explorer.is_unsaved:
            self._autosave.keep()

    def keep_for_good(self) -> None:
        """Keep the work as soon as it is known that the program ends: there may be little time."""
        if self.farewell is None:
            try:
                for screen in self._app.screen_stack:
                    if isinstance(screen, ExplorerScreen):
                        screen.editors.take()  # what was typed last may not have been taken yet
                self.farewell = save_on_exit(self._explorer, self._autosave)
            except Exception as error:  # noqa: BLE001 -- whatever is wrong, the terminal must still be restored
                self.farewell = f"icltui: unsaved work is lost: {display(str(error))}"

    def close(self) -> None:
        """Release the kept work, which another program may then find."""
        self._autosave.close()

    async def offer_recovery(self) -> bool:
        """Open work that an earlier program left; it is removed from there only once it is kept here.

        Returns:
            Whether there was any that the user wanted.
        """
        found = await asyncio.to_thread(orphans)
        opened = next(filter(None, map(self._opened_already, found)), None)
        if opened:
            await self._recover(*opened)
            return True
        if not found:
            return False
        from icltui.tui.dialogs.recover import RecoverDialog

        if chosen := await self._app.push_screen_wait(RecoverDialog(found)):
            screen = self._app.screen_stack[0]
            if isinstance(screen, ExplorerScreen):  # on which a slow disk has left time to type
                await screen.files.unless_kept(lambda: self._recover(*chosen))
            return True
        return False

    async def _recover(self, orphan: Orphan, session: Session) -> None:
        self._explorer.open(session, None)
        self._explorer.is_unsaved = True  # no file of the user's has it
        with suppress(SessionError, OSError):  # Autosave tells the first
            await asyncio.wrap_future(self._autosave.keep())
            orphan.delete()

    def _opened_already(self, orphan: Orphan) -> tuple[Orphan, Session] | None:
        """``orphan`` where it is the very file that the program was started with."""
        path = self._explorer.document.path
        if path is None or real_path(path) != real_path(orphan.path):
            return None
        return orphan, self._explorer.session(orphan.title)
