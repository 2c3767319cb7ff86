"""The explorer's one screen: its layout, what its widgets tell, and what draws what changes.

Prompt and layers are on the left, numbers and lanes on the right. Unit, layer, measure and scale are one state, shared
by all views. What a user can do lies in objects of its own (``…_actions``), which the screen offers under the names of
the registry.
"""

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus, Event, Paste, Resize
from textual.notifications import SeverityLevel
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from icltui.tui.actions import BINDINGS
from icltui.tui.dialogs.dialog import opens_in_vain
from icltui.tui.draw.safe_text import display
from icltui.tui.main.actions_base import ScreenParts
from icltui.tui.main.engine_actions import EngineActions
from icltui.tui.main.figure_actions import FigureActions
from icltui.tui.main.file_actions import FileActions
from icltui.tui.main.find_actions import FindActions
from icltui.tui.main.guide_actions import GuideActions
from icltui.tui.main.history_actions import HistoryActions
from icltui.tui.main.layer_actions import LayerActions
from icltui.tui.main.output_actions import OutputActions
from icltui.tui.main.prompt_editors import PromptEditors
from icltui.tui.main.record_actions import RecordActions
from icltui.tui.main.redraw import Redraw
from icltui.tui.main.run_actions import RunActions
from icltui.tui.main.view_actions import ViewActions
from icltui.tui.state.change import Change
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.pane_names import key_of
from icltui.tui.terminal.sure_repaint import SureRepaint
from icltui.tui.widgets.alpha_knob import AlphaKnob
from icltui.tui.widgets.find_bar import FindBar
from icltui.tui.widgets.footer import KeyFooter
from icltui.tui.widgets.jump_labels import JumpBar
from icltui.tui.widgets.lanes import Lanes
from icltui.tui.widgets.layer_list import LayerList
from icltui.tui.widgets.messages import LayerToggled, Noticed
from icltui.tui.widgets.modal_editor import ModalEditor
from icltui.tui.widgets.page_tabs import PageTabs
from icltui.tui.widgets.patch_sentence import PatchSentence
from icltui.tui.widgets.result_tabs import ResultTabs
from icltui.tui.widgets.status_line import StatusLine
from icltui.tui.widgets.unit_cursor import UnitCursor
from icltui.values.recipe import strengths_of

if TYPE_CHECKING:
    from icltui.tui.widgets.heads_view import HeadsView

NOTICE_FOR = 8.0
"""Seconds that a plain line stays."""
_TYPED = {
    "show_pane": "jump_to_pane",
    "leap_to_pane": "leap_to_pane",
    "find_text": "type_find",
    "jump_by_letter": "jump_by_letter",
}
"""Actions that move the focus, and what their keys call; the palette calls the first, also from an editor."""


def _typed_ahead(binding: BindingType) -> BindingType:
    """A jump acts before the next key is handed out, else letters typed at once after it would be commands."""
    name = binding.action.split("(")[0] if isinstance(binding, Binding) else ""
    if not isinstance(binding, Binding) or name not in _TYPED:
        return binding
    return replace(binding, action=binding.action.replace(name, _TYPED[name], 1), priority=True)


class ExplorerScreen(SureRepaint, Screen[None]):
    """The one screen; dialogs open over it."""

    BINDINGS: ClassVar[list[BindingType]] = [_typed_ahead(binding) for binding in BINDINGS]
    AUTO_FOCUS = "StreamTable"
    ESCAPE_TO_MINIMIZE = False
    ALLOW_IN_MAXIMIZED_VIEW = "KeyFooter, StatusLine, #banner, FindBar, JumpBar, JumpLabel, TourCard"

    unit: reactive[int] = reactive(0, repaint=False)
    shown_layer: reactive[int] = reactive(0, repaint=False)
    measure: reactive[str] = reactive("delta_norm", repaint=False)
    is_log: reactive[bool] = reactive(True, repaint=False)

    def __init__(self, explorer: Explorer) -> None:
        super().__init__()
        self.explorer = explorer
        self.context = ModalEditor("1 Context", id="context", placeholder="what the model learns from")
        self.question = ModalEditor("2 Query", id="query", placeholder="what the model continues")
        self.layer_list = LayerList(id="layers")
        self.numbers = ResultTabs(explorer)
        self.lanes = Lanes(id="lanes")
        self.knob, self.promise = AlphaKnob(explorer), PatchSentence(explorer)
        self.answer = Vertical(id="answer")
        """The lanes with the strength that they are of."""
        self.status_line = StatusLine(explorer)
        self.banner = Static("", id="banner", markup=False)
        self._error_until = 0.0
        self._death, self._n_layers = "", 0
        self._unplaced: int | None = None
        """The layer at which a model begins, until numbers say where most happens."""
        self.editors = PromptEditors(explorer, self.context, self.question)
        parts = ScreenParts(self, explorer, self, self.editors, self.numbers, self.lanes)
        self.files, self.engine, self.view = FileActions(parts), EngineActions(parts), ViewActions(parts)
        self.find = FindActions(parts, self.view)
        self.guide = GuideActions(parts, self.view, self.files)
        self.layer_actions, self.recorder = LayerActions(parts), RecordActions(parts)
        # Textual looks for actions on the screen: there it finds those of the objects that it is made of.
        for actions in (
            *(self.files, self.engine, self.view, self.find, self.guide, self.layer_actions),
            RunActions(parts, self.view, self.engine, self.guide),
            HistoryActions(parts),
            OutputActions(parts),
            FigureActions(parts),
            self.recorder,
        ):
            vars(self).update(actions.methods())
        # A document goes into the editors at once: the next key would take theirs for what is typed into it.
        # A step of α whose text is there is shown by its own key's press, however fast they come.
        at_once = {Change.DOCUMENT: self.editors.load, Change.STRENGTHS: self._draw_strength}
        self.redraw = Redraw(self, self._drawers(), at_once)

    def _drawers(self) -> list[tuple[set[Change], Callable[[], object]]]:
        """What draws which changes, in this order."""
        numbers = self.numbers
        return [
            ({Change.DOCUMENT}, self.find.forget),
            ({Change.NUMBERS}, numbers.draw_numbers),
            ({Change.LANES, Change.SETTINGS}, numbers.draw_patch),
            ({Change.PROOF}, numbers.draw_proof),
            ({Change.TRIALS, Change.SETTINGS}, numbers.draw_trials),
            ({Change.INSPECTIONS, Change.SETTINGS}, numbers.draw_inspections),
            ({Change.ESTIMATE}, self.engine.draw_model_estimate),
            ({Change.LOG}, numbers.draw_log),
            ({Change.NUMBERS, Change.SETTINGS, Change.PROOF}, self._draw_layers),
            ({Change.LANES, Change.SETTINGS}, self._draw_strength),
            ({Change.LANES, Change.SETTINGS}, self.promise.draw_sentence),
            ({Change.COUNTS, Change.SETTINGS}, self.editors.draw_counts),
            (set(Change), self._draw_status),
            (set(Change), self.guide.follow),
        ]

    def compose(self) -> ComposeResult:
        """Everything there is; the stylesheet says what shows at which size."""
        yield self.status_line
        yield PageTabs(id="pages")
        yield self.banner
        with Horizontal(id="body"):
            with Vertical(id="prompt"):
                yield self.context
                yield self.question
                yield self.layer_list
            with Vertical(id="results"):
                yield self.numbers
                with self.answer:
                    yield self.lanes
                    yield self.knob
                    yield self.promise
        yield Static("", id="too-small", markup=False)
        yield KeyFooter()
        yield self.find.find_bar
        yield self.guide.tour_card
        yield self.guide.jump_bar

    def _watch_maximized(self, before: Widget | None, maximized: Widget | None) -> None:
        """Textual's classes of a pane that fills the screen, styled in one go: no rule has them but these widgets'.

        Each change of the screen's classes would restyle every widget that is on it.
        """
        self.set_class(maximized is not None, "-maximized-view", update=False)
        panes = [pane for pane in (before, maximized) if pane is not None]
        for pane in panes:
            pane.set_class(pane is maximized, "-maximized", update=False)
        inner = [self.lanes] if self.answer in panes else []
        self.app.stylesheet.update_nodes([self, *panes, *inner])

    async def on_event(self, event: Event) -> None:
        """Open no more once the program is to end."""
        if not opens_in_vain(self, event):
            await super().on_event(event)

    def on_mount(self) -> None:
        """Show the session at once; the engine is started by the app, after the first frame."""
        self.explorer.listen(
            changed=self.redraw.note,
            noticed=lambda text, is_error: self.post_message(Noticed(text, is_error)),
        )
        self.watch(self.numbers.stream, "unit", self._follow, init=False)
        self.editors.load()
        self.redraw.draw_all()
        # The widgets' own beginnings, all at unit 0, come after this; saved numbers begin at their last unit.
        self.call_after_refresh(self.numbers.stream.begin_at_last)

    # One cursor for all views.

    def watch_unit(self, unit: int) -> None:
        """Show one unit everywhere."""
        self.numbers.unit = self.layer_list.unit = unit
        self.find.follow(unit)
        self.guide.follow()

    def watch_shown_layer(self, layer: int) -> None:
        """Show one layer everywhere."""
        self.numbers.shown_layer = self.layer_list.shown_layer = layer

    def watch_measure(self, measure: str) -> None:
        """Show one measure everywhere."""
        self.numbers.measure = self.layer_list.measure = measure

    def watch_is_log(self, is_log: bool) -> None:
        """Show one scale everywhere."""
        self.numbers.is_log = self.layer_list.is_log = is_log

    # What the explorer tells.

    def _draw_layers(self) -> None:
        explorer = self.explorer
        results = explorer.results
        strengths = strengths_of(explorer.settings.recipe.layer_alphas)
        self.layer_list.show(
            results.measured, explorer.n_layers, explorer.ticked, explorer.refused, strengths
        )
        is_proof_fresh = results.is_proof_fresh(explorer.settings)
        self.layer_list.show_proof(results.verification if is_proof_fresh else None)
        if explorer.n_layers != self._n_layers:
            # Another model begins at its last layer, and where most happens once that is known.
            self._n_layers = explorer.n_layers
            self.shown_layer = self._unplaced = max(explorer.n_layers - 1, 0)
        if results.measured.path is not None and self._unplaced is not None:
            busiest = results.measured.busiest_layer(self.measure)
            if self.shown_layer == self._unplaced and busiest is not None:  # the user has put it nowhere
                self.shown_layer = busiest
            self._unplaced = None
            self.layer_list.centre()
        self.numbers.draw_layers()

    def _draw_strength(self) -> None:
        self.lanes.show(self.explorer.results, self.explorer.settings)
        self.knob.draw_knob()

    def _draw_status(self) -> None:
        self.engine.remember_loaded()
        self.files.remember_opened()
        self.status_line.refresh()
        death = self.explorer.engine_status.death
        if death != self._death:
            self._death = death
            line = f"✗ {death} — press ctrl+r to restart; prompt and results stay, the log is in tab 8"
            self.banner.display = bool(death)
            self.banner.update(display(line))

    @on(Noticed)
    def show_notice(self, event: Noticed) -> None:
        """Show one plain line in place of the one before; an error stays for its time."""
        if event.is_error or monotonic() >= self._error_until:
            self.app.clear_notifications()
        if event.is_error:
            self._error_until = monotonic() + NOTICE_FOR
        severity: SeverityLevel = "error" if event.is_error else "information"
        self.notify(display(event.text), severity=severity, timeout=NOTICE_FOR, markup=False)

    # What the widgets tell.

    @on(Resize)
    def fit_room(self, event: Resize) -> None:
        """Show as much as there is room for."""
        self.view.fit(event.size)

    @on(DescendantFocus)
    def follow_focus(self, event: DescendantFocus) -> None:
        """Show the page that the focus is on."""
        self.view.follow_focus(event.widget)
        self.guide.follow()

    @on(TextArea.Changed)
    def note_edit(self) -> None:
        """Take the edited text into the explorer."""
        self.editors.take_soon_counted()

    @on(Paste)
    def refuse_paste(self) -> None:
        """Say where a paste goes, where nothing takes one; nothing of it is a command."""
        if not isinstance(self.focused, TextArea | Input):
            self.post_message(
                Noticed("not pasted: 1 leads to the context, 2 to the query; paste there", True)
            )

    @on(LayerToggled)
    def take_layer(self, event: LayerToggled) -> None:
        """Tick or untick the layer for the next run."""
        self.layer_actions.toggle(event.layer)

    def on_heads_view_layer_chosen(self, event: "HeadsView.LayerChosen") -> None:
        """The layer of the heads' crosshair is the layer of every view."""
        self.shown_layer = event.layer

    @on(UnitCursor.Moved)
    def follow_cursor(self, event: UnitCursor.Moved) -> None:
        """The user's last move in a pane is a move in every pane; an earlier one would put the cursor back."""
        if event is event.cursor.last_move:
            self.unit, self.shown_layer = event.unit, event.layer

    def _follow(self, unit: int) -> None:
        """The table's cursor, moved by hand or following what streams in, is the unit of every view."""
        self.unit = unit

    @on(FindBar.Changed)
    def seek(self, event: FindBar.Changed) -> None:
        """Go to the word as it is typed."""
        self.find.seek(event.word)

    @on(FindBar.Closed)
    def end_find(self, event: FindBar.Closed) -> None:
        """Stay at the word, or go back."""
        self.find.end(event.is_kept)

    @on(JumpBar.Chosen)
    async def jump(self, event: JumpBar.Chosen) -> None:
        """Go to the pane of the letter."""
        await self.guide.jump(event.pane)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where the user writes digits and the slash are text; in jump mode a letter is that of a pane's name."""
        focused = self.focused
        takes_text = focused.takes_text if isinstance(focused, ModalEditor) else isinstance(focused, Input)
        is_text = action in ("jump_to_pane", "type_find") and takes_text
        is_letter = action == "jump_to_pane" and any(key_of(str(pane)).isalpha() for pane in parameters)
        is_text |= is_letter and isinstance(focused, JumpBar)
        return not is_text and super().check_action(action, parameters)
