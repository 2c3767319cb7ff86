"""A fan: runs that differ from one run in one choice, computed one after the other while the screen shows another.

Events enter, and runs of the tree come out; what is on the screen is no part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace as with_changes

from icltui.api.collect import Collected
from icltui.api.messages import (
    JOB_OVER,
    Event,
    Generate,
    JobCancelled,
    JobEnded,
    JobFailed,
    Measure,
    Request,
)
from icltui.tui.state.fan_line import Variation
from icltui.values import Measurement, Session


@dataclass
class FanPoint:
    """One run of a fan."""

    variation: Variation
    session: Session
    """What is there of it."""
    requests: list[Request]
    """What is missing, in the order in which it is asked for."""
    number: int | None = None
    """Of the run, once it is one."""
    problem: str = ""
    """Why it could not be run."""

    @property
    def is_open(self) -> bool:
        """Whether it is still to be run, or running."""
        return self.number is None and not self.problem


@dataclass
class Fan:
    """The runs of one fan; what is asked for next, and what has come."""

    base: int | None
    """The run that they come of."""
    line: str
    """What the user wrote."""
    points: Sequence[FanPoint]
    state: Literal["runs", "ending", "over"] = "runs"
    """ending: the present run is the last one."""
    _is_begun: bool = False
    """Whether something of the present run was asked for."""
    _collected: Collected | None = field(default=None, repr=False)

    @property
    def n_done(self) -> int:
        """Runs that are there."""
        return sum(point.number is not None for point in self.points)

    @property
    def family(self) -> set[int | None]:
        """The numbers of its runs and of the run that they come of."""
        return {self.base, *(point.number for point in self.points if point.number)}

    @property
    def place(self) -> int:
        """The number of the present run in the fan, from 1."""
        return next((at for at, point in enumerate(self.points, 1) if point.is_open), len(self.points))

    @property
    def current(self) -> FanPoint | None:
        """The run that is computed now, or next."""
        return next((point for point in self.points if point.is_open), None)

    def owns(self, request: Request | None) -> bool:
        """Whether ``request`` is what this fan asked for last."""
        return request is not None and self._collected is not None and self._collected.request is request

    def next_request(self) -> Request | None:
        """What is to be asked for now; None when it is over."""
        point = self.current
        is_last = self.state == "ending" and not self._is_begun
        if point is None or is_last:
            self.state = "over"
        if self.state == "over" or point is None:
            return None
        self._is_begun, self._collected = True, Collected(point.requests[0])
        return self._collected.request

    def take(self, event: Event) -> FanPoint | None:
        """Take an event of the job that was asked for last; the run that is whole by it, if any is.

        A job that gave way to another one is asked for again later, unless the fan is to end.
        """
        job, point = self._collected, self.current
        if job is None or point is None:
            return None
        job.take(event)
        if not isinstance(event, JOB_OVER):
            return None
        self._collected = None
        match event:
            case JobFailed():
                point.problem, self._is_begun = event.message, False
            case JobCancelled() if self.state == "ending":
                self.state = "over"
            case JobEnded() if job.result is None:
                point.problem, self._is_begun = "the engine brought nothing", False
            case JobEnded():
                point.session = _with_result(point.session, job)
                del point.requests[0]
                if not point.requests:
                    self._is_begun = False
                    return point
        return None


def _with_result(session: Session, job: Collected) -> Session:
    match job.request:
        case Measure():
            return with_changes(session, measurement=job.measurement)
        case Generate():
            return with_changes(session, generation=job.generation)
    return session


def on_layers(measurement: Measurement, layers: Sequence[int]) -> Measurement:
    """The part of a measurement that its rows at some of its layers are: layers are measured independently."""
    kept = {*layers}
    return with_changes(
        measurement,
        layers=tuple(layer for layer in measurement.layers if layer in kept),
        rows=tuple(row for row in measurement.rows if row.layer in kept),
        pairs=tuple(pairs for pairs in measurement.pairs if pairs.layer in kept),
    )
