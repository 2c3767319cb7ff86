"""The engine on the explorer's screen: started, stopped, given a model. No key waits for it: it may be far or stuck."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec.structs import replace
from textual.screen import ModalScreen

from icltui.storage.recent_models import recent_models, remember_model
from icltui.tui.main.actions_base import ScreenActions, ScreenParts


class EngineActions(ScreenActions):
    """Starting and stopping the engine, and loading its model."""

    def __init__(self, parts: ScreenParts) -> None:
        super().__init__(parts)
        self._turn = asyncio.Lock()
        explorer = parts.explorer
        self._remembered = explorer.models.load if explorer.jobs.is_loaded else None

    def engage(self, act: Callable[[], Awaitable[object]]) -> None:
        """Start, stop or load while keys go on, one after the other in the order in which they were asked for."""
        self._screen.run_worker(self._in_turn(act), group="engine")

    async def _in_turn(self, act: Callable[[], Awaitable[object]]) -> None:
        async with self._turn:
            await act()

    def action_load_model(self, name: str = "") -> None:
        """Load another model, as it was loaded before; without a name, ask for one."""
        if name:
            from icltui.tui.state.model_form import blank  # which the first frame does not need

            models = self._explorer.models
            usual = replace(blank(models.load), model=name)
            load = next((load for load in recent_models(models.place) if load.model == name), usual)
            self.engage(lambda: self._explorer.load_model(load))
        else:
            self._begin(self._load_model)

    async def _load_model(self) -> None:
        from icltui.tui.dialogs.load_model import LoadModelDialog

        self._editors.take()
        load = await self._ask(LoadModelDialog(self._explorer.models))
        if load is not None:
            self.engage(lambda: self._explorer.load_model(load))

    def draw_model_estimate(self) -> None:
        """Show the dialog, if it is open, what is known of the model in it."""
        dialog = self._screen.app.screen
        if not isinstance(dialog, ModalScreen) or not dialog.is_mounted:
            return
        from icltui.tui.dialogs.load_model import LoadModelDialog

        if isinstance(dialog, LoadModelDialog):
            dialog.draw_model_estimate()

    def remember_loaded(self) -> None:
        """Put a model that has been loaded at the top of the list of those to choose from."""
        models = self._explorer.models
        if self._explorer.jobs.is_loaded and models.load is not self._remembered:
            self._remembered = load = models.load
            model = self._explorer.model
            self._screen.run_worker(
                lambda: remember_model(load, models.place, model), thread=True, group="recent"
            )
