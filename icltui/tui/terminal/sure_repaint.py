"""A screen on which nothing stays that has gone.

Textual repaints what a layout moved by comparing where widgets were with where they are. Between two layouts a look at
a widget that is new may arrange all of them anew (``Compositor.full_map``, Textual 8.2.8): the next layout compares the
new places with themselves, and a notice that has gone stays on the terminal, over the rows that it lay on.
"""

from typing import Any

from textual.geometry import Size
from textual.screen import Screen


class SureRepaint(Screen[Any]):
    """Repaints all of itself where the places before a layout are not known; the difference of frames sends little."""

    _places_before: object = None
    """Where everything was after the last layout."""

    def _refresh_layout(self, size: Size | None = None, scroll: bool = False) -> None:
        compositor = self._compositor
        if compositor._full_map is not self._places_before:
            compositor._dirty_regions.add(compositor.size.region)
        super()._refresh_layout(size, scroll)
        self._places_before = compositor._full_map
