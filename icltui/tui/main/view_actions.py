"""Getting around on the explorer's screen: panes, pages, zoom, measure, scale, colouring, plot.

Below 100×30 the screen shows one of three pages at a time, with the same widgets: the page follows the focus.
"""

from textual.dom import DOMNode
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from icltui.report.measures import MEASURES
from icltui.tui.main.actions_base import ScreenActions
from icltui.tui.state.pane_names import TABS
from icltui.tui.widgets.page_tabs import PAGES, PageTabs

SMALLEST = (60, 18)
ROOMY = (100, 30)


class ViewActions(ScreenActions):
    """Panes, pages and what they show."""

    # Room.

    def fit(self, size: Size) -> None:
        """Show all at once where there is room, one page where there is little, one line where there is none."""
        width, height = size
        self._screen.set_class(width < SMALLEST[0] or height < SMALLEST[1], "-tiny")
        self._screen.set_class(width < ROOMY[0] or height < ROOMY[1], "-paged")
        self._show_page()
        need = f"{SMALLEST[0]}×{SMALLEST[1]}"
        text = f"terminal too small: {width}×{height}, needs {need}"
        self._screen.query_one("#too-small", Static).update(text)

    def follow_focus(self, widget: DOMNode) -> None:
        """Turn to the page that the focus is on."""
        if widget is not self._screen.focused:
            return  # already elsewhere
        ids = {node.id for node in widget.ancestors_with_self}
        page = next((page for page in PAGES if page.container in ids), None)
        if page:
            self.turn_to(page.name)

    def turn_to(self, name: str) -> None:
        """Show a page."""
        self._screen.query_one(PageTabs).page = name
        self._show_page()

    def _show_page(self) -> None:
        """Only where pages are turned: each change of the screen's classes restyles all of it."""
        present = self._screen.query_one(PageTabs).page
        is_paged = self._screen.has_class("-paged")
        for page in PAGES:
            self._screen.set_class(is_paged and page.name == present, f"-on-{page.name}")

    # Getting around.

    def action_move_measure(self, step: int) -> None:
        """The next measure or the one before, round and round."""
        names = list(MEASURES)
        self._cursor.measure = names[(names.index(self._cursor.measure) + step) % len(names)]

    def action_switch_log_scale(self) -> None:
        """Logarithmic or linear."""
        self._cursor.is_log = not self._cursor.is_log

    def action_move_coloring(self, step: int) -> None:
        """Colour the text by another number; from elsewhere, show it first."""
        if self._numbers.current == "text":
            self._numbers.strip.move_coloring(step)
        else:
            self.action_show_pane("text")

    def action_next_plot(self) -> None:
        """Plot something else; from elsewhere, show the plots first."""
        if self._numbers.current == "plots":
            self._numbers.next_plot()
        elif self._numbers.current == "curves":
            self._numbers.losses.next_view()
        elif self._numbers.current == "heads":
            self._numbers.heads.next_view()
        elif self._numbers.current == "heatmap":
            if not self._numbers.next_picture():
                self._screen.notify(
                    "nothing else to show yet: B chooses a run to compare, E computes patch effects"
                )
        else:
            self.action_show_pane("plots")

    def action_move_tab(self, step: int) -> None:
        """The next tab or the one before."""
        self.action_show_pane(self._numbers.neighbour(step))

    def action_jump_to_pane(self, pane: str) -> None:
        """Jump by a digit."""
        self.action_show_pane(pane)

    def action_leap_to_pane(self, pane: str) -> None:
        """Jump by Alt and a digit, also while the user writes."""
        self.action_show_pane(pane)

    def action_show_pane(self, pane: str) -> None:
        """Jump to a pane, whatever page it is on; the focus moves now, not after the keys typed ahead."""
        if not self._screen.is_mounted:
            return  # typed before there is anything to see
        if not (pane in TABS and self._screen.maximized is self._numbers):
            self._screen.maximized = None
        if pane in TABS:
            self.turn_to("numbers")
            self._numbers.show_tab(pane)
        elif pane == "lanes":
            self.turn_to("lanes")
            self._screen.set_focus(self._lanes.children[0])
        else:
            self.turn_to("prompt")
            self._screen.set_focus(self._screen.query_one(f"#{pane}"))

    def action_zoom_pane(self) -> None:
        """The focused pane alone, or all again."""
        if self._screen.maximized is not None:
            self._screen.minimize()
        elif self._screen.focused is not None:
            self._screen.maximized = self._zoomed(self._screen.focused)

    def _zoomed(self, widget: Widget) -> Widget:
        """What fills the screen for a widget: its pane. Lanes go together with α, unless they have a page already."""
        answer = self._screen.query_one("#answer")
        groups = [self._numbers] if self._screen.has_class("-paged") else [self._numbers, answer]
        return next((pane for pane in groups if pane in widget.ancestors_with_self), widget)
