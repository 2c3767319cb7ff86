"""The part of the explorer's screen that deals with files: save, open, new, and asking before work is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from textual import work
from textual.screen import Screen

from icltui.storage.paths import is_example, sessions_folder, unused_path
from icltui.storage.sessions import write_session
from icltui.tui.dialogs.confirm import UnsavedDialog
from icltui.tui.dialogs.dialog import ClosesOnce
from icltui.tui.dialogs.open_session import OpenSessionDialog
from icltui.tui.dialogs.save_session import SaveSessionDialog
from icltui.tui.draw.text import display
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.session_conversion import without_words
from icltui.values.errors import SessionError


class DocumentScreen(ClosesOnce[None], Screen[None]):
    """A screen over one explorer whose session can be saved, opened and left."""

    def __init__(self, explorer: Explorer) -> None:
        super().__init__()
        self.explorer = explorer
        self._writer = ThreadPoolExecutor(1, "save")

    def take_edits(self) -> None:
        """Bring what the editors hold into the explorer; the subclass has the editors."""

    @work(exclusive=True, group="document")
    async def action_save_session(self) -> None:
        """Save to the session's own file, or ask for one."""
        await self._save(self.explorer.document.path)

    @work(exclusive=True, group="document")
    async def action_save_session_as(self) -> None:
        """Save to a file that is asked for."""
        await self._save(None)

    @work(exclusive=True, group="document")
    async def action_open_session(self) -> None:
        """Open a session in place of this one."""
        await self.unless_kept(self._open)

    @work(exclusive=True, group="document")
    async def action_new_session(self) -> None:
        """An empty session in place of this one."""
        await self.unless_kept(self._new)

    @work(exclusive=True, group="document")
    async def leave(self) -> None:
        """End the app, unless the user would rather keep unsaved work."""
        await self.unless_kept(self._exit)

    async def unless_kept(self, go_on: Callable[[], Awaitable[object]]) -> None:
        """Go on at once if nothing is lost by it, else as the user says."""
        self.take_edits()
        if self.explorer.is_unsaved:
            answer = await self.app.push_screen_wait(UnsavedDialog(self.explorer.document.title))
            if answer != "Discard" and not (
                answer == "Save" and await self._save(self.explorer.document.path)
            ):
                return
        await go_on()

    async def _save(self, path: Path | None) -> bool:
        """Whether the session was saved."""
        self.take_edits()
        if path is None or is_example(path):
            return await self._save_as(self._proposal())
        if path == self.explorer.document.path and self.explorer.document.is_overtaken:
            return await self._save_as(path, "another program has written this file since it was opened")
        try:
            await self._write(path)
        except SessionError as error:
            return await self._save_as(path, str(error))
        return True

    async def _save_as(self, proposal: Path, complaint: str = "") -> bool:
        saved = await self.app.push_screen_wait(SaveSessionDialog(proposal, self._write, complaint))
        return saved is not None

    def _proposal(self) -> Path:
        """A name that is free in the folder of sessions."""
        return unused_path(sessions_folder(), self.explorer.document.title)

    async def _write(self, path: Path) -> None:
        """On a thread, as a large session takes seconds; on one, or an older state could come to lie over a newer."""
        document = self.explorer.document
        session = self.explorer.session(document.title if path == document.path else path.stem)
        await asyncio.get_running_loop().run_in_executor(self._writer, write_session, path, session)
        note = without_words(self.explorer.saved(path, session))
        self.notify(display(f"saved to {path}{note}"), markup=False)

    async def _open(self) -> None:
        opened = await self.app.push_screen_wait(OpenSessionDialog())
        if opened:
            self.explorer.open(*opened)

    async def _new(self) -> None:
        self.explorer.close()

    async def _exit(self) -> None:
        self.explorer.is_unsaved = False  # saved, or knowingly discarded
        self.app.exit()
