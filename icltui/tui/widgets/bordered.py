"""Texts in a pane's border, set only when they change: Textual repaints the whole pane each time."""

from textual.content import Content
from textual.widget import Widget


class Bordered(Widget):
    """A widget with a title in its upper border and a remark in its lower border."""

    _frame: tuple[str, str] = ("", "")

    def frame(self, title: str | Content, remark: str) -> None:
        """Set the title and the remark."""
        above = title if isinstance(title, Content) else Content(title)
        if (above.markup, remark) != self._frame:
            self._frame = (above.markup, remark)
            self.border_title, self.border_subtitle = above, Content(remark)
