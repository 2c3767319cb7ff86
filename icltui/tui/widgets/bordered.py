"""Texts in a pane's border, written only when they change: Textual repaints the whole pane at each writing."""

from textual.content import Content
from textual.widget import Widget


class Bordered(Widget):
    """A widget with a title above and a remark below."""

    _frame: tuple[str, str] = ("", "")

    def frame(self, title: str | Content, remark: str) -> None:
        """Write both, the title on the left above, the remark on the right below."""
        above = title if isinstance(title, Content) else Content(title)
        if (above.markup, remark) != self._frame:
            self._frame = (above.markup, remark)
            self.border_title, self.border_subtitle = above, Content(remark)
