"""The keys by which a text is scrolled, the same wherever there is one."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget


class VimScroll(Widget):
    """A widget that scrolls by letters as well; its arrows are Textual's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", False, tooltip="One line down", id="scroll.down"),
        Binding("k", "scroll_up", "Up", False, tooltip="One line up", id="scroll.up"),
        Binding("g", "scroll_home", "Top", False, tooltip="To the top", id="scroll.top"),
        Binding("G", "scroll_end", "Bottom", False, tooltip="To the bottom", id="scroll.bottom"),
        Binding("ctrl+d", "page_down", "Page down", False, tooltip="A page down", id="scroll.page_down"),
        Binding("ctrl+u", "page_up", "Page up", False, tooltip="A page up", id="scroll.page_up"),
    ]
