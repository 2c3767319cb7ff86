"""The tabs of results in one border: table, plots, heatmap, proof, exam, log, text; their names are its title."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from textual.reactive import reactive

from icltui.tui.draw.tab_captions import TabShown, staleness, subtitle
from icltui.tui.state.cursor_place import same_place
from icltui.tui.state.exam_table import patch_lines
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.state.pane_names import TABS
from icltui.tui.widgets.bordered import Bordered
from icltui.tui.widgets.stream_table import StreamTable
from icltui.tui.widgets.tab_names import fitting_names
from icltui.tui.widgets.tab_views import TabViews

if TYPE_CHECKING:
    from icltui.tui.widgets.heatmap import Heatmap
    from icltui.tui.widgets.plot_panel import PlotPanel
    from icltui.tui.widgets.token_strip import TokenStrip

_FRAME = 6
"""Cells of the border that its title leaves free."""


class ResultTabs(TabViews, Bordered):
    """One tab at a time; unit, layer, measure and scale are the same in all of them."""

    ALLOW_MAXIMIZE = True

    found: reactive[str] = reactive("", repaint=False)
    """The word that was looked for, and the number of its matches."""

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(id="numbers", classes="pane")
        self._explorer = explorer
        self._shown: MeasuredUnits | None = None
        self._wanted: int | None = None
        """The unit to come back to, as soon as a run has got there."""
        self._placed = 0
        self._compared: object = None
        self._examined: object = None

    def draw_all(self) -> None:
        """Pass everything on."""
        self.draw_numbers()
        self.draw_patch()
        self.draw_proof()
        self.draw_trials()
        self.draw_inspections()
        self.draw_log()

    def show_tab(self, tab: str) -> None:
        """Show a tab and give it the focus."""
        view = self.switch_to(tab)
        self.caption()
        # At once: keys may have been typed ahead.
        self.screen.set_focus(self.exam.focused_table if tab == "exam" else view)

    def neighbour(self, step: int) -> str:
        """The tab ``step`` further; after the last comes the first."""
        return TABS[(TABS.index(self.current or "stream") + step) % len(TABS)]

    def draw_numbers(self) -> None:
        """Pass the measurement on: whole when it is a new one, else only what was added."""
        measured = self._explorer.results.measured
        self._mind_the_place(measured)
        for view in self._views_of_numbers:
            if view.measured is measured:
                view.advance()
            else:
                view.show(measured)
        if "plots" in self.fed and self._explorer.other is not self._compared:
            self._compared = other = self._explorer.other
            self.plots.compare(other.measured if other else None, other.label if other else "")
        if "plots" in self.fed:
            number = self._explorer.history.at
            self.plots.run_name = "" if number is None else f"run {number}"
        if "heatmap" in self.fed:
            self._draw_pictures()
        if measured is not self._shown:
            self._shown = measured
            self.stream.unit = max(measured.last_unit, 0)
        if self._wanted is not None:
            self._placed = self.stream.unit = max(min(self._wanted, measured.last_unit), 0)
            if measured.last_unit > self._wanted:
                self._wanted = None
        self.draw_layers()

    @property
    def _views_of_numbers(self) -> "Iterator[StreamTable | PlotPanel | Heatmap | TokenStrip]":
        if "stream" in self.fed:
            yield self.stream
        if "plots" in self.fed:
            yield self.plots
        if "heatmap" in self.fed:
            yield self.heatmap
        if "text" in self.fed:
            yield self.strip

    def _mind_the_place(self, measured: MeasuredUnits) -> None:
        """A run of the same context brings the cursor back to where it was put, unless it is moved meanwhile."""
        before = self._shown
        if measured is not before:
            is_put = before is not None and 0 <= self.unit < before.last_unit
            place = same_place(self.unit, before.tokens, measured.tokens) if before is not None else None
            self._wanted = place if is_put else None
        elif self.stream.unit != self._placed:
            self._wanted = None

    def draw_layers(self) -> None:
        """Plot the ticked layers, and say in the border whether the numbers are of an older prompt."""
        explorer = self._explorer
        ticked = explorer.ticked
        layers = explorer.results.measured.layers
        if "plots" in self.fed:
            self.plots.shown_layers = tuple(layer for layer in layers if layer in ticked) or layers
        self.set_class(not explorer.results.is_numbers_fresh(explorer.settings), "stale")
        self.caption()

    def draw_patch(self) -> None:
        """Pass the varied patch on."""
        if "plots" in self.fed:
            alpha = self._explorer.settings.recipe.alpha
            self.plots.alpha = alpha if isinstance(alpha, float) else None
            self.plots.show_patch(self._explorer.results.varied)
        self.caption()

    def next_plot(self) -> None:
        """Plot the next thing."""
        self.plots.next_view()
        self.caption()

    def next_picture(self) -> bool:
        """Show the heatmap's next picture; whether there is another one."""
        self._draw_pictures()  # the key may have been typed ahead
        has_more = self.heatmap.next_picture()
        self.caption()
        return has_more

    def _draw_pictures(self) -> None:
        """Pass what the heatmap has other pictures of: the compared run, and the patch effects."""
        other = self._explorer.other
        self.heatmap.compare(other.measured if other else None, other.label if other else "")
        self.heatmap.show_effects(self._explorer.results.inspections.effects)

    def show_effects(self) -> None:
        """Show the heatmap of patch effects, if only to say that there are none yet."""
        self.heatmap.picture = "effects"
        self.caption()

    def draw_proof(self) -> None:
        """Pass the verification on."""
        if "verify" in self.fed:
            self.proof.show(self._explorer.results.verification)
        self.caption()

    def draw_trials(self) -> None:
        """Pass compilation and exam on."""
        trials = self._explorer.results.trials
        there = trials.exam, trials.compilation
        if "exam" in self.fed and there != self._examined:
            self._examined = there
            self.exam.show(patch_lines(*there))
        if "plots" in self.fed:
            self.plots.show_choice(trials.points)
        self.caption()

    def draw_inspections(self) -> None:
        """Pass loss curves and heads on."""
        held = self._explorer.results.inspections
        if "curves" in self.fed:
            self.losses.show(held.curves)
        if "heads" in self.fed:
            self.heads.show(held.heads)
        if "heatmap" in self.fed:
            self._draw_pictures()
        self.caption()

    def draw_log(self) -> None:
        """Pass the log on."""
        if "log" in self.fed:
            self.log_view.show(self._explorer.engine_status.lines)

    def caption(self) -> None:
        """Tabs in the upper border, what the numbers are in the lower one."""
        room = self.outer_size.width - _FRAME
        found = self.found if self.current != "verify" else ""
        shown = self._tab_shown
        # What is out of date comes first, set apart by the border's own line: a narrow border cuts the end.
        remarks = [staleness(self._explorer, shown), found, subtitle(self._explorer, shown)]
        self.frame(fitting_names(self.current, room), " ─ ".join(filter(None, remarks)))

    @property
    def _tab_shown(self) -> TabShown:
        shown = TabShown(self.current or "", self.shown_layer, self.measure)
        if self.current == "heatmap":
            return replace(shown, picture=self.heatmap.picture)
        if self.current != "plots":
            return shown
        return replace(shown, plot=self.plots.view, is_of_patch=self.plots.is_of_patch)

    def on_resize(self) -> None:
        """Fit the names to the room."""
        self.caption()

    def watch_found(self) -> None:
        self.caption()

    def watch_shown_layer(self) -> None:
        super().watch_shown_layer()
        self.caption()

    def watch_measure(self) -> None:
        super().watch_measure()
        self.caption()

    def watch_is_log(self) -> None:
        super().watch_is_log()
        self.caption()
