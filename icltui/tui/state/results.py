"""The results of jobs: events enter one by one, and add up to the numbers on the screen.

Each result remembers its origin, so that a view can tell numbers of this prompt and model from others. A run that
is over before its end takes nothing away: what was complete before it comes back.
"""

from dataclasses import replace

from msgspec.structs import replace as with_changes

from icltui.api.collect import Collected
from icltui.api.messages import (
    CountTokens,
    Event,
    Generate,
    GenerationEnded,
    JobFailed,
    LaneAdvanced,
    LoadModel,
    Measure,
    MeasureEnded,
    ModelLoaded,
    PatchTested,
    PromptTokenized,
    Request,
    UnitsMeasured,
    VerificationEnded,
    Verify,
)
from icltui.tui.state.inspections import Inspections
from icltui.tui.state.lane_texts import LaneTexts
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.state.provenance import Provenance, fingerprint
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.trials import Trials
from icltui.values import (
    Curves,
    Generation,
    Lane,
    Measurement,
    ModelInfo,
    PatchReport,
    PromptIds,
    Session,
    TokenizedPrompt,
    Verification,
)
from icltui.values.prompt import Prompt, unlike_and_why


class Results:
    """Everything measured, generated and verified; while a job runs it changes through :meth:`take` alone."""

    def __init__(self, model: ModelInfo | None = None) -> None:
        self.model = model
        """The loaded one; before there is one, that of the saved numbers."""
        self.measured = MeasuredUnits()
        """Another object for each run, so that a view sees when a new one began."""
        self.measured_origin: Provenance | None = None
        self.texts = LaneTexts()
        self.counts: tuple[Prompt, TokenizedPrompt] | None = None
        """A prompt, and its tokens."""
        self.uncounted: tuple[Prompt, str] | None = None
        """The last prompt that could not be counted, and why."""
        # The last complete ones, which a run in hand replaces at its end only.
        self.measurement: Measurement | None = None
        self.generation: Generation | None = None
        self.verification: Verification | None = None
        self.varied: PatchReport | None = None
        """The last report with curves; a patch that is made again brings none."""
        self.measurement_origin: Provenance | None = None
        self.generation_origin: Provenance | None = None
        self.verification_origin: Provenance | None = None
        self.varied_origin: Provenance | None = None
        self.trials = Trials()
        """The context as one patch, and its exam."""
        self.inspections = Inspections()
        """The loss at each position, the attention heads, and the patch effects."""
        self._complete_units: MeasuredUnits | None = None
        self._collected: Collected | None = None
        """The results of the current job so far."""

    @classmethod
    def from_session(cls, session: Session, settings: RunSettings, model: ModelInfo | None) -> "Results":
        """The numbers that a session was saved with; ``settings`` is what it was saved from."""
        results = cls(model)
        if session.measurement:
            results.measurement = session.measurement
            results.measurement_origin = Provenance(request_of(session.measurement, settings), session.model)
            sink = session.model.sink if session.model else None
            results.measured = results._complete_units = MeasuredUnits.from_measurement(
                session.measurement, sink
            )
            results.measured_origin = results.measurement_origin
            results._count(settings.prompt, session.measurement.tokens)
        if session.generation:
            origin = Provenance(settings.generate(), session.model)
            results._keep_lanes(session.generation, origin)
            if (patch := session.generation.patch) and patch.curves:
                results.varied, results.varied_origin = patch, origin
        if session.verification:
            results.verification = session.verification
            results.verification_origin = Provenance(settings.verify(), session.model)
        results.trials = Trials.from_session(session, settings)
        results.inspections = Inspections.from_session(session, settings)
        return results

    def take(self, request: Request, event: Event) -> None:
        """Add one event of the job that ``request`` started."""
        job = self._collect(request)
        job.take(event)
        self.trials.take(request, event, job.exam, self.model)
        self.inspections.take(request, event, self.model)
        match request, event:
            case LoadModel(), ModelLoaded():
                if self.model and fingerprint(self.model) != fingerprint(job.model):
                    self.counts = None  # another model's tokens
                self.model = job.model
            case CountTokens() | Measure(), PromptTokenized():
                self._count(request.prompt, event.tokens)
            case CountTokens(), JobFailed():
                self.uncounted = request.prompt, event.message
            case Measure(), UnitsMeasured():
                self._begin(request, job.tokens)
                self.measured.add(event.rows, event.predictions)
            case Measure(), MeasureEnded() if job.measurement:
                self._begin(request, job.tokens)
                self.measured.path = event.path
                self._complete_units, self.measurement = self.measured, job.measurement
                self.measurement_origin = self.measured_origin
            case Generate(), LaneAdvanced():
                self.texts.add(request, event.step, self._origin(request))
            case Generate(), GenerationEnded() if not self._is_part_of_what_is_there(request):
                # The same patch's report stays until the new one comes, which a stopped run would never send.
                known = self.generation.patch if self.generation and self._is_patch_of(request) else None
                generation = with_changes(event.generation, patch=event.generation.patch or known)
                self._keep_lanes(generation, self._origin(request))
            case Generate(), PatchTested() if self.generation:
                patch = with_changes(event.patch, curves=event.patch.curves or self._known_curves(request))
                self.generation = with_changes(self.generation, patch=patch)
                if patch.curves:
                    self.varied, self.varied_origin = patch, self._origin(request)
            case Verify(), VerificationEnded():
                self.verification, self.verification_origin = job.verification, self._origin(request)

    def _collect(self, request: Request) -> Collected:
        if self._collected is None or self._collected.request is not request:
            self._collected = Collected(request)
        return self._collected

    def _origin(self, request: Request) -> Provenance:
        return Provenance(request, self.model)

    def give_up(self) -> bool:
        """End a run that is not complete: restore the complete results before it, or mark what there is as stopped.

        Returns whether anything was incomplete.
        """
        origin = self.measured_origin
        is_measure_cut = (
            origin is not None and origin is not self.measurement_origin and not origin.is_stopped
        )
        self._collected = None
        if is_measure_cut and self._complete_units:
            self.measured, self.measured_origin = self._complete_units, self.measurement_origin
        elif is_measure_cut and origin:
            self.measured_origin = replace(origin, is_stopped=True)
        is_cut = self.texts.give_up() | self.trials.give_up() | self.inspections.give_up()
        return is_cut | is_measure_cut

    @property
    def patch(self) -> PatchReport | None:
        """The report on the patch whose lane is shown, once there is one."""
        is_shown = (
            self.generation_origin is not None and self.texts.origins.get("patched") is self.generation_origin
        )
        return self.generation.patch if is_shown and self.generation else None

    def ids_of(self, prompt: Prompt) -> PromptIds | None:
        """The ids of ``prompt`` when this model ran it; of several runs, those with which the patch was made."""
        held = (
            (self.generation_origin, self.generation and self.generation.ids),
            (self.measurement_origin, self.measurement and self.measurement.tokens.ids),
            (self.verification_origin, self.verification and self.verification.ids),
        )
        return next(
            (ids for origin, ids in held if ids and origin and origin.is_run_of(prompt, self.model)), None
        )

    def another_prompt(self, request: Request, event: Event) -> str:
        """That the same text is another prompt than when it was run before; empty where it is not."""
        match request, event:
            case Measure(), PromptTokenized():
                now: PromptIds | None = event.tokens.ids
            case Generate(), GenerationEnded():
                now = event.generation.ids
            case Verify(), VerificationEnded():
                now = event.verification.ids
            case _:
                return ""
        was = self.ids_of(request.prompt)
        parts = unlike_and_why(was, now) if was and now else ""
        return parts and f"the prompt is not the one that was run before: {parts}"

    @property
    def is_cut(self) -> bool:
        """Whether anything here is a part of a run that is over."""
        origins = (self.measured_origin, self.trials.exam_origin, *self.texts.origins.values())
        return any(origin and origin.is_stopped for origin in origins)

    def is_numbers_fresh(self, settings: RunSettings) -> bool:
        """Whether the numbers shown are those of ``settings`` and the model; also where there are none."""
        return self._is_fresh(self.measured_origin, settings.measure())

    def is_lane_fresh(self, lane: Lane, settings: RunSettings) -> bool:
        """Whether a lane's text is that of ``settings`` and the model; also where there is none."""
        return self._is_fresh(self.texts.origins.get(lane), settings.generate(), lane)

    def is_proof_fresh(self, settings: RunSettings) -> bool:
        """Whether the verification is that of ``settings`` and the model; also where there is none."""
        return self._is_fresh(self.verification_origin, settings.verify())

    def _is_fresh(self, origin: Provenance | None, request: Request, lane: Lane | None = None) -> bool:
        return origin is None or (not origin.is_stopped and origin.is_what(request, self.model, lane))

    def _count(self, prompt: Prompt, tokens: TokenizedPrompt) -> None:
        self.counts = (prompt, tokens)

    def _begin(self, request: Measure, tokens: TokenizedPrompt | None) -> None:
        """Replace the numbers on the screen by those of a new run, once its first numbers come."""
        if tokens and (self.measured_origin is None or self.measured_origin.request is not request):
            sink = self.model.sink if self.model and request.reference == "free" else None
            self.measured, self.measured_origin = (
                MeasuredUnits(tokens, request.dynamics, sink),
                self._origin(request),
            )

    def _is_part_of_what_is_there(self, request: Generate) -> bool:
        """Whether it is the same texts without the patched one: turning ΔW off takes nothing away."""
        made, lanes = self.generation_origin, self.generation.lanes.keys() if self.generation else set()
        is_ours = made is not None and made.is_what(request, self.model, "patched")
        return is_ours and {*request.lanes} < {*lanes}

    def _is_patch_of(self, request: Generate) -> bool:
        """Whether the patch that was made last is the one that ``request`` asks for."""
        made = self.generation_origin
        return "patched" in request.lanes and bool(made and made.is_what(request, self.model, "patched"))

    def _known_curves(self, request: Generate) -> Curves | None:
        """The curves of the very patch that ``request`` asks for, if it was varied before."""
        origin = self.varied_origin
        is_known = origin and origin.is_what(request, self.model, "patched")
        return self.varied.curves if self.varied and is_known else None

    def put(self, generation: Generation, origin: Provenance) -> None:
        """Take texts that no job of now has brought."""
        self._keep_lanes(generation, origin)

    def _keep_lanes(self, generation: Generation, origin: Provenance) -> None:
        self.generation, self.generation_origin = generation, origin
        self.texts.complete(generation, origin)


def request_of(measurement: Measurement, settings: RunSettings) -> Measure:
    """The request that ``measurement`` answered, saved beside ``settings``."""
    return with_changes(
        settings.measure(),
        dynamics=measurement.dynamics,
        reference=measurement.reference,
        precision=measurement.precision,
    )
