"""The explorer as a plain object: what the user does enters as methods, what a view must redraw leaves as parts.

It owns the work on the screen, the results and the jobs, and decides which request follows from what. A view gives it
two functions: ``changed(part)`` after something changed, ``noticed(text, is_error)`` for one plain line.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from icltui.api import (
    Client,
    CountTokens,
    EngineDied,
    EngineStarted,
    Event,
    Generate,
    GenerationEnded,
    JobFailed,
    LaneAdvanced,
    LoadModel,
    Measure,
    MeasureEnded,
    ModelLoaded,
    Progress,
    PromptTokenized,
    Request,
    UnitsMeasured,
    VerificationEnded,
    Verify,
)
from icltui.prompt import Prompt, layers_text
from icltui.record import ModelInfo
from icltui.session import Session
from icltui.tui.flows.document import Document, document_of, left_out, session_of, work_of
from icltui.tui.flows.jobs import Jobs
from icltui.tui.flows.part import Part
from icltui.tui.flows.results import Results
from icltui.tui.flows.work import Work

__all__ = ["Explorer", "Part"]


class Explorer:
    """One client, one document, and everything between them."""

    def __init__(
        self, client: Client, load: LoadModel, session: Session | None = None, path: Path | None = None
    ):
        self.load = load
        self.work, self.document, self.results = Work(), Document(), Results()
        self.progress: Progress | None = None
        self.death: str = ""
        """Why the engine is gone; empty while it is not."""
        self.log: list[str] = []
        self.is_unsaved = False
        self.jobs = Jobs(client, self._hear, self._hear_engine)
        self._changed: Callable[[Part], object] = lambda _part: None
        self._noticed: Callable[[str, bool], object] = lambda _text, _is_error: None
        self._is_asked = False
        self._counted: Prompt | None = None
        self._failure = ""
        if session:
            self._adopt(session, path)

    def listen(self, changed: Callable[[Part], object], noticed: Callable[[str, bool], object]) -> None:
        """From now on tell a view."""
        self._changed, self._noticed = changed, noticed

    @property
    def model(self) -> ModelInfo | None:
        """The loaded one; before there is one, that of the saved numbers."""
        return self.results.model

    # What the user does.

    async def start(self) -> None:
        """Start the engine, load the model, and run what is on the screen, if anything is."""
        self.jobs.ask([self.load, *self._whole_run()])
        await self._start_engine()

    async def run(self) -> None:
        """Measure and generate what is on the screen now; a dead engine is started anew for it."""
        if self._has_query():
            self._is_asked = True
            self.jobs.ask(self._behind_load(self._whole_run()), (Measure, Generate, Verify))
            if self.jobs.engine in ("dead", "off"):
                await self._start_engine()
            self._changed(Part.STATUS)

    async def stop(self) -> bool:
        """Stop the current job, or, asked twice, the engine; False if there is nothing to stop."""
        if not self.jobs.is_busy:
            return False
        await self.jobs.stop()
        self._changed(Part.STATUS)
        return True

    def edit(self, context: str, query: str) -> None:
        """Take the prompt as the editors hold it."""
        prompt = Prompt(context=context, query=query, unit=self.work.prompt.unit, bos=self.work.prompt.bos)
        if prompt != self.work.prompt:
            self._set_work(replace(self.work, prompt=prompt))
            self._changed(Part.COUNTS)

    def count(self) -> None:
        """Count the tokens of the prompt, if the engine has nothing better to do; never twice in vain."""
        prompt, counts = self.work.prompt, self.results.counts
        is_idle = self.jobs.is_loaded and self.jobs.request is None and not self.jobs.plan
        if is_idle and prompt.query and prompt not in (self._counted, counts and counts[0]):
            self._counted = prompt
            self.jobs.ask([self.work.count()])

    def choose_layers(self, layers: set[int]) -> None:
        """Tick exactly these layers; the numbers follow at the next run."""
        self._set_work(replace(self.work, layers=layers_text(layers, self.n_layers)))

    def switch_delta(self) -> None:
        """Turn the third lane on or off and generate anew."""
        self.work = replace(self.work, is_delta_on=not self.work.is_delta_on)
        self._regenerate()

    def next_mode(self) -> None:
        """Change between per-step and frozen patches."""
        self._set_work(self.work.with_next_mode())
        self._regenerate_patched()

    def next_components(self) -> None:
        """Change which parts of the patch act."""
        self._set_work(self.work.with_next_components())
        self._regenerate_patched()

    def verify(self) -> None:
        """Prove the patch on this prompt, behind whatever runs."""
        if self._can_ask():
            self._is_asked = True
            others = [r for r in self.jobs.plan if not isinstance(r, Verify)]
            self.jobs.ask(self._behind_load([*others, self.work.verify()]))
            self._changed(Part.STATUS)

    # Documents.

    @property
    def n_layers(self) -> int:
        """Layers of the model; before it is loaded, those that the saved numbers speak of."""
        if self.model:
            return self.model.n_layers
        measured = self.results.measurement
        return measured.layers[-1] + 1 if measured and measured.layers else 0

    def session(self, title: str) -> Session:
        """What would be saved now under this title."""
        return session_of(replace(self.document, title=title), self.work, self.results)

    def saved(self, path: Path, session: Session) -> tuple[str, ...]:
        """Remember that ``session`` now lies at ``path``; what of the screen is not in it, and so still unsaved."""
        self.document = replace(self.document, path=path, title=session.title)
        missing = left_out(session, self.work, self.results)
        self.is_unsaved = bool(missing)
        self._changed(Part.STATUS)
        return missing

    def open(self, session: Session, path: Path | None) -> None:
        """Put ``session`` on the screen; it is run only if it holds no numbers yet."""
        self.jobs.ask([r for r in self.jobs.plan if isinstance(r, LoadModel)], (Measure, Generate, Verify))
        self._adopt(session, path)
        self._changed(Part.DOCUMENT)
        if not session.measurement and self.work.prompt.query:
            self.jobs.ask([*self.jobs.plan, *self._whole_run()])

    def close(self) -> None:
        """An empty session in place of this one."""
        self.open(Session(created="", prompt=Prompt()), None)

    def _adopt(self, session: Session, path: Path | None) -> None:
        self.work, self.document = work_of(session, path), document_of(session, path)
        model = self.model if self.jobs.is_loaded else session.model
        self.results = Results.from_session(session, self.work, model)
        self.is_unsaved = self._is_asked = False

    # What follows from what.

    def _fit_work(self) -> None:
        """Put the choices in the loaded model's terms, before they go into a request."""
        if self.jobs.is_loaded and self.model:
            self.work = self.work.fitted(self.model.n_layers)

    def _whole_run(self) -> list[Request]:
        self._fit_work()
        return [self.work.measure(), self.work.generate()] if self.work.prompt.query.strip() else []

    def _behind_load(self, plan: list[Request]) -> list[Request]:
        """``plan``, with the model loaded first where it is neither there nor on its way."""
        is_coming = self.jobs.is_loaded or any(isinstance(r, LoadModel) for r in (self.jobs.request, *plan))
        return plan if is_coming else [self.load, *plan]

    def _can_ask(self) -> bool:
        """Whether a request other than a run makes sense; if not, the user is told."""
        if self.jobs.engine in ("dead", "off"):
            self._noticed("the engine is not running: ctrl+r starts it anew and runs", True)
            return False
        self._fit_work()
        return self._has_query()

    def _has_query(self) -> bool:
        """Whether there is anything to continue; if not, the user is told."""
        if not (words := self.work.prompt.query.strip()):
            self._noticed("the query is empty: type what the model should continue, then run", True)
        return bool(words)

    def _regenerate(self) -> None:
        """Generate with the present choices, in place of a generation that runs or waits."""
        self._changed(Part.WORK)
        if self.results.lanes or self.jobs.is_busy:
            self._is_asked = True
            if self._can_ask():
                others = [r for r in self.jobs.plan if not isinstance(r, Generate)]
                self.jobs.ask(self._behind_load([*others, self.work.generate()]), (Generate,))

    def _regenerate_patched(self) -> None:
        if self.work.is_delta_on:
            self._regenerate()
        else:
            self._noticed(f"patch: {self.work.patch_words}; ^t turns ΔW on", False)

    def _set_work(self, work: Work) -> None:
        self.work, self.is_unsaved = work, True
        self._changed(Part.WORK)

    async def _start_engine(self) -> None:
        self.death = self._failure = ""
        self._changed(Part.STATUS)
        await self.jobs.start()

    # What the engine says.

    def _hear_engine(self, event: EngineStarted | EngineDied) -> None:
        self.progress = None
        if isinstance(event, EngineDied):
            self.death = event.message
            if self._failure != event.message:  # which the job that died with it has told
                self.log.append(event.message)
            self.log += event.log_tail
            self._give_up()
        else:
            self.log.append(f"engine {event.version} started")
        self._changed(Part.LOG)
        self._changed(Part.STATUS)

    def _hear(self, request: Request, event: Event) -> None:
        self.results.take(request, event)
        match event:
            case Progress():
                self.progress = event
            case ModelLoaded():
                self._fit(event.model)
            case PromptTokenized() | UnitsMeasured() | MeasureEnded():
                self._changed(Part.COUNTS)
                self._changed(Part.NUMBERS)
            case LaneAdvanced() | GenerationEnded():
                self._changed(Part.LANES)
            case VerificationEnded():
                self._changed(Part.PROOF)
            case JobFailed():
                self._fail(request, event)
        if isinstance(event, MeasureEnded | GenerationEnded | VerificationEnded):
            self.is_unsaved |= self._is_asked
        if self.jobs.request is None:
            self._give_up()
            self._settle()
        self._changed(Part.STATUS)

    def _fail(self, request: Request, event: JobFailed) -> None:
        """Say why, except of token counts (asked for by nobody) and of jobs that were to stop anyway."""
        if not isinstance(request, CountTokens):
            self._failure = event.message
            self.log.append(event.message)
            self._changed(Part.LOG)
            self._noticed(event.message, True)

    def _give_up(self) -> None:
        """What a run in hand had not finished is taken back or marked."""
        if self.results.give_up():
            self._changed(Part.NUMBERS)
            self._changed(Part.LANES)
            if not self.results.is_cut and not self.jobs.plan:
                self._noticed("the run did not end: the complete results from before it are back", False)

    def _settle(self) -> None:
        """A job is over: tell what that means for what is drawn, and let the newest text be counted."""
        self.progress = None
        self._changed(Part.WORK)
        self.count()

    def _fit(self, model: ModelInfo) -> None:
        """Put the choices in this model's terms, also those that wait."""
        self.work, self._counted = self.work.fitted(model.n_layers), None
        self.jobs.plan = [self.work.renew(request) for request in self.jobs.plan]
        self._changed(Part.WORK)
