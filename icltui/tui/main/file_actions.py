"""Files on the explorer's screen: save, open, new, leave; asking first where work would be lost."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from icltui.api.messages import LoadModel
from icltui.storage.atomic import path_is_taken
from icltui.storage.paths import is_example, sessions_folder, typed_path, unused_path
from icltui.storage.recent_sessions import remember_session
from icltui.storage.sessions import read_session, write_session
from icltui.text.units import in_bytes
from icltui.tui.draw.safe_text import display
from icltui.tui.main.actions_base import ScreenActions, ScreenParts
from icltui.tui.state.session_conversion import without_words
from icltui.tui.state.wanted_model import load_of
from icltui.tui.widgets.messages import Noticed
from icltui.values import Session
from icltui.values.errors import BadInput, SessionError

_AT_ONCE = 0.2
"""Seconds of writing after which a line says that it goes on."""
Engage = Callable[[Callable[[], Awaitable[object]]], None]
"""Uses the engine without waiting for it."""


class FileActions(ScreenActions):
    """The explorer's session as a file."""

    def __init__(self, parts: ScreenParts) -> None:
        super().__init__(parts)
        self._thread = ThreadPoolExecutor(1, "save")
        self._writing: dict[Path, asyncio.Task[None]] = {}
        """The newest state that is on its way to each file."""
        self._remembered: Path | None = None

    def action_save_session(self, name: str = "") -> None:
        """Save to the session's own file, or ask for one; a name is that of a file beside the other sessions."""
        if name:
            self._begin(partial(self._save_named, name))
        else:
            self._begin(partial(self._save, self._explorer.document.path))

    async def _save_named(self, name: str) -> None:
        """Save under a name that was typed; what lies there already is asked about."""
        self._editors.take()
        try:
            typed = name if name.endswith(".json") else f"{name}.json"
            path = typed_path(typed if "/" in name else str(sessions_folder() / typed))
        except BadInput as error:
            self._screen.notify(display(str(error)), severity="error", markup=False)
            return
        if path != self._explorer.document.path and path_is_taken(path):
            await self._save_as(path, f"{path.name} is there already")
        else:
            await self._save(path)

    def action_save_session_as(self) -> None:
        """Save to a file that is asked for."""
        self._begin(partial(self._save, None))

    def action_open_session(self, path: str = "") -> None:
        """Open another session; without a path, show those there are."""
        self._begin(partial(self.unless_kept, partial(self._open_path, path) if path else self._open))

    async def _open_path(self, text: str) -> None:
        try:
            path = typed_path(text)
            session = await asyncio.to_thread(read_session, path)
        except BadInput as error:
            self._screen.notify(display(str(error)), severity="error", markup=False)
        else:
            self._explorer.open(session, path)

    def action_new_session(self) -> None:
        """Open an empty session."""
        self._begin(partial(self.unless_kept, self._new))

    def leave(self) -> None:
        """End the app, unless the user would rather keep unsaved work."""
        self._begin(partial(self.unless_kept, self._exit))

    async def unless_kept(self, go_on: Callable[[], Awaitable[object]]) -> None:
        """Call ``go_on`` at once if nothing is lost by it, else as the user decides."""
        self._editors.take()
        if self._writing:
            await asyncio.wait(self._writing.values())
        document = self._explorer.document
        if self._explorer.is_unsaved:
            from icltui.tui.dialogs.confirm import UnsavedDialog

            answer = await self._ask(UnsavedDialog(document.title))
            if answer != "Discard" and not (answer == "Save" and await self._save(document.path)):
                return
        await go_on()

    async def _save(self, path: Path | None) -> bool:
        """Whether the session was saved."""
        self._editors.take()
        if path is None or is_example(path):
            return await self._save_as(unused_path(sessions_folder(), self._explorer.document.title))
        if path == self._explorer.document.path and self._explorer.document.is_overtaken:
            return await self._save_as(path, "another program has written this file since it was opened")
        return await self._write(path)

    async def _save_as(self, proposal: Path, complaint: str = "") -> bool:
        from icltui.tui.dialogs.save_session import SaveSessionDialog

        path = await self._ask(SaveSessionDialog(proposal, complaint))
        return path is not None and await self._write(path)

    async def _write(self, path: Path) -> bool:
        """Write, and ask for another place where that fails; whoever waits may go, the file is written all the same."""
        task = self._writing[path] = asyncio.create_task(self._write_behind(path))
        try:
            await asyncio.shield(task)
        except SessionError as error:
            return await self._save_as(path, str(error))
        except asyncio.CancelledError:
            task.add_done_callback(self._tell_failure)
            raise
        return True

    async def _write_behind(self, path: Path) -> None:
        """On a thread, as a large session takes a while; on one, or an older state could come to lie over a newer."""
        document, me = self._explorer.document, asyncio.current_task()
        session = self._explorer.session(document.title if path == document.path else path.stem)
        writing = asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: write_session(path, session) if self._writing.get(path) is me else None
        )
        try:
            if not (await asyncio.wait([writing], timeout=_AT_ONCE))[0]:
                self._explorer.say(f"saving {path.name} …")
            await writing
            if self._writing.get(path) is me:  # else a newer state follows
                note = without_words(self._explorer.saved(path, session))
                stamp = self._explorer.document.stamp
                size = f", {in_bytes(stamp[-1])}" if stamp else ""
                self._explorer.say(f"saved {path.name}{size}{note}")
        finally:
            if self._writing.get(path) is me:
                del self._writing[path]

    def _tell_failure(self, task: asyncio.Task[None]) -> None:
        """Say that a file could not be written which nobody waits for."""
        if error := task.exception():
            self._screen.post_message(Noticed(f"{error} — nothing is lost: the work stays in memory", True))

    def remember_opened(self) -> None:
        """Put a file that was opened or saved at the top of the list of those to choose from."""
        path = self._explorer.document.path
        if path is not None and path != self._remembered and not is_example(path):
            self._screen.run_worker(lambda: remember_session(path), thread=True, group="recent")
        self._remembered = path

    async def launch(self, engage: Engage) -> Path | None:
        """Offer the sessions used last and the examples, over what shows already; the path of the one opened.

        One of the user's own gets the model that it was made on.
        """
        from icltui.tui.dialogs.open_session import OpenSessionDialog  # which the first frame does not need

        opened = await self._ask(OpenSessionDialog("", leave=f"stays on {self._explorer.document.title}"))
        if opened is None:
            return None
        session, path = opened
        if is_example(path):
            self._explorer.open(session, path)
        else:
            load = load_of(session, self._explorer.models)
            engage(partial(self._explorer.open_on, session, load, path))
        return path

    async def _open(self) -> None:
        from icltui.tui.dialogs.open_session import OpenSessionDialog

        if opened := await self._ask(OpenSessionDialog()):
            self._explorer.open(*opened)

    def open_row(self, session: Session, load: LoadModel, engage: Engage) -> None:
        """Show a row's session once nothing is lost by it; ``engage`` gives the engine its model."""

        async def go_on() -> None:
            engage(partial(self._explorer.open_on, session, load))
            self._screen.app.pop_screen()

        self._begin(partial(self.unless_kept, go_on))

    async def _new(self) -> None:
        self._explorer.close()
        await self._screen.run_action("show_pane('context')")
        self._editors.begin()

    async def _exit(self) -> None:
        self._explorer.is_unsaved = False  # saved, or knowingly discarded
        self._screen.app.exit()
