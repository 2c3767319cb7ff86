"""What came back: events enter one by one, and the numbers on the screen are their sum.

Each result remembers its origin, so that a view can tell numbers of this prompt and model from others. A run that
is over before its end takes nothing away: what was complete before it comes back.
"""

from dataclasses import replace

from msgspec.structs import replace as with_changes

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
from icltui.storage.sessions import Session
from icltui.tui.state.measurements import Board
from icltui.tui.state.provenance import Origin
from icltui.tui.state.settings import Work
from icltui.values import (
    Agreement,
    Curves,
    Generation,
    Lane,
    LaneStep,
    Measurement,
    ModelInfo,
    PatchReport,
    Prediction,
    PromptIds,
    Row,
    TokenizedPrompt,
    Verification,
)
from icltui.values.prompt import WHY_ANOTHER, Prompt


class Results:
    """Everything measured, generated and verified; :meth:`take` is the only way in while a job runs."""

    def __init__(self, model: ModelInfo | None = None) -> None:
        self.model = model
        """The loaded one; before there is one, that of the saved numbers."""
        self.board = Board()
        """Another object for each run, so that a view sees when a new one began."""
        self.board_origin: Origin | None = None
        self.lanes: dict[Lane, tuple[LaneStep, ...]] = {}
        self.lane_origins: dict[Lane, Origin] = {}
        self.counts: tuple[Prompt, int, int] | None = None
        """A prompt, its context tokens and its query tokens."""
        self.uncounted: tuple[Prompt, str] | None = None
        """The last prompt that could not be counted, and why."""
        self._saying: tuple[Generate | None, int] = (None, 0)
        """The request whose lanes spoke last, and how many tokens they have said."""
        # The last complete ones, which a run in hand replaces at its end only.
        self.measurement: Measurement | None = None
        self.generation: Generation | None = None
        self.verification: Verification | None = None
        self.varied: PatchReport | None = None
        """The last report with curves, which a patch made anew does not bring again."""
        self.measured: Origin | None = None
        self.generated: Origin | None = None
        self.verified: Origin | None = None
        self.varied_origin: Origin | None = None
        self._whole_board: Board | None = None
        self._whole_lanes: dict[Lane, tuple[tuple[LaneStep, ...], Origin]] = {}
        self._coming: TokenizedPrompt | None = None
        self._rows: list[Row] = []
        self._predictions: dict[int, Prediction] = {}
        """The last of each unit: one may come again, its divergence now known."""

    @classmethod
    def from_session(cls, session: Session, work: Work, model: ModelInfo | None) -> "Results":
        """The numbers that a session was saved with; ``work`` is what it was saved from."""
        results = cls(model)
        if session.measurement:
            results.measurement = session.measurement
            results.measured = Origin(request_of(session.measurement, work), session.model)
            results.board = results._whole_board = Board.from_measurement(session.measurement)
            results.board_origin = results.measured
            results._count(work.prompt, session.measurement.tokens)
        if session.generation:
            origin = Origin(work.generate(), session.model)
            results._keep_lanes(session.generation, origin)
            if (patch := session.generation.patch) and patch.curves:
                results.varied, results.varied_origin = patch, origin
        if session.verification:
            results.verification = session.verification
            results.verified = Origin(work.verify(), session.model)
        return results

    def take(self, request: Request, event: Event) -> None:
        """Add one event of the job that ``request`` started."""
        match request, event:
            case LoadModel(), ModelLoaded():
                self.model = event.model
            case CountTokens(), PromptTokenized():
                self._count(request.prompt, event.tokens)
            case CountTokens(), JobFailed():
                self.uncounted = request.prompt, event.message
            case Measure(), PromptTokenized():
                self._count(request.prompt, event.tokens)
                self._coming = event.tokens
            case Measure(), UnitsMeasured():
                self._begin(request)
                self._rows += event.rows
                self._predictions |= {prediction.unit: prediction for prediction in event.predictions}
                self.board.add(event.rows, event.predictions)
            case Measure(), MeasureEnded():
                self._begin(request)
                self._end(request, event)
            case Generate(), LaneAdvanced():
                self._saying = request, self.n_said(request) + 1
                self._advance(request, event.step)
            case Generate(), GenerationEnded() if self._is_part_of_what_is_there(request):
                pass  # the same texts without the patched one: turning ΔW off takes nothing away
            case Generate(), GenerationEnded():
                # The same patch's report stands until the new one comes, which a stopped run would never send.
                known = self.generation.patch if self.generation and self._is_patch_of(request) else None
                generation = (
                    event.generation
                    if event.generation.patch
                    else with_changes(event.generation, patch=known)
                )
                self._keep_lanes(generation, Origin(request, self.model))
            case Generate(), PatchTested() if self.generation:
                patch = with_changes(event.patch, curves=event.patch.curves or self._known_curves(request))
                self.generation = with_changes(self.generation, patch=patch)
                if patch.curves:
                    self.varied, self.varied_origin = patch, Origin(request, self.model)
            case Verify(), VerificationEnded():
                self.verification, self.verified = event.verification, Origin(request, self.model)

    def give_up(self) -> bool:
        """No more of a run will come: bring back what was whole, or mark what is not; whether there was any."""
        origin = self.board_origin
        is_board_cut = origin is not None and origin is not self.measured and not origin.is_stopped
        cut = [lane for lane in self.lanes if self._is_lane_cut(lane)]
        self._coming = None
        if is_board_cut and self._whole_board:
            self.board, self.board_origin = self._whole_board, self.measured
        elif is_board_cut and origin:
            self.board_origin = replace(origin, is_stopped=True)
        for lane in cut:
            partial = (self.lanes[lane], replace(self.lane_origins[lane], is_stopped=True))
            steps, self.lane_origins[lane] = self._whole_lanes.get(lane, partial)
            self.lanes = {**self.lanes, lane: steps}
        return is_board_cut or bool(cut)

    def _is_lane_cut(self, lane: Lane) -> bool:
        origin, whole = self.lane_origins[lane], self._whole_lanes.get(lane)
        return not origin.is_stopped and (whole is None or origin is not whole[1])

    def n_said(self, request: Generate) -> int:
        """Tokens that the lanes of ``request`` have said so far, also those that a lane had said before."""
        saying, n_tokens = self._saying
        return n_tokens if saying is request else 0

    @property
    def patch(self) -> PatchReport | None:
        """What is known of the patch whose lane is shown, once it is."""
        is_shown = self.generated is not None and self.lane_origins.get("patched") is self.generated
        return self.generation.patch if is_shown and self.generation else None

    def ids_of(self, prompt: Prompt) -> PromptIds | None:
        """What ``prompt`` was for this model when it was run; if it was run more than once, when its patch was made."""
        held = (
            (self.generated, self.generation and self.generation.ids),
            (self.measured, self.measurement and self.measurement.tokens.ids),
            (self.verified, self.verification and self.verification.ids),
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
        parts = was.unlike(now) if was and now else ""
        return parts and f"the prompt is not the one that was run before: {parts}: {WHY_ANOTHER}"

    def agreement(self, lane: Lane) -> Agreement | None:
        """How ``lane`` compares with the context lane so far; None before both have begun."""
        ours, theirs = self.lanes.get(lane, ()), self.lanes.get("context", ())
        total = min(len(ours), len(theirs))
        if not total:
            return None
        equal = [a.token.id == b.token.id for a, b in zip(ours, theirs, strict=False)]
        first = next((at for at, is_equal in enumerate(equal) if not is_equal), None)
        return Agreement(equal=sum(equal), total=total, first_difference=first)

    @property
    def is_cut(self) -> bool:
        """Whether anything here is a part of a run that is over."""
        return any(
            origin and origin.is_stopped for origin in (self.board_origin, *self.lane_origins.values())
        )

    def is_numbers_fresh(self, work: Work) -> bool:
        """Whether the numbers shown are those of ``work`` and the model; also where there are none."""
        return self._is_fresh(self.board_origin, work.measure())

    def is_lane_fresh(self, lane: Lane, work: Work) -> bool:
        """Whether a lane's text is that of ``work`` and the model; also where there is none."""
        return self._is_fresh(self.lane_origins.get(lane), work.generate(), lane)

    def is_proof_fresh(self, work: Work) -> bool:
        """Whether the verification is that of ``work`` and the model; also where there is none."""
        return self._is_fresh(self.verified, work.verify())

    def _is_fresh(self, origin: Origin | None, request: Request, lane: Lane | None = None) -> bool:
        if origin is None:
            return True
        return not origin.is_stopped and origin.is_of(self.model) and origin.answers(request, lane)

    def _count(self, prompt: Prompt, tokens: TokenizedPrompt) -> None:
        self.counts = (prompt, len(tokens.context), len(tokens.query))

    def _begin(self, request: Measure) -> None:
        """With its first numbers, and not before, a run takes the place of the one before it on the screen."""
        if self._coming is None:
            return
        self.board = Board()
        self.board.begin(self._coming, request.dynamics)
        self.board_origin, self._coming = Origin(request, self.model), None
        self._rows, self._predictions = [], {}

    def _end(self, request: Measure, event: MeasureEnded) -> None:
        if self.board.tokens is None:
            return
        self.board.path = event.path
        self.measured, self._whole_board = self.board_origin, self.board
        self.measurement = Measurement(
            tokens=self.board.tokens,
            layers=event.layers,
            rows=tuple(self._rows),
            predictions=tuple(self._predictions.values()),
            path=event.path,
            seconds=event.seconds,
            dynamics=request.dynamics,
            reference=request.reference,
            precision=request.precision,
            pairs=event.pairs,
        )

    def _advance(self, request: Generate, step: LaneStep) -> None:
        """The first step of a lane puts the new text in place of the old, so that nothing flickers before.

        A text that does not depend on what changed, such as the context's under another patch, stays as it is.
        """
        if self._is_said_already(request, step):
            return
        before = self.lanes.get(step.lane, ())[: step.index]
        self.lanes = {**self.lanes, step.lane: (*before, step)}
        self.lane_origins[step.lane] = Origin(request, self.model)

    def _is_said_already(self, request: Generate, step: LaneStep) -> bool:
        steps, origin = self._whole_lanes.get(step.lane, ((), None))
        is_ours = origin is not None and origin is self.lane_origins.get(step.lane)
        if (
            not is_ours
            or origin is None
            or not origin.answers(request, step.lane)
            or not origin.is_of(self.model)
        ):
            return False
        return step.index < len(steps) and steps[step.index].token.id == step.token.id

    def _is_part_of_what_is_there(self, request: Generate) -> bool:
        made, lanes = self.generated, self.generation.lanes.keys() if self.generation else set()
        is_ours = made is not None and made.answers(request, "patched") and made.is_of(self.model)
        return is_ours and {*request.lanes} < {*lanes}

    def _is_patch_of(self, request: Generate) -> bool:
        """Whether the patch that was made last is the one that ``request`` asks for."""
        made = self.generated
        is_asked = "patched" in request.lanes and made is not None and made.answers(request, "patched")
        return is_asked and made is not None and made.is_of(self.model)

    def _known_curves(self, request: Generate) -> Curves | None:
        """The curves of the very patch that ``request`` asks for, if it was varied before."""
        origin = self.varied_origin
        is_known = origin and origin.answers(request, "patched") and origin.is_of(self.model)
        return self.varied.curves if self.varied and is_known else None

    def _keep_lanes(self, generation: Generation, origin: Origin) -> None:
        self.generation, self.generated = generation, origin
        for lane, text in generation.lanes.items():
            self.lanes = {**self.lanes, lane: text.steps}
            self.lane_origins[lane] = origin
            self._whole_lanes[lane] = (text.steps, origin)


def request_of(measurement: Measurement, work: Work) -> Measure:
    """The request that ``measurement`` answered, saved beside ``work``."""
    return with_changes(
        work.measure(),
        dynamics=measurement.dynamics,
        reference=measurement.reference,
        precision=measurement.precision,
    )
