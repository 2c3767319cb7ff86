"""The manual: its topics beside the chosen page."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from icltui.storage.manual import TOPICS, page
from icltui.text.rich_markdown import MarkdownPage
from icltui.tui.dialogs.dialog import Dialog
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.vim_scroll import VimScroll


class PageView(VerticalScroll, VimScroll, can_focus=True):
    """The text of a page, to scroll.

    Rich draws it in one piece: Textual's own widget for Markdown mounts a widget for each cell of a table.
    """

    def __init__(self) -> None:
        super().__init__()
        self._text = Static(id="manual-text")

    def compose(self) -> ComposeResult:
        """One text."""
        yield self._text

    def show(self, topic: str) -> None:
        """Show the topic's page from its top."""
        self._text.update(MarkdownPage(page(topic)))
        self.scroll_home(animate=False)


class ManualDialog(Dialog[None]):
    """Closes with nothing.

    Args:
        topic: whose page to begin with; empty: the first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding(
            "manual.close", "escape,q", "dismiss(None)", "Close", "Back to where the manual was opened"
        ),
        key_binding("manual.next", "right_square_bracket", "turn(1)", "Next page", "Show the next page"),
        key_binding(
            "manual.previous", "left_square_bracket", "turn(-1)", "Page before", "Show the page before"
        ),
    ]

    def __init__(self, topic: str = "") -> None:
        super().__init__()
        self._first = list(TOPICS).index(topic) if topic in TOPICS else 0
        self._topics = OptionList(*(Option(name, id=name) for name in TOPICS), id="topics", markup=False)
        self._page = PageView()

    def compose(self) -> ComposeResult:
        """The topics, and the page of one of them."""
        with Horizontal(classes="dialog tall manual") as dialog:
            dialog.border_title = "Manual"
            dialog.border_subtitle = "[ ] turn the page · tab to the topics · esc closes"
            yield self._topics
            yield self._page

    def on_mount(self) -> None:
        """Begin in the first page, or in that of the topic."""
        self._topics.highlighted = self._first
        self._page.focus()

    @on(OptionList.OptionHighlighted)
    def show_page(self, highlighted: OptionList.OptionHighlighted) -> None:
        """Show the page of the topic under the cursor."""
        self._page.show(str(highlighted.option_id))

    @on(OptionList.OptionSelected)
    def read_page(self) -> None:
        """Go from the topic to its page."""
        self._page.focus()

    def action_turn(self, step: int) -> None:
        """Show the page of the next topic or the one before."""
        self._topics.highlighted = ((self._topics.highlighted or 0) + step) % len(TOPICS)
