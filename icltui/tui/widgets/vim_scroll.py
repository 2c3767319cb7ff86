"""Vim's keys for scrolling a text."""

from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from icltui.tui.widgets.bindings import key_binding


class VimScroll(Widget):
    """A widget that scrolls by letters as well as by Textual's own keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("scroll.down", "j", "scroll_down", "Down", "One line down"),
        key_binding("scroll.up", "k", "scroll_up", "Up", "One line up"),
        key_binding("scroll.top", "g", "scroll_home", "Top", "To the top"),
        key_binding("scroll.bottom", "G", "scroll_end", "Bottom", "To the bottom"),
        key_binding("scroll.page_down", "ctrl+d", "page_down", "Page down", "A page down"),
        key_binding("scroll.page_up", "ctrl+u", "page_up", "Page up", "A page up"),
    ]
