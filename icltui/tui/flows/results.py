"""What came back: events enter one by one, and the numbers on the screen are their sum.

Each result remembers the request that it answers, so that a view can tell numbers of this prompt from older ones.
"""

from icltui.api import (
    CountTokens,
    Event,
    Generate,
    GenerationEnded,
    LaneAdvanced,
    Measure,
    MeasureEnded,
    PromptTokenized,
    Request,
    UnitsMeasured,
    VerificationEnded,
    Verify,
)
from icltui.prompt import Prompt
from icltui.record import (
    Agreement,
    Generation,
    Lane,
    LaneStep,
    Measurement,
    Prediction,
    Row,
    TokenizedPrompt,
    Verification,
)
from icltui.session import Session
from icltui.tui.board import Board
from icltui.tui.flows.work import Work


class Results:
    """Everything measured, generated and verified; :meth:`take` is the only way in while a job runs."""

    def __init__(self) -> None:
        self.board = Board()
        """Another object for each run, so that a view sees when a new one began."""
        self.counts: tuple[Prompt, int, int] | None = None
        """A prompt, its context tokens and its query tokens."""
        self.tokens: TokenizedPrompt | None = None
        self.lanes: dict[Lane, tuple[LaneStep, ...]] = {}
        self.measurement: Measurement | None = None
        self.generation: Generation | None = None
        self.verification: Verification | None = None
        self.measured: Measure | None = None
        self.generated: Generate | None = None
        self.verified: Verify | None = None
        self.lane_sources: dict[Lane, Generate] = {}
        self._coming: TokenizedPrompt | None = None
        self._rows: list[Row] = []
        self._predictions: list[Prediction] = []

    @classmethod
    def from_session(cls, session: Session, work: Work) -> "Results":
        """The numbers that a session was saved with; ``work`` is what it was saved from."""
        results = cls()
        if session.measurement:
            results.measurement, results.measured = session.measurement, work.measure()
            results.board = Board.from_measurement(session.measurement)
            results._count(work.prompt, session.measurement.tokens)
        if session.generation:
            results.generation, results.generated = session.generation, work.generate()
            results.lanes = {lane: text.steps for lane, text in session.generation.lanes.items()}
            results.lane_sources = dict.fromkeys(results.lanes, work.generate())
        if session.verification:
            results.verification, results.verified = session.verification, work.verify()
        return results

    def take(self, request: Request, event: Event) -> None:
        """Add one event of the job that ``request`` started."""
        match request, event:
            case CountTokens(), PromptTokenized():
                self._count(request.prompt, event.tokens)
            case Measure(), PromptTokenized():
                self._count(request.prompt, event.tokens)
                self._coming = event.tokens
            case Measure(), UnitsMeasured():
                self._begin(request)
                self._rows += event.rows
                self._predictions += event.predictions
                self.board.add(event.rows, event.predictions)
            case Measure(), MeasureEnded():
                self._begin(request)
                self._end(event)
            case Generate(), LaneAdvanced():
                self._advance(request, event.step)
            case Generate(), GenerationEnded():
                self.generation, self.generated = event.generation, request
                self.lanes = self.lanes | {lane: text.steps for lane, text in event.generation.lanes.items()}
            case Verify(), VerificationEnded():
                self.verification, self.verified = event.verification, request

    def agreement(self, lane: Lane) -> Agreement | None:
        """How ``lane`` compares with the context lane so far; None before both have begun."""
        ours, theirs = self.lanes.get(lane, ()), self.lanes.get("context", ())
        total = min(len(ours), len(theirs))
        if not total:
            return None
        equal = [a.token.id == b.token.id for a, b in zip(ours, theirs, strict=False)]
        first = next((at for at, is_equal in enumerate(equal) if not is_equal), None)
        return Agreement(equal=sum(equal), total=total, first_difference=first)

    def is_numbers_fresh(self, work: Work) -> bool:
        """Whether the measured numbers are those of ``work``; also where there are none."""
        return self.measured is None or self.measured == work.measure()

    def is_lane_fresh(self, lane: Lane, work: Work) -> bool:
        """Whether a lane's text is that of ``work``; only the patched one depends on layers and patch."""
        source = self.lane_sources.get(lane)
        if source is None:
            return True
        wanted = work.generate()
        if (source.prompt, source.n_tokens) != (wanted.prompt, wanted.n_tokens):
            return False
        patch = (source.layers, source.mode, source.components)
        return lane != "patched" or patch == (wanted.layers, wanted.mode, wanted.components)

    def is_proof_fresh(self, work: Work) -> bool:
        """Whether the verification is that of ``work``; also where there is none."""
        return self.verified is None or self.verified == work.verify()

    def _count(self, prompt: Prompt, tokens: TokenizedPrompt) -> None:
        self.counts = (prompt, len(tokens.context), len(tokens.query))

    def _begin(self, request: Measure) -> None:
        """With its first numbers, and not before, a run takes the place of the one before it."""
        if self._coming is None:
            return
        self.tokens, self._coming = self._coming, None
        self.board = Board()
        self.board.begin(self.tokens)
        self.measured, self.measurement = request, None
        self._rows, self._predictions = [], []

    def _end(self, event: MeasureEnded) -> None:
        if self.tokens is None:
            return
        self.measurement = Measurement(
            tokens=self.tokens,
            layers=event.layers,
            rows=tuple(self._rows),
            predictions=tuple(self._predictions),
            path=event.path,
            seconds=event.seconds,
        )

    def _advance(self, request: Generate, step: LaneStep) -> None:
        """The first step of a lane puts the new text in place of the old, so that nothing flickers before."""
        before = self.lanes.get(step.lane, ()) if step.index else ()
        self.lanes = {**self.lanes, step.lane: (*before, step)}
        self.lane_sources[step.lane] = request
