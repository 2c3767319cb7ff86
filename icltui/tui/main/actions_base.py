"""What can be done on the explorer's screen, apart from the screen: objects whose ``action_…`` methods it offers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from textual.screen import Screen

from icltui.tui.main.prompt_editors import PromptEditors
from icltui.tui.state.explorer import Explorer
from icltui.tui.widgets.lanes import Lanes
from icltui.tui.widgets.result_tabs import ResultTabs

Answer = TypeVar("Answer")


class Cursor(Protocol):
    """What every view of the screen shows."""

    unit: int
    shown_layer: int
    measure: str
    is_log: bool


@dataclass(frozen=True)
class ScreenParts:
    """What actions act on."""

    screen: Screen[None]
    """Where dialogs open and notices appear; nothing of it but what every screen of Textual has."""
    explorer: Explorer
    cursor: Cursor
    editors: PromptEditors
    numbers: ResultTabs
    lanes: Lanes


class ScreenActions:
    """Some actions over one explorer."""

    def __init__(self, parts: ScreenParts) -> None:
        self._screen, self._explorer, self._cursor = parts.screen, parts.explorer, parts.cursor
        self._editors, self._numbers, self._lanes = parts.editors, parts.numbers, parts.lanes

    def methods(self) -> dict[str, Callable[..., object]]:
        """The actions by the names under which Textual looks for them."""
        return {name: getattr(self, name) for name in dir(self) if name.startswith("action_")}

    def _begin(self, dialogue: Callable[[], Awaitable[object]]) -> None:
        """Begin a dialogue with the user; one that is open ends."""
        self._screen.run_worker(dialogue, group="document", exclusive=True)

    async def _ask(self, dialog: Screen[Answer]) -> Answer | None:
        """Show a dialog and wait for its answer."""
        return await self._screen.app.push_screen_wait(dialog)

    def _tell(self, text: str) -> None:
        """Show one plain line; ``text`` must be safe to draw."""
        self._screen.notify(text, markup=False)
