"""A switcher whose views are made when they are asked for and mounted when they are first shown.

A view costs an import and a mount, and most tabs are never shown. Unit, layer, measure and scale are the same in all
views: one that is made later begins at what they are then.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from textual.app import ComposeResult
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from icltui.tui.widgets.stream_table import StreamTable

if TYPE_CHECKING:
    from icltui.tui.widgets.exam_view import ExamView
    from icltui.tui.widgets.heads_view import HeadsView
    from icltui.tui.widgets.heatmap import Heatmap
    from icltui.tui.widgets.log_view import LogView
    from icltui.tui.widgets.loss_view import LossPlots
    from icltui.tui.widgets.plot_panel import PlotPanel
    from icltui.tui.widgets.token_strip import TokenStrip
    from icltui.tui.widgets.verify_view import VerifyView

V = TypeVar("V", bound=Widget)
_SHARED: Mapping[str, tuple[str, ...]] = {
    "stream": ("unit", "shown_layer", "measure", "is_log"),
    "plots": ("unit", "shown_layer", "measure", "is_log"),
    "heatmap": ("unit", "shown_layer", "measure", "is_log"),
    "text": ("unit", "shown_layer", "is_log"),
    "heads": ("shown_layer",),
}
"""What each tab shares with the others."""
_NAMES = {"verify": "proof", "curves": "losses", "log": "log_view", "text": "strip"}
"""The views that are not called what their tab is."""


class TabViews(ContentSwitcher):
    """The views of the tabs; the table is shown first."""

    unit: reactive[int] = reactive(0, repaint=False)
    shown_layer: reactive[int] = reactive(0, repaint=False)
    measure: reactive[str] = reactive("delta_norm", repaint=False)
    is_log: reactive[bool] = reactive(True, repaint=False)

    def __init__(self, *, id: str, classes: str) -> None:
        super().__init__(id=id, classes=classes, initial="stream")
        self._made: dict[str, Widget] = {}
        self.fed: set[str] = set()
        """The tabs that are mounted and hold what there is."""

    @cached_property
    def stream(self) -> StreamTable:
        """The table."""
        return self._new(StreamTable(id="stream"))

    @cached_property
    def plots(self) -> "PlotPanel":
        """Lines over the units, or over what is varied of a patch."""
        from icltui.tui.widgets.plot_panel import PlotPanel

        return self._new(PlotPanel(id="plots"))

    @cached_property
    def heatmap(self) -> "Heatmap":
        """Units by layers."""
        from icltui.tui.widgets.heatmap import Heatmap

        return self._new(Heatmap(id="heatmap"))

    @cached_property
    def proof(self) -> "VerifyView":
        """What a verification found."""
        from icltui.tui.widgets.verify_view import VerifyView

        return self._new(VerifyView(id="verify"))

    @cached_property
    def exam(self) -> "ExamView":
        """Patches and their answers."""
        from icltui.tui.widgets.exam_view import ExamView

        return self._new(ExamView(id="exam"))

    @cached_property
    def losses(self) -> "LossPlots":
        """The loss along the prompt."""
        from icltui.tui.widgets.loss_view import LossPlots

        return self._new(LossPlots(id="curves"))

    @cached_property
    def heads(self) -> "HeadsView":
        """Attention heads."""
        from icltui.tui.widgets.heads_view import HeadsView

        return self._new(HeadsView(id="heads"))

    @cached_property
    def log_view(self) -> "LogView":
        """The engine's log."""
        from icltui.tui.widgets.log_view import LogView

        return self._new(LogView(id="log"))

    @cached_property
    def strip(self) -> "TokenStrip":
        """The context as it reads."""
        from icltui.tui.widgets.token_strip import TokenStrip

        return self._new(TokenStrip(id="text"))

    def compose(self) -> ComposeResult:
        """Yield the tab that is shown first."""
        yield self.stream

    def on_mount(self) -> None:
        """Show what is there already."""
        self.feed("stream")

    def view_of(self, tab: str) -> Widget:
        """The view of a tab, made now if it was not, and not mounted thereby."""
        view = getattr(self, _NAMES.get(tab, tab))
        assert isinstance(view, Widget)
        return view

    def switch_to(self, tab: str) -> Widget:
        """Show the view of a tab, and mount it if it was not."""
        view = self.view_of(tab)
        if not view.is_attached:
            self.mount(view)
            view.call_later(self.feed, tab)  # in the view's own queue: once it is mounted, before any key
        self.current = tab
        return view

    def feed(self, tab: str) -> None:
        """Pass everything on to a tab that is shown for the first time."""
        self.fed.add(tab)
        self.draw_all()
        self._bring_to_cursor(self._made[tab])

    def draw_all(self) -> None:
        """Pass everything there is on to the views that are :attr:`fed`."""
        raise NotImplementedError

    def _new(self, view: V) -> V:
        self._made[view.id or ""] = view
        self._bring_to_cursor(view)
        return view

    def _bring_to_cursor(self, view: Widget) -> None:
        for name in _SHARED.get(view.id or "", ()):
            self._pass_on(name, view)

    def _share(self, name: str) -> None:
        """Pass on what all views share."""
        for tab, view in self._made.items():
            if name in _SHARED.get(tab, ()):
                self._pass_on(name, view)

    def _pass_on(self, name: str, view: Widget) -> None:
        value = getattr(self, name)
        if view.id in self.fed:
            setattr(view, name, value)
        else:  # it knows no units yet, by which it would bound the unit
            view.set_reactive(getattr(type(view), name), value)

    def watch_unit(self) -> None:
        """Move the row, the line and the crosshair together."""
        self._share("unit")

    def watch_shown_layer(self) -> None:
        self._share("shown_layer")

    def watch_measure(self) -> None:
        self._share("measure")

    def watch_is_log(self) -> None:
        self._share("is_log")
