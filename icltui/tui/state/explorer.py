"""The explorer as a plain object: what the user does enters as methods, what a view must redraw leaves as parts.

It is a :class:`~icltui.tui.state.looking_ahead.AheadController` whose choices, runs and documents the user changes.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from msgspec.structs import replace as with_changes

from icltui.api.engine import Client
from icltui.api.messages import Generate, LoadModel, Measure, Message, Verify
from icltui.api.option_table import option_of
from icltui.tui.state.change import Change
from icltui.tui.state.looking_ahead import AheadController
from icltui.tui.state.plain_method import plain_method
from icltui.tui.state.query_lists import QueryLists, count_words
from icltui.tui.state.run_settings import PATCH_CHOICES, Choice, RunSettings, method_words
from icltui.values import Lane, Run, Session
from icltui.values.bounds import TOKENS
from icltui.values.measurement import whole_number
from icltui.values.prompt import Prompt
from icltui.values.recipe import LARGEST_ALPHA, idle
from icltui.values.unit_choice import AUTO, OPENABLE, UnitChoice


class Explorer(AheadController):
    """All that the user can do."""

    def __init__(
        self, client: Client, load: LoadModel, session: Session | None = None, path: Path | None = None
    ):
        super().__init__(client, load)
        if session:
            self._open(session, path)

    # Choices.

    def edit(self, context: str, query: str) -> None:
        """Take the prompt as the editors hold it."""
        prompt = with_changes(self.settings.prompt, context=context, query=query)
        if prompt != self.settings.prompt:
            at = self.history.present
            made = at.session.generation if at and at.session.prompt == prompt else None  # an edit undone
            self._set_settings(replace(self.settings, prompt=prompt, forced=made.forced if made else {}))
            self._changed(Change.COUNTS)

    def switch_delta(self) -> None:
        """Turn the third lane on or off and generate again."""
        self.settings = replace(self.settings, is_delta_on=not self.settings.is_delta_on)
        self._regenerate()

    def next_choice(self, choice: Choice) -> None:
        """Take a choice's next value: a patch that is on acts at once, numbers follow at the next run."""
        self._set_settings(self.settings.with_next(choice))
        if choice not in PATCH_CHOICES:
            if self.results.measured_origin is None:  # else the numbers' own border says it
                asked = self.settings.measure()
                self._noticed(f"measure: {plain_method(asked)} ({method_words(asked)})", False)
            self.count()
        elif choice in idle(self.settings.recipe):
            self._noticed(
                f"{choice}: {getattr(self.settings.recipe, choice)}, which has no effect in this patch mode (p)",
                False,
            )
        else:
            self._follow_patch()

    def change_alpha(self, step: float) -> None:
        """Change the patch's strength and generate its lane again; the newest strength wins."""
        patch = self.results.patch
        settings = self.settings.with_alpha(step, patch.alpha if patch else None)
        if settings.recipe.alpha == self.settings.recipe.alpha:
            self._noticed(f"α is {settings.recipe.alpha:g}: it goes from 0 to {LARGEST_ALPHA:g}", False)
            return
        self._set_settings(settings)
        self._follow_patch()

    def branch(self, lane: Lane, tokens: tuple[int, ...]) -> None:
        """Let one lane begin with ``tokens`` and go on by itself, as a run of its own; other lanes stay as they are."""
        said = tuple(step.token.id for step in self.results.texts.steps.get(lane, ()))
        if said[: len(tokens)] == tokens:
            self._noticed("the lane goes on with that token already: j k choose another", False)
        elif not self.results.is_lane_fresh(lane, self.settings):
            self._noticed("the lane is not of these choices: ctrl+r runs, then branch", True)
        elif self._can_ask():
            self._is_new_run = True
            self._set_settings(self.settings.branched(lane, tokens))
            self._regenerate()

    def go_on(self) -> None:
        """Generate as many tokens again in every lane, after those that there are."""
        n_tokens = self.settings.n_tokens
        if self.results.texts.steps:
            self._set_settings(replace(self.settings, n_tokens=min(2 * n_tokens, TOKENS)))
            self._regenerate()
        else:
            self._noticed("no text to go on from: ctrl+r runs", False)

    def change_layer_alpha(self, layer: int, step: float) -> None:
        """Change the strength of one layer's patch, beside that of all, and generate the patched lane again."""
        if layer not in self.ticked:
            self._noticed(f"layer {layer} is not patched: space ticks it", False)
            return
        settings = self.settings.with_layer_alpha(layer, step)
        if settings != self.settings:
            self._set_settings(settings)
            self._follow_patch()

    def change_settings(self, settings: RunSettings) -> None:
        """Change several choices: lanes that change are generated again, numbers follow at the next run."""
        before = self.settings
        if settings == before:
            return
        self._set_settings(settings)
        if settings.measure() != before.measure():
            self.count()
        elif (
            settings.is_delta_on
            or settings.sampling != before.sampling
            or settings.n_tokens != before.n_tokens
        ):
            self._regenerate()

    @property
    def query_lists(self) -> QueryLists:
        """The queries that a patch is fitted and tested on."""
        return QueryLists(self.settings.recipe.queries, self.settings.holdout)

    def change_queries(self, lists: QueryLists) -> None:
        """Fit and test a patch on other queries; a compiled one that is on is made again."""
        if lists == self.query_lists:
            return
        recipe = with_changes(self.settings.recipe, queries=lists.fitted)
        self.change_settings(replace(self.settings, recipe=recipe, holdout=lists.held_out))
        fitted, held_out = count_words(len(lists.fitted)), count_words(len(lists.held_out))
        self._noticed(f"{fitted} to fit a compiled patch on, {held_out} to test it on", False)

    def _follow_patch(self) -> None:
        """Let a patch that is on act at once as it is now asked for."""
        if self.settings.is_delta_on:
            self._regenerate()
        else:
            self._noticed(f"patch: {self.settings.patch_words}; ^t turns ΔW on", False)

    def open_unit(self, unit: int) -> None:
        """Measure a unit by its tokens, all others whole; where it is one of them, measure the whole unit again."""
        tokens = self.results.measured.tokens
        if tokens is None or not 0 < unit <= len(tokens.units) or not self._can_ask():
            return
        choice, chosen = UnitChoice.parse(self.settings.prompt.unit), tokens.units[unit - 1]
        if not self.results.is_numbers_fresh(self.settings):
            self._noticed(
                "the numbers are of another prompt: ctrl+r measures this one, then open a unit", True
            )
        elif chosen.tokens == 1 and not chosen.part_of:
            self._noticed("this unit is one token: there is nothing in it to open", False)
        elif choice.kind not in OPENABLE:
            self._noticed(f"units of {choice.kind!r} do not open: press o, then unit sentence or line", True)
        else:
            text = choice.switched(whole_number(tokens.units, unit)).text
            self._set_settings(self.settings.with_value(option_of("unit"), text))
            self._is_asked = True
            plan = [*self.jobs.plan_without(Measure), self.settings.measure()]
            self.jobs.ask(self.models.after_load(plan), (Measure,))

    # The runs before.

    def step_run(self, step: int) -> None:
        """Put the run before, or the next one, on the screen; before an edited first run comes that run itself."""
        run = self.history.neighbour(step)
        at = self.history.run(self.history.at)
        if run is None and step < 0 and at is not None and self._is_edited(at):
            run = at
        if run is None:
            self._noticed("no earlier run" if step < 0 else "no later run", False)
        else:
            self.go_to_run(run.number)

    def go_to_run(self, number: int) -> None:
        """Put a run on the screen as it was; the next run branches from it."""
        run = self.history.run(number)
        if run is None or (number == self.history.at and not self._is_edited(run)):
            return
        if self.is_screen_awaited:
            self._noticed("a run is in progress: stop it with esc, then step", True)
            return
        self._return_to(run, self.model if self.jobs.is_loaded else None)
        self._noticed(f"run {number}{': ' + run.note if run.note else ''}", False)
        self.count()

    def prune(self, number: int) -> bool:
        """Cut off a run and all that came of it, until :meth:`regrow`; whether it was cut off."""
        branch = self.history.branch(number)
        gone, left = {run.number for run in branch}, self.history.without(number).present
        if len(branch) == len(self.history.runs):
            self._noticed("these are all the runs: ^n begins a new session", True)
        elif self.is_fanning and self.fan and self.fan.base in gone:
            self._noticed("a fan of this run is under way: stop it with esc, then prune", True)
        elif self.history.at in gone and self.is_screen_awaited:
            self._noticed("a run is in progress: stop it with esc, then prune", True)
        else:
            if self.history.at in gone and left:
                self._step_aside(left)
            self.history = self.history.without(number)
            self._noticed(f"cut off: {_runs_words(branch)}; u in the tree (H) brings it back", False)
            self._changed(Change.STATUS)
            return True
        return False

    def _step_aside(self, left: Run) -> None:
        """Show a run that stays; a prompt that was typed and not run stays too, below it."""
        known = self.history.runs
        self._return_to(left, self.model if self.jobs.is_loaded else None)
        drafts = (with_changes(run, parent=left.number) for run in self.history.runs[len(known) :])
        self.history = replace(self.history, runs=(*known, *drafts))

    def regrow(self) -> None:
        """Bring back the branch that was cut off last."""
        if not self.history.pruned:
            self._noticed("no run was cut off", False)
            return
        words = _runs_words(self.history.pruned[-1])
        self.history = self.history.regrown()
        self._noticed(f"back: {words}", False)
        self._changed(Change.STATUS)

    def _is_edited(self, run: Run) -> bool:
        return self.settings.prompt != run.session.prompt

    # Documents.

    def open(self, session: Session, path: Path | None) -> None:
        """Put ``session`` on the screen; it is run only if it holds no numbers yet."""
        self.jobs.ask([r for r in self.jobs.plan if isinstance(r, LoadModel)], (Measure, Generate, Verify))
        self._open(session, path)
        self._changed(Change.DOCUMENT)
        if not session.measurement and self.settings.prompt.query:
            self.jobs.ask([*self.jobs.plan, *self._whole_run()])

    async def open_on(self, session: Session, load: LoadModel, path: Path | None = None) -> None:
        """Put ``session`` on the screen on the model of ``load``, and start the engine where it is not running."""
        is_held = self.jobs.is_loaded and self.models.load == load
        if not is_held:
            self.jobs.ask([load], (Message,))
        if self.jobs.engine == "off":
            self.models.load = load
        self.open(session, path)
        if self.jobs.engine in ("off", "dead"):
            await self._start_engine()

    def close(self) -> None:
        """Put an empty session on the screen."""
        self.open(Session(created="", prompt=Prompt(unit=AUTO)), None)

    def _open(self, session: Session, path: Path | None) -> None:
        self._show(session, path, self.model if self.jobs.is_loaded else None)
        self._is_asked = self._is_new_run = False
        self.fan = None


def _runs_words(runs: Sequence[Run]) -> str:
    return f"run {runs[0].number}{f' and {len(runs) - 1} below it' if len(runs) > 1 else ''}"
