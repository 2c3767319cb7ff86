"""Where everything stands on the explorer's screen, and how one gets around on it.

Prompt and layers are on the left, numbers and lanes on the right. Below 100×30 the screen shows one of three pages at a
time, with the same widgets: the page follows the focus. Unit, layer, measure and scale are one state, shared by all.
"""

from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus, Resize
from textual.reactive import reactive
from textual.widgets import Input, Static

from icltui.report.measures import MEASURES
from icltui.tui.actions import BINDINGS
from icltui.tui.main.history import HistoryScreen
from icltui.tui.main.output import OutputScreen
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.panes import TABS
from icltui.tui.widgets.footer import KeyFooter
from icltui.tui.widgets.lanes import Lanes
from icltui.tui.widgets.layer_list import LayerList
from icltui.tui.widgets.page_tabs import PAGES, PageTabs
from icltui.tui.widgets.prompt_editor import PromptEditor
from icltui.tui.widgets.result_tabs import ResultTabs
from icltui.tui.widgets.status_line import StatusLine

SMALLEST = (60, 18)
ROOMY = (100, 30)


_TYPED = {"show_pane": "jump_to_pane", "find_text": "type_find", "jump_by_letter": "jump_by_letter"}
"""Actions that move the focus, and what their keys call; the palette calls the first, also from an editor."""


def _typed_ahead(binding: BindingType) -> BindingType:
    """A jump acts before the next key is handed out, else letters typed at once behind it would be commands."""
    name = binding.action.split("(")[0] if isinstance(binding, Binding) else ""
    if not isinstance(binding, Binding) or name not in _TYPED:
        return binding
    return replace(binding, action=binding.action.replace(name, _TYPED[name], 1), priority=True)


class LayoutScreen(HistoryScreen, OutputScreen):
    """The panes, without what goes on in them."""

    BINDINGS: ClassVar[list[BindingType]] = [_typed_ahead(binding) for binding in BINDINGS]
    AUTO_FOCUS = "StreamTable"
    ESCAPE_TO_MINIMIZE = False
    ALLOW_IN_MAXIMIZED_VIEW = "KeyFooter, StatusLine, #banner"

    unit: reactive[int] = reactive(0, repaint=False)
    shown_layer: reactive[int] = reactive(0, repaint=False)
    measure: reactive[str] = reactive("delta_norm", repaint=False)
    is_log: reactive[bool] = reactive(False, repaint=False)

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(explorer)
        self.context = PromptEditor("1 Context", id="context", placeholder="what the model is to learn from")
        self.question = PromptEditor("2 Query", id="query", placeholder="what it is to continue")
        self.layer_list = LayerList(id="layers")
        self.numbers = ResultTabs(explorer)
        self.lanes = Lanes(id="lanes")
        self.banner = Static("", id="banner", markup=False)

    def compose(self) -> ComposeResult:
        """Everything there is; the stylesheet says what shows at which size."""
        yield StatusLine(self.explorer)
        yield PageTabs(id="pages")
        yield self.banner
        with Horizontal(id="body"):
            with Vertical(id="prompt"):
                yield self.context
                yield self.question
                yield self.layer_list
            with Vertical(id="results"):
                yield self.numbers
                yield self.lanes
        yield Static("", id="too-small", markup=False)
        yield KeyFooter()

    def watch_unit(self, unit: int) -> None:
        """One unit everywhere."""
        self.numbers.unit = self.layer_list.unit = unit

    def watch_shown_layer(self, layer: int) -> None:
        """One layer everywhere."""
        self.numbers.shown_layer = self.layer_list.shown_layer = layer

    def watch_measure(self, measure: str) -> None:
        """One measure everywhere."""
        self.numbers.measure = self.layer_list.measure = measure

    def watch_is_log(self, is_log: bool) -> None:
        """One scale everywhere."""
        self.numbers.is_log = self.layer_list.is_log = is_log

    # Room.

    @on(Resize)
    def fit_room(self, event: Resize) -> None:
        """All at once where there is room, one page where there is little, one line where there is none."""
        width, height = event.size
        self.set_class(width < SMALLEST[0] or height < SMALLEST[1], "-tiny")
        self.set_class(width < ROOMY[0] or height < ROOMY[1], "-paged")
        self._show_page()
        need = f"{SMALLEST[0]}×{SMALLEST[1]}"
        self.query_one("#too-small", Static).update(f"terminal too small: {width}×{height}, needs {need}")

    @on(DescendantFocus)
    def follow_focus(self, event: DescendantFocus) -> None:
        """Turn to the page that the focus is on."""
        if event.widget is not self.focused:
            return  # already elsewhere
        ids = {node.id for node in event.widget.ancestors_with_self}
        page = next((page for page in PAGES if page.container in ids), None)
        if page:
            self._turn_to(page.name)

    def _turn_to(self, name: str) -> None:
        self.query_one(PageTabs).page = name
        self._show_page()

    def _show_page(self) -> None:
        """Only where pages are turned: each change of the screen's classes restyles all of it."""
        present = self.query_one(PageTabs).page
        is_paged = self.has_class("-paged")
        for page in PAGES:
            self.set_class(is_paged and page.name == present, f"-on-{page.name}")

    # Getting around.

    def action_move_measure(self, step: int) -> None:
        """The next measure or the one before, round and round."""
        names = list(MEASURES)
        self.measure = names[(names.index(self.measure) + step) % len(names)]

    def action_switch_log_scale(self) -> None:
        """Logarithmic or linear."""
        self.is_log = not self.is_log

    def action_move_coloring(self, step: int) -> None:
        """Colour the text by another number; from elsewhere, show it first."""
        if self.numbers.current == "text":
            self.numbers.strip.move_coloring(step)
        else:
            self.action_show_pane("text")

    def action_next_plot(self) -> None:
        """Plot something else; from elsewhere, show the plots first."""
        if self.numbers.current == "plots":
            self.numbers.next_plot()
        else:
            self.action_show_pane("plots")

    def action_move_tab(self, step: int) -> None:
        """The next tab or the one before."""
        self.action_show_pane(self.numbers.neighbour(step))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In an editor digits and the slash are text."""
        is_text = action in ("jump_to_pane", "type_find") and isinstance(self.focused, PromptEditor | Input)
        return not is_text and super().check_action(action, parameters)

    def action_jump_to_pane(self, pane: str) -> None:
        """Jump by a digit."""
        self.action_show_pane(pane)

    def action_show_pane(self, pane: str) -> None:
        """Jump to a pane, whatever page it is on; the focus moves now, not after the keys typed ahead."""
        if not self.is_mounted:
            return  # typed before there is anything to see
        self.maximized = None
        if pane in TABS:
            self._turn_to("numbers")
            self.numbers.show_tab(pane)
        elif pane == "lanes":
            self._turn_to("lanes")
            self.set_focus(self.lanes.children[0])
        else:
            self._turn_to("prompt")
            self.set_focus(self.query_one(f"#{pane}"))

    def action_zoom_pane(self) -> None:
        """The focused pane alone, or all again."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)
