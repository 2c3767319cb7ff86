"""Changes of the explorer are gathered, and what shows them is drawn at most eight times a second."""

from collections.abc import Callable, Mapping, Sequence, Set
from time import monotonic

from textual.screen import Screen

from icltui.tui.state.change import Change
from icltui.tui.widgets.messages import ExplorerChanged

REDRAW_EVERY = 1 / 8
"""Seconds between two drawings of what streams in."""
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
        self._is_called, self._drawn_at = False, 0.0

    @property
    def is_awaited(self) -> bool:
        """Whether something is still to be drawn."""
        return bool(self._due)

    def note(self, change: Change) -> None:
        """Draw a change soon."""
        if change in self._at_once:
            self._at_once[change]()
        self._due.add(change)
        if not self._is_called:
            self._is_called = self._screen.call_later(self.draw)

    def draw(self) -> None:
        """Draw now if the last drawing is long past, else together with what comes until then."""
        if (wait := self._drawn_at + REDRAW_EVERY - monotonic()) > 0:
            self._screen.set_timer(wait, self.draw)
            return
        due, self._due = frozenset(self._due), set()
        self._is_called, self._drawn_at = False, monotonic()
        self.draw_changes(due)
        self._screen.post_message(ExplorerChanged(due))

    def draw_changes(self, due: Set[Change]) -> None:
        """Draw whatever shows one of ``due``; another document shows everywhere."""
        due = set(Change) if Change.DOCUMENT in due else due
        for changes, draw in self._drawers:
            if changes & due:
                draw()
