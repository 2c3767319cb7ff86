"""A controller whose idle engine generates the patched lane at the strengths that may be asked for next.

It begins when nothing else runs or waits, gives way to whatever is asked for, and ends with the strengths that there
are: an explorer that nobody touches computes nothing.
"""

from icltui.api.engine import Client
from icltui.api.messages import (
    JOB_OVER,
    Event,
    Generate,
    GenerateAhead,
    JobCancelled,
    LoadModel,
    Request,
    StrengthGenerated,
)
from icltui.tui.state.change import Change
from icltui.tui.state.fanning import FanController
from icltui.tui.state.provenance import Provenance
from icltui.tui.state.strengths import Strengths, is_kept, is_tested, joined, key_of


class AheadController(FanController):
    """One controller with the texts of other strengths."""

    def __init__(self, client: Client, load: LoadModel) -> None:
        super().__init__(client, load)
        self.strengths = Strengths()
        self.looks_ahead = False
        """Whether an idle engine is used; the program sets it."""
        self._looked: tuple[bytes, float] | None = None
        """The patch and the strength around which enough was looked ahead."""
        self._asked: tuple[bytes, float] | None = None
        """Those of the job that looks ahead."""
        self._tried: tuple[bytes, float] | None = None
        """The patch and the strength whose report was asked for last."""

    async def stop(self) -> bool:
        """Stop what runs; where nothing else does, stop looking ahead."""
        self._looked = self._tried = self._looking
        if isinstance(self.jobs.request, GenerateAhead) and not self.jobs.plan:
            self.jobs.ask([])
            return True
        return await super().stop()

    @property
    def present_alpha(self) -> float | None:
        """The strength of the patch that is asked for, as found where it is searched for."""
        alpha, patch = self.settings.recipe.alpha, self.results.patch
        return (patch.alpha if patch else None) if isinstance(alpha, str) else alpha

    def kl_by_alpha(self) -> dict[float, float]:
        """KL(with context ‖ patched) after the query by strength, as far as it is known."""
        return self.strengths.curve(self.settings.generate(), self.model)

    # What is heard.

    def _use_idle_engine(self) -> None:
        super()._use_idle_engine()
        self._look_ahead()

    def _hear_aside(self, request: Request, event: Event) -> bool:
        if not isinstance(request, GenerateAhead):
            return super()._hear_aside(request, event)
        if isinstance(event, StrengthGenerated):
            self.strengths.take(request.generate, self.model, event.generation)
            self._changed(Change.STRENGTHS)
            if event.generation.patch is not None and self._lacks_report:
                self._show_kept(self.settings.generate())
        elif isinstance(event, JOB_OVER):
            if not isinstance(event, JobCancelled):
                self._looked = self._asked  # also where it failed: it would again
            self.count()
        return True

    @property
    def _looking(self) -> tuple[bytes, float] | None:
        alpha = self.present_alpha
        return None if alpha is None else (key_of(self.settings.generate(), self.model), alpha)

    @property
    def _lacks_report(self) -> bool:
        """Whether the text on the screen was shown before its patch was tested."""
        made, origin = self.results.generation, self.results.generation_origin
        is_ours = origin is not None and origin.is_what(self.settings.generate(), self.model)
        return made is not None and is_ours and made.patch is None and is_tested(self.settings.generate())

    def _ask_report(self) -> bool:
        """Ask for the report that the text on the screen lacks, once; whether it was asked for."""
        alpha = self.present_alpha
        if alpha is None or not self._lacks_report or self._tried == self._looking:
            return False
        self._tried, self._asked = self._looking, self._looked
        self.jobs.ask([GenerateAhead(generate=self.settings.generate(), alphas=(alpha,))])
        return True

    def _look_ahead(self) -> None:
        """Ask for the strengths around the present one, where the engine is idle and its lane is of these choices."""
        jobs, results, alpha = self.jobs, self.results, self.present_alpha
        is_idle = jobs.is_loaded and jobs.request is None and not jobs.plan and not self.is_fanning
        if not (self.looks_ahead and is_idle and self.settings.is_delta_on and alpha is not None):
            return
        request, made = self.settings.generate(), results.generation
        is_there = results.texts.steps.get("patched") and results.is_lane_fresh("patched", self.settings)
        if made is None or not is_there or not is_kept(request) or self._looking == self._looked:
            return
        self.strengths.take(request, self.model, made)
        if self._ask_report():
            return
        if missing := self.strengths.missing(request, self.model, alpha):
            self._asked = self._looking
            jobs.ask([GenerateAhead(generate=request, alphas=missing)])
        else:
            self._looked = self._looking
        self._changed(Change.STRENGTHS)

    # What is shown.

    def _regenerate(self) -> None:
        """Show the text that is asked for where it is there, else generate it."""
        if not self._show_kept(self.settings.generate()):
            super()._regenerate()

    def _show_kept(self, request: Generate) -> bool:
        """Show a text that was generated before; whether there was one, beside the present other lanes."""
        known, origin = self.results.generation, self.results.generation_origin
        made = self.strengths.find(request, self.model)
        if made is None or known is None or origin is None or not known.lanes.keys() >= {*request.lanes}:
            return False
        if not all(origin.is_what(request, self.model, lane) for lane in request.lanes if lane != "patched"):
            return False
        if isinstance(self.jobs.request, Generate) or self.jobs.plan:
            self.jobs.ask(self.jobs.plan_without(Generate), (Generate,))
        self._is_asked = True
        self.results.put(joined(known, made), Provenance(request, self.model))
        self._take_result(request)
        for change in (Change.SETTINGS, Change.LANES, Change.STATUS, Change.STRENGTHS):
            self._changed(change)
        if self.looks_ahead and isinstance(self.jobs.request, GenerateAhead):
            self._ask_report()
        self._look_ahead()
        return True
