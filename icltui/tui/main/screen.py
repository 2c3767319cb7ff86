"""The explorer's screen at work: facts come in as messages, are gathered, and are drawn at most eight times a second.

Actions of the user go to the explorer as they are; what follows from them comes back as facts.
"""

from time import monotonic
from typing import cast

from textual import on, work
from textual.notifications import SeverityLevel
from textual.timer import Timer
from textual.widgets import TextArea

from icltui.tui.dialogs.ask_text import AskTextDialog
from icltui.tui.dialogs.settings import SettingsDialog
from icltui.tui.draw.text import display
from icltui.tui.main.guide import GuideScreen
from icltui.tui.state.change import Change
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.settings import Choice
from icltui.tui.widgets.messages import ExplorerChanged, LayerToggled, Noticed
from icltui.tui.widgets.prompt_editor import PromptEditor
from icltui.tui.widgets.status_line import StatusLine
from icltui.tui.widgets.unit_cursor import UnitCursor

FLUSH_EVERY = 1 / 8
"""Seconds between two drawings of what streams in."""
TOLD_FOR = 8.0
"""Seconds that a plain line stays."""
COUNT_AFTER = 0.4
"""Seconds without a key before the tokens are counted."""


class ExplorerScreen(GuideScreen):
    """The one screen; dialogs open over it."""

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(explorer)
        self._due: set[Change] = set()
        self._drawn_at = self._error_until = 0.0
        self._death, self._n_layers = "", 0
        self._flush_timer: Timer | None = None
        self._count_timer: Timer | None = None

    def on_mount(self) -> None:
        """Show the session at once; the engine is started by the app, after the first frame."""
        self.explorer.listen(
            changed=self._hear,
            noticed=lambda text, is_error: self.post_message(Noticed(text, is_error)),
        )
        self.watch(self.numbers.stream, "unit", self._follow, init=False)
        self._load_editors()
        self._draw(set(Change))
        # The widgets' own beginnings, all at unit 0, come behind this; saved numbers begin at their last unit.
        self.call_after_refresh(self.numbers.stream.action_move_last)

    def _hear(self, change: Change) -> None:
        """A document goes into the editors at once: the next key would take theirs for what is typed into it."""
        if change is Change.DOCUMENT:
            self._load_editors()
        self.post_message(ExplorerChanged(change))

    def _load_editors(self) -> None:
        prompt = self.explorer.settings.prompt
        self.context.load_text(prompt.context)
        self.question.load_text(prompt.query)

    # Drawing.

    @on(ExplorerChanged)
    def gather(self, event: ExplorerChanged) -> None:
        """Draw now if the last drawing is long past, else together with what comes until then."""
        self._due.add(event.change)
        if self._flush_timer is None:
            wait = self._drawn_at + FLUSH_EVERY - monotonic()
            self._flush_timer = self.set_timer(max(wait, 0.001), self._flush)

    def _flush(self) -> None:
        self._flush_timer, self._drawn_at = None, monotonic()
        due, self._due = self._due, set()
        self._draw(due)

    def _draw(self, due: set[Change]) -> None:
        explorer = self.explorer
        if Change.DOCUMENT in due:
            due = set(Change)
        if Change.NUMBERS in due:
            self.numbers.draw_numbers()
        if due & {Change.LANES, Change.SETTINGS}:
            self.numbers.draw_patch()
        if Change.PROOF in due:
            self.numbers.draw_proof()
        if Change.ESTIMATE in due:
            self.draw_model_estimate()
        if Change.LOG in due:
            self.numbers.draw_log()
        if due & {Change.NUMBERS, Change.SETTINGS, Change.PROOF}:
            self._draw_layers()
        if due & {Change.LANES, Change.SETTINGS}:
            self.lanes.show(explorer.results, explorer.settings)
        if due & {Change.COUNTS, Change.SETTINGS}:
            self._draw_counts()
        self._draw_status()

    def _draw_layers(self) -> None:
        explorer = self.explorer
        self.layer_list.show(explorer.results.measured, explorer.n_layers, explorer.ticked, explorer.refused)
        is_proof_fresh = explorer.results.is_proof_fresh(explorer.settings)
        self.layer_list.show_proof(explorer.results.verification if is_proof_fresh else None)
        if explorer.n_layers != self._n_layers:
            # Another model begins at its last layer: there the context's work is done.
            self._n_layers = explorer.n_layers
            self.shown_layer = max(explorer.n_layers - 1, 0)
        self.numbers.draw_layers()

    def _draw_counts(self) -> None:
        counts, uncounted = self.explorer.results.counts, self.explorer.results.uncounted
        if (
            not self.explorer.settings.prompt.query
        ):  # no model is asked then, and nothing may look as if one were
            self.question.show_count(0)
            self.context.frame(self.context.border_title or "", "counted with a query")
            return
        if uncounted and uncounted[0] == self.explorer.settings.prompt:
            self.question.frame(self.question.border_title or "", "not counted")
            self.context.frame(self.context.border_title or "", display(uncounted[1]))
            return
        is_known = counts is not None and counts[0] == self.explorer.settings.prompt
        self.context.show_count(counts[1] if is_known and counts else None)
        self.question.show_count(counts[2] if is_known and counts else None)

    def _draw_status(self) -> None:
        self.remember_loaded()
        self.query_one(StatusLine).refresh()
        if self.explorer.engine_log.death != self._death:
            self._death = self.explorer.engine_log.death
            line = f"✗ {self._death} — press ctrl+r to restart; prompt and results stay, the log is in tab 8"
            self.banner.display = bool(self._death)
            self.banner.update(display(line))

    # Facts from the widgets.

    @on(Noticed)
    def tell(self, event: Noticed) -> None:
        """Show one plain line in place of the one before; an error stays for its time."""
        if event.is_error or monotonic() >= self._error_until:
            self.app.clear_notifications()
        if event.is_error:
            self._error_until = monotonic() + TOLD_FOR
        severity: SeverityLevel = "error" if event.is_error else "information"
        self.notify(display(event.text), severity=severity, timeout=TOLD_FOR, markup=False)

    @on(TextArea.Changed)
    def note_edit(self) -> None:
        """Take the text over, and count its tokens once the typing pauses."""
        self.take_edits()
        if self._count_timer:
            self._count_timer.stop()
        self._count_timer = self.set_timer(COUNT_AFTER, self.explorer.count)

    def take_edits(self) -> None:
        """Bring what the editors hold into the explorer."""
        self.explorer.edit(self.context.text, self.question.text)

    @on(LayerToggled)
    def take_layer(self, event: LayerToggled) -> None:
        """Measure and patch it from the next run on, or do so no longer."""
        self._toggle(event.layer)

    @on(UnitCursor.Moved)
    def follow_cursor(self, event: UnitCursor.Moved) -> None:
        """A pane's cursor is the unit and layer of every pane: as it is now, since it may have moved on."""
        self.unit, self.shown_layer = event.cursor.unit, event.cursor.shown_layer

    def _follow(self, unit: int) -> None:
        """The table's cursor, moved by hand or following what streams in, is the unit of every view."""
        self.unit = unit

    # Actions.

    def action_run_prompt(self) -> None:
        """Measure and generate."""
        self.take_edits()
        self.engage(self.explorer.run)

    def action_stop_job(self) -> None:
        """End the tour, or stop a run; else leave the editor or the zoom; else stop the model's coming up."""
        if not isinstance(self.focused, PromptEditor) and self.end_tour():
            return
        if self.explorer.jobs.is_running:
            self.engage(self.explorer.stop)
        elif isinstance(self.focused, PromptEditor):
            self.action_show_pane(cast(str, self.numbers.current))
        elif self.maximized is not None:
            self.minimize()
        else:
            self.engage(self.explorer.stop)

    def action_switch_delta(self) -> None:
        """ΔW on or off."""
        self.explorer.switch_delta()

    def action_next_choice(self, choice: Choice) -> None:
        """The next value of dynamics, reference, positions, chat template, patch mode, parts or carrier."""
        self.take_edits()
        self.explorer.next_choice(choice)

    def action_change_alpha(self, step: float) -> None:
        """A stronger or a weaker patch."""
        self.explorer.change_alpha(step)

    @work(exclusive=True, group="document")
    async def action_set_choices(self) -> None:
        """Strength, fit, controls, tests, sampling and units, typed."""
        self.take_edits()
        chosen = await self.app.push_screen_wait(SettingsDialog(self.explorer.settings))
        if chosen is not None:
            self.explorer.change_settings(chosen)

    def action_verify_patch(self) -> None:
        """Verify, and show what comes of it."""
        self.action_show_pane("verify")
        self.explorer.verify()

    def action_vary_patch(self) -> None:
        """Compute the patch's curves, and show where they will be drawn."""
        self.numbers.plots.view = "alpha"
        self.action_show_pane("plots")
        self.explorer.vary_patch()

    def action_toggle_layer(self) -> None:
        """Tick or untick the selected layer."""
        self._toggle(self.shown_layer)

    def action_tick_layers(self, which: str) -> None:
        """All layers, none, or the others."""
        everything = set(range(self.explorer.n_layers)) - self.explorer.refused.keys()
        self._tick({"all": everything, "none": set(), "invert": everything - {*self.explorer.ticked}}[which])

    def action_tick_upwards(self) -> None:
        """The selected layer and all above it, up to the last."""
        later = range(self.shown_layer, self.explorer.n_layers)
        self._tick(set(later) - self.explorer.refused.keys())

    @work(exclusive=True, group="document")
    async def action_type_layers(self) -> None:
        """Layers by range, typed."""
        explorer = self.explorer
        if not explorer.n_layers:
            explorer.say("the layers are known once the model is loaded")
            return
        hint = f"all, none, last, or such as 0,3,5-{explorer.n_layers - 1}"
        question = AskTextDialog("Layers", explorer.settings.layers, hint, explorer.layers_of)
        if (text := await self.app.push_screen_wait(question)) is not None:
            self._tick(set(explorer.layers_of(text)))

    def _toggle(self, layer: int) -> None:
        """As the document has it by now: what is drawn may be older."""
        self._tick({*self.explorer.ticked} ^ {layer})

    def _tick(self, layers: set[int]) -> None:
        if self.explorer.n_layers:
            self.explorer.choose_layers(layers)
