"""The tabs of the three pages that a small terminal shows one at a time."""

from dataclasses import dataclass

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static


@dataclass(frozen=True)
class ScreenPage:
    """A page: its name, the container whose focus shows it, its keys, and the pane that a click goes to."""

    name: str
    container: str
    keys: str
    pane: str


PAGES = (
    ScreenPage("prompt", "prompt", "1-3", "context"),
    ScreenPage("numbers", "numbers", "4-8 0 x u t", "stream"),
    ScreenPage("lanes", "lanes", "9", "lanes"),
)


def pane_link(pane: str, label: str, is_shown: bool, margin: str = " ") -> Content:
    """A label that leads to ``pane`` at a click, reversed where that is shown."""
    link = Content.from_markup(f"[@click=screen.show_pane('{pane}')]{margin}{label}{margin}[/]")
    return link.stylize("bold reverse") if is_shown else link


class PageTabs(Static):
    """One line with the three names, that of the shown page reversed."""

    page: reactive[str] = reactive("numbers")

    def render(self) -> Content:
        labels = ((page.pane, f"{page.keys} {page.name.capitalize()}", page.name) for page in PAGES)
        return Content(" ").join([pane_link(pane, label, name == self.page) for pane, label, name in labels])
