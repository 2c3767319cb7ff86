"""Changes of the explorer are gathered, and what shows them is drawn at most eight times a second."""

from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable, Mapping, Sequence, Set
from time import monotonic

from textual.screen import Screen

from icltui.tui.state.change import Change
from icltui.tui.widgets.messages import ExplorerChanged

REDRAW_EVERY = 1 / 8
"""Seconds between two drawings of what streams in."""
_GATHERED = 0.001
"""Seconds for what comes in one go."""
Drawer = tuple[Set[Change], Callable[[], object]]
"""Draws what any of the changes shows in."""


class Redraw:
    """Draws in the screen's own queue: changes come from wherever the engine is heard.

    Args:
        screen: gets :class:`.ExplorerChanged` after each drawing.
        drawers: are called in this order.
        at_once: what cannot wait.
    """

    def __init__(
        self,
        screen: Screen[None],
        drawers: Sequence[Drawer],
        at_once: Mapping[Change, Callable[[], object]],
    ) -> None:
        self._screen, self._drawers, self._at_once = screen, drawers, at_once
        self._due: set[Change] = set()
        self._drawn_at = 0.0
        self._timer: TimerHandle | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether something is still to be drawn."""
        return bool(self._due)

    def note(self, change: Change) -> None:
        """Draw a change soon: at once if the last drawing is long past, else together with what comes until then."""
        if change in self._at_once:
            self._at_once[change]()
        self._due.add(change)
        if self._timer is None:
            wait = self._drawn_at + REDRAW_EVERY - monotonic()
            # Textual's own timer skips what it is late for: one of a millisecond may never fire.
            self._timer = get_running_loop().call_later(
                max(wait, _GATHERED), self._screen.call_next, self.draw
            )

    def draw(self) -> None:
        """Draw what is due."""
        self._timer, self._drawn_at = None, monotonic()
        due, self._due = frozenset(self._due), set()
        for changes, draw in self._drawers:
            if changes & due or Change.DOCUMENT in due:  # another document shows everywhere
                draw()
        self._screen.post_message(ExplorerChanged(due))

    def draw_all(self) -> None:
        """Draw everything there is at once."""
        self._due = set(Change)
        self.draw()
        self._drawn_at = 0.0  # the first change need not wait
