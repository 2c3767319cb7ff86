"""The part of the explorer's screen that deals with the engine. No key waits for it: it may be far away, or stuck."""

import asyncio
from collections.abc import Awaitable, Callable

from textual import work

from icltui.storage.recent_models import remember_model
from icltui.tui.dialogs.load_model import LoadModelDialog
from icltui.tui.main.document import DocumentScreen
from icltui.tui.state.explorer import Explorer


class EngineScreen(DocumentScreen):
    """A screen over one explorer whose engine can be started, stopped and given another model."""

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(explorer)
        self._turn = asyncio.Lock()
        self._remembered = explorer.models.load if explorer.jobs.is_loaded else None

    def engage(self, act: Callable[[], Awaitable[object]]) -> None:
        """Start, stop or load behind the keys, one after the other in the order in which they were asked for."""
        self.run_worker(self._in_turn(act), group="engine")

    async def _in_turn(self, act: Callable[[], Awaitable[object]]) -> None:
        async with self._turn:
            await act()

    @work(exclusive=True, group="document")
    async def action_load_model(self) -> None:
        """Another model in place of this one."""
        self.take_edits()
        load = await self.app.push_screen_wait(LoadModelDialog(self.explorer.models))
        if load is not None:
            self.engage(lambda: self.explorer.load_model(load))

    def draw_model_estimate(self) -> None:
        """Show the dialog, if it is open, what is known of the model in it."""
        if isinstance(dialog := self.app.screen, LoadModelDialog) and dialog.is_mounted:
            dialog.draw_model_estimate()

    def remember_loaded(self) -> None:
        """Put a model that has been loaded at the top of the list of those to choose from."""
        models = self.explorer.models
        if self.explorer.jobs.is_loaded and models.load is not self._remembered:
            self._remembered = load = models.load
            self.run_worker(lambda: remember_model(load, models.place), thread=True, group="recent")
