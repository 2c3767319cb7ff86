"""What a model would take, asked of the engine before it loads: one question at a time, the newest counts.

A request enters; what is known of it leaves as lines for a person.
"""

from icltui.api.messages import (
    EstimateModel,
    Event,
    JobCancelled,
    JobEnded,
    JobFailed,
    LoadModel,
    ModelEstimated,
)
from icltui.text.units import in_bytes, short
from icltui.tui.state.jobs import Jobs
from icltui.values import Estimate


class ModelEstimate:
    """The newest question and its answer."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.load: LoadModel | None = None
        """The model that was asked about."""
        self.estimate: Estimate | None = None
        self.failure = ""
        """Why it could not be loaded."""
        self._is_over = False

    def ask(self, load: LoadModel) -> None:
        """Ask about a model, after whatever runs or waits."""
        self.load, self.estimate, self.failure, self._is_over = load, None, "", False
        self._jobs.ask([*self._jobs.plan_without(EstimateModel), EstimateModel(load=load)])

    def drop(self) -> None:
        """Withdraw the question."""
        self.load = None
        self._jobs.ask(self._jobs.plan_without(EstimateModel))

    def hear(self, request: EstimateModel, event: Event) -> None:
        """Take one event of the answer, if it is one to the newest question."""
        if request.load != self.load:
            return
        match event:
            case ModelEstimated():
                self.estimate = event.estimate
            case JobFailed():
                self.failure = event.message
        self._is_over = isinstance(event, JobEnded | JobFailed | JobCancelled)

    def lines(self) -> list[str]:
        """What is known: the size, then whether it fits or why it cannot be loaded."""
        if self.load is None:
            return []
        if self._jobs.is_dead:
            return ["the engine is not running: enter starts it and loads"]
        if self.estimate is None and not self.failure:
            return [self._none_yet()]
        size = [_size_line(self.estimate)] if self.estimate else []
        if self.failure:
            return [*size, f"✗ {self.failure}"]
        return [*size, _fit_line(self.estimate)] if self.estimate else size

    def _none_yet(self) -> str:
        if self._is_over:
            return "its size is not known: its files do not give it"
        if self._jobs.is_busy:
            return "the estimate comes once the engine is free; enter stops it and loads"
        return "reading its files …"


def _size_line(estimate: Estimate) -> str:
    return (
        f"{short(estimate.n_parameters)} parameters · {in_bytes(estimate.weight_bytes)} of weights · "
        f"a measure adds up to {in_bytes(estimate.measure_bytes)}"
    )


def _fit_line(estimate: Estimate) -> str:
    need = estimate.weight_bytes + estimate.measure_bytes
    is_room = need <= estimate.available_bytes
    return f"{'✓ fits' if is_room else '✗ does not fit'}: {in_bytes(need)} of {in_bytes(estimate.available_bytes)} free"
