"""The tabs of the three pages that a small terminal shows one at a time."""

from dataclasses import dataclass

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static


@dataclass(frozen=True)
class ScreenPage:
    """A page: its name, the container whose focus shows it, its digits, and the pane that a click goes to."""

    name: str
    container: str
    digits: str
    pane: str


PAGES = (
    ScreenPage("prompt", "prompt", "1-3", "context"),
    ScreenPage("numbers", "numbers", "4-8 0", "stream"),
    ScreenPage("lanes", "lanes", "9", "lanes"),
)


class PageTabs(Static):
    """One line with the three names, that of the shown page reversed."""

    page: reactive[str] = reactive("numbers")

    def render(self) -> Content:
        return Content(" ").join([self._page_label(page) for page in PAGES])

    def _page_label(self, page: ScreenPage) -> Content:
        name = Content.from_markup(
            f"[@click=screen.show_pane('{page.pane}')] {page.digits} {page.name.capitalize()} [/]"
        )
        return name.stylize("bold reverse") if page.name == self.page else name
