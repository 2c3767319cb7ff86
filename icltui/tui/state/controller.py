"""A session state with an engine: which requests an action makes, and what the events of their jobs change.

A view gives it two functions: ``changed(change)`` after something changed, ``noticed(text, is_error)`` for one line.
"""

from dataclasses import replace

from msgspec.structs import replace as with_changes

from icltui.api.engine import Client
from icltui.api.messages import (
    Compile,
    CompileEnded,
    CurvesEnded,
    EffectsEnded,
    EngineDied,
    EstimateModel,
    Event,
    ExamEnded,
    ExportEnded,
    Generate,
    GenerationEnded,
    HeadsEnded,
    JobFailed,
    LoadModel,
    Measure,
    MeasureEnded,
    ModelLoaded,
    PatchTested,
    Request,
    UnitsMeasured,
    VerificationEnded,
    Verify,
)
from icltui.tui.state.change import CHANGES, Change
from icltui.tui.state.jobs import EngineNews, Jobs
from icltui.tui.state.session_state import SessionState
from icltui.tui.state.wanted_model import Models, toy_note
from icltui.values import Compilation, CompiledFormat, ExportFormat, ModelInfo, Session
from icltui.values.prompt import Prompt

LONG = 1_000
"""Characters of a context, about two hundred tokens, after which the lanes speak before the numbers come."""


class Controller(SessionState):
    """One client, one session state, and what goes between them."""

    def __init__(self, client: Client, load: LoadModel) -> None:
        super().__init__()
        self.jobs = Jobs(client)
        self.models = Models(load, self.jobs)
        self._is_asked = self._is_new_run = False
        self._counted: Prompt | None = None

    # What is asked.

    async def start(self) -> None:
        """Start the engine, load the model, and run what is on the screen, if anything is."""
        self.jobs.ask([self.models.load, *self._whole_run()])
        await self._start_engine()

    async def run(self) -> None:
        """Measure and generate what is on the screen now; a dead engine is restarted for it."""
        if self._has_query():
            self._is_asked = self._is_new_run = True
            self.settings = replace(self.settings, forced={})
            self.jobs.ask(self.models.after_load(self._whole_run()), (Measure, Generate, Verify))
            await self._start_dead_engine()

    async def stop(self) -> bool:
        """Stop the current job, or, asked twice, the engine; False if there is nothing to stop."""
        if not self.jobs.is_busy:
            return False
        await self.jobs.stop()
        self._changed(Change.STATUS)
        return True

    async def load_model(self, load: LoadModel) -> None:
        """Load another model; the numbers stay, marked as those of the model before."""
        self.models.ask(load)
        await self._start_dead_engine()

    def count(self) -> None:
        """Count the tokens of the prompt, if the engine is idle; never twice in vain."""
        prompt, counts = self.settings.prompt, self.results.counts
        is_idle = self.jobs.is_loaded and self.jobs.is_free
        if is_idle and prompt.query and prompt not in (self._counted, counts and counts[0]):
            self._counted = prompt
            self.jobs.ask([self.settings.count()])

    def vary_patch(self) -> None:
        """Turn the third lane on, generate again, and vary the patch."""
        if self._can_ask():
            self.settings = replace(self.settings, is_delta_on=True)
            self._changed(Change.SETTINGS)
            self._ask_for(self.settings.vary())

    def verify(self) -> None:
        """Prove the patch on this prompt, after whatever runs."""
        if self._can_ask():
            self._ask_also(self.settings.verify())

    def compile(self, form: CompiledFormat = "none", path: str = "", is_forced: bool = False) -> None:
        """Make one patch of the context, after whatever runs, and write it where a path is given."""
        if self._can_ask():
            request = self.results.trials.compile(self.settings)
            self._ask_also(with_changes(request, format=form, path=path, force=is_forced))

    def examine(self) -> None:
        """Put every patch of the context to one test, after whatever runs."""
        if self._can_ask():
            if self.settings.holdout:
                self._ask_also(self.settings.examine())
            else:
                self._noticed("an exam needs queries that no patch has seen: Q writes some, held out", True)

    def measure_curves(self, own_texts: int = 0) -> None:
        """Measure the loss at each position, after whatever runs."""
        if self._can_ask():
            self._ask_also(self.settings.measure_curves(own_texts))

    def measure_heads(self) -> None:
        """Score the attention heads, after whatever runs."""
        if self._can_ask():
            self._ask_also(self.settings.measure_heads())

    def measure_effects(self) -> None:
        """Let each layer's patch act alone, after whatever runs."""
        if self._can_ask():
            self._ask_also(self.settings.measure_effects())

    def _ask_also(self, request: Request) -> None:
        """Ask for ``request`` after whatever runs or waits."""
        self._is_asked = True
        self.jobs.ask(self.models.after_load([*self.jobs.plan_without(type(request)), request]))
        self._changed(Change.STATUS)

    def export_patch(self, form: ExportFormat, path: str) -> None:
        """Write the patch of this prompt for another program, where the engine runs."""
        if self.jobs.is_running:
            self._noticed("the engine is busy: export when it is done, or stop it with esc", True)
        elif self._can_ask():
            ids = self.results.ids_of(self.settings.prompt)
            export = with_changes(self.settings.export(form, path), ids=ids)
            self.jobs.ask(self.models.after_load([export]))
            self._changed(Change.STATUS)

    # What follows from what.

    def _fit_settings(self) -> None:
        """Put the choices in the loaded model's terms, before they go into a request."""
        if self.jobs.is_loaded and self.model:
            self._put_in_terms_of(self.model)

    def _put_in_terms_of(self, model: ModelInfo) -> None:
        was_saved = not self.is_unsaved
        self.settings = self.settings.fitted(model)
        if was_saved:  # it was not the user who changed the choices
            self.is_unsaved = False

    def _whole_run(self) -> list[Request]:
        self._fit_settings()
        if not self.settings.prompt.query.strip():
            return []
        numbers, texts = self.settings.measure(), self.settings.generate()
        # What the model says takes seconds, the numbers of a long context may take minutes.
        is_long = len(self.settings.prompt.context) > LONG
        return [texts, numbers] if is_long else [numbers, texts]

    def _can_ask(self) -> bool:
        """Whether a request other than a run makes sense; if not, the user gets a notice."""
        if self.jobs.is_dead:
            self._noticed("the engine is not running: ctrl+r restarts it and runs", True)
            return False
        self._fit_settings()
        return self._has_query()

    def _has_query(self) -> bool:
        """Whether there is anything to continue; if not, the user gets a notice."""
        if not (words := self.settings.prompt.query.strip()):
            self._noticed("the query is empty: type what the model should continue, then run", True)
        return bool(words)

    def _regenerate(self) -> None:
        """Generate with the present choices; a generation that runs or waits gives way."""
        self._changed(Change.SETTINGS)
        if (self.results.texts.steps or self.jobs.is_busy) and self._can_ask():
            self._ask_for(self.settings.generate())

    def _ask_for(self, request: Generate) -> None:
        self._is_asked = True
        plan = [*self.jobs.plan_without(Generate), request]
        self.jobs.ask(self.models.after_load(plan), (Generate,))

    async def _start_dead_engine(self) -> None:
        if self.jobs.is_dead:
            await self._start_engine()
        self._changed(Change.STATUS)

    async def _start_engine(self) -> None:
        self.engine_status.begin()
        self._changed(Change.STATUS)
        await self.jobs.start(self.hear)

    # What the engine says.

    def hear(self, job: int, event: Event) -> None:
        """Take one event from the client: what it brings, what that changes, and what follows."""
        if isinstance(event, EngineNews):
            self._hear_engine(event)
        elif (answer := self.jobs.take(job, event)) and not self._hear_aside(*answer):
            request, event = answer
            self._warn(request, event)
            self.results.take(request, event)
            self._note_pace(event)
            self._log(request, event)
            for change in CHANGES.get(type(event), ()):
                self._changed(change)
            self._follow(request, event)
        self.jobs.advance()
        self._use_idle_engine()

    def _hear_aside(self, _request: Request, _event: Event) -> bool:
        """Take an event of a job that works beside what is on the screen; whether it is of such a one."""
        return False

    def _use_idle_engine(self) -> None:
        """Ask for what is worth computing where nothing else is."""

    @property
    def is_asked(self) -> bool:
        """Whether the user asked for the last run, which otherwise came with what was opened."""
        return self._is_asked

    def _note_pace(self, event: Event) -> None:
        if isinstance(event, UnitsMeasured):
            measured = self.results.measured
            self.engine_status.pace.note(measured.n_measured, measured.n_units)

    def _hear_engine(self, event: EngineNews) -> None:
        self.jobs.take_engine(event)
        self.engine_status.take_engine(event)
        if isinstance(event, EngineDied):
            self._give_up()
        for change in (Change.LOG, Change.ESTIMATE, Change.STATUS):
            self._changed(change)

    def _warn(self, request: Request, event: Event) -> None:
        """Say of a page that the embedded model is no reader of pages, and of a text that it is another prompt."""
        toy, other = toy_note(self.models.load, event), self.results.another_prompt(request, event)
        for words, is_error in ((toy, False), (other, True)):
            if words and self.engine_status.tell_once([words]):
                self._changed(Change.LOG)
                self._noticed(words, is_error)

    def _log(self, request: Request, event: Event) -> None:
        n_lines = len(self.engine_status.lines)
        self.engine_status.take(request, event)
        if len(self.engine_status.lines) > n_lines:
            self._changed(Change.LOG)
        if words := self.models.hear(request, event):
            self._noticed(words, isinstance(event, JobFailed))

    def _follow(self, request: Request, event: Event) -> None:
        """Do what follows from an event: a model changes the choices, a result is recorded, an end lets go on."""
        match event:
            case ModelLoaded():
                self._fit(event.model)
            case ExportEnded():
                self._noticed(self.engine_status.written, False)
            case MeasureEnded():
                self._take_result(request)
                self._log_measurement(request)
            case GenerationEnded() | PatchTested() | VerificationEnded() | ExamEnded():
                self._take_result(request)
            case CurvesEnded() | HeadsEnded() | EffectsEnded():
                self._take_result(request)
            case CompileEnded() if isinstance(request, Compile):
                self._take_result(request)
                self._take_patch(request, event.compilation)
        if self.jobs.request is None:
            self._give_up()
            self._settle()
        self._changed(Change.ESTIMATE if isinstance(request, EstimateModel) else Change.STATUS)

    def _take_result(self, request: Request) -> None:
        """Keep a result with the present run."""
        was_saved = not self.is_unsaved
        self._record(request, self._is_new_run)
        if was_saved and not self._is_asked:  # nobody misses what nobody asked for
            self.is_unsaved = False
        self._is_new_run = False
        self._changed(Change.RESULT)

    def _log_measurement(self, request: Request) -> None:
        """Hand a measurement that is whole to whoever logs it, with what it is of."""
        results, origin = self.results, self.results.measurement_origin
        if origin is not None and origin.request is request and isinstance(request, Measure):
            self._logged(
                Session(
                    title=self.document.title,
                    created="",
                    prompt=request.prompt,
                    recipe=self.settings.recipe,
                    model=origin.model,
                    measurement=results.measurement,
                )
            )

    def _take_patch(self, request: Compile, made: Compilation) -> None:
        """Let the patched lane speak through the patch that a compilation chose, unless it would harm."""
        if made.refused and not request.force:
            self._noticed(f"refused: {made.refused}", True)
            return
        self.settings = replace(self.settings.patched_by(made, self.model), is_delta_on=True)
        self._changed(Change.SETTINGS)
        numbers = [] if self.results.is_numbers_fresh(self.settings) else [self.settings.measure()]
        self.jobs.ask([*numbers, self.settings.generate(), *self.jobs.plan_without(Generate)])
        written = f"; written to {path}" if (path := request.path) else ""
        self._noticed(f"{'it would harm, yet: ' if made.refused else ''}{made.sentence}{written}", False)

    def _give_up(self) -> None:
        """Take back, or mark, what the present run has not finished."""
        if self.results.give_up():
            self._changed(Change.NUMBERS)
            self._changed(Change.LANES)
            if not self.results.is_cut and not self.jobs.plan:
                self._noticed("the run did not finish: the complete results before it are shown again", False)

    def _settle(self) -> None:
        """After a job: tell what that means for what is drawn, and count the newest text."""
        self.engine_status.rest()
        self._changed(Change.SETTINGS)
        self.count()

    def _fit(self, model: ModelInfo) -> None:
        """Put the choices in this model's terms, also those of requests that wait."""
        self._put_in_terms_of(model)
        self._counted = None
        if any(not origin.is_of(model) for origin in self.results.texts.origins.values()):
            self.settings = replace(self.settings, forced={})  # another model's tokens
        self.jobs.plan = [self.settings.renew(request) for request in self.jobs.plan]
        self._changed(Change.SETTINGS)
