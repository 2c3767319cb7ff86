"""A controller whose engine also computes fans: runs of the tree that come while the screen shows another run.

What the user asks for goes first; a fan goes on when nothing else runs or waits.
"""

from dataclasses import replace
from datetime import UTC, datetime

from msgspec.structs import replace as with_changes

from icltui.api.engine import Client
from icltui.api.messages import JOB_OVER, EngineDied, Event, LoadModel, Measure, Request
from icltui.tui.state.change import Change
from icltui.tui.state.controller import Controller
from icltui.tui.state.fan import Fan, FanPoint, on_layers
from icltui.tui.state.fan_line import Variation, variations
from icltui.tui.state.jobs import EngineNews
from icltui.tui.state.one_run import RESULTS, has_asked_the_same
from icltui.tui.state.provenance import fingerprint
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.session_conversion import session_of
from icltui.values import Measurement, ModelInfo, Run, Session


class FanController(Controller):
    """One controller with at most one fan."""

    def __init__(self, client: Client, load: LoadModel) -> None:
        super().__init__(client, load)
        self.fan: Fan | None = None
        """The last fan of this session."""

    @property
    def is_fanning(self) -> bool:
        """Whether a fan still has runs to come."""
        return self.fan is not None and self.fan.state != "over"

    @property
    def is_screen_awaited(self) -> bool:
        """Whether a job runs, or waits, that changes what is on the screen."""
        is_aside = self.fan is not None and self.fan.owns(self.jobs.request) and not self.jobs.plan
        return self.jobs.is_running and not is_aside

    def variations(self, line: str) -> tuple[Variation, ...]:
        """The runs that ``line`` asks for, of what is on the screen now.

        Raises:
            BadInput: it asks for none that can be.
        """
        return variations(line, self.settings, self.n_layers, self.refused)

    def fan_out(self, line: str) -> Fan | None:
        """Compute the runs that ``line`` asks for, one by one, as children of the present run; None where none can be.

        Those that are there already are not computed again.

        Raises:
            BadInput: it asks for none that can be.
        """
        if self.is_fanning:
            self._noticed("a fan is under way: esc stops it after its present run", True)
            return None
        if not self._can_ask():
            return None
        if not self.jobs.is_loaded:
            self._noticed("no model is loaded: ctrl+r loads it and runs, then fan out", True)
            return None
        points = [self._point(variation) for variation in self.variations(line)]
        self.fan = Fan(self.history.at, line, points)
        self._changed(Change.STATUS)
        self._go_on()
        return self.fan

    def _point(self, variation: Variation) -> FanPoint:
        settings = replace(variation.settings, is_delta_on=True)
        session = session_of(replace(self.document, title="", created=""), settings, self.results)
        session = with_changes(session, verification=None, compilation=None, exam=None)
        if fingerprint(session.model) != fingerprint(self.model):
            session = with_changes(session, model=self.model, **dict.fromkeys(RESULTS))
        if (run := self._run_like(session)) is not None:
            return FanPoint(variation, run.session, [], run.number)
        if session.measurement is None and (part := self._measured_part(settings)):
            session = with_changes(session, measurement=part)
        requests: list[Request] = [] if session.measurement else [settings.measure()]
        if not _speaks(session):
            requests.append(settings.generate())
        return FanPoint(variation, session, requests or [settings.generate()])

    def _run_like(self, session: Session) -> Run | None:
        """The present run, or a child of it, that has asked the same, and has its texts."""
        family = (run for run in self.history.runs if self.history.at in (run.number, run.parent))
        same = (run for run in family if _speaks(run.session) and has_asked_the_same(run.session, session))
        return next(same, None)

    def _measured_part(self, settings: RunSettings) -> Measurement | None:
        """The numbers of the ticked layers, where they were measured among others."""
        results, origin = self.results, self.results.measurement_origin
        asked, measured = settings.measure(), results.measurement
        if measured is None or origin is None or not isinstance(origin.request, Measure):
            return None
        layers = settings.chosen(self.n_layers, self.refused)
        is_same = origin.is_what(with_changes(asked, layers=origin.request.layers), self.model)
        return on_layers(measured, layers) if is_same and {*layers} <= {*measured.layers} else None

    async def stop(self) -> bool:
        """Let a fan's present run be its last; asked again, stop it too. Else as any job."""
        fan = self.fan
        if fan is None or fan.state != "runs" or not (fan.owns(self.jobs.request) or not self.jobs.is_busy):
            return await super().stop()
        fan.state = "ending"
        self._noticed(
            f"the fan stops after {fan.place} of {len(fan.points)}; esc again stops this one too", False
        )
        self._go_on()
        self._changed(Change.STATUS)
        return True

    def _use_idle_engine(self) -> None:
        super()._use_idle_engine()
        self._go_on()

    def _hear_engine(self, event: EngineNews) -> None:
        if isinstance(event, EngineDied):
            self._end_fan()
        super()._hear_engine(event)

    def _hear_aside(self, request: Request, event: Event) -> bool:
        fan = self.fan
        if fan is None or not fan.owns(request):
            return super()._hear_aside(request, event)
        self._log(request, event)
        if point := fan.take(event):
            self._keep(fan, point)
        if isinstance(event, JOB_OVER):
            self._settle()
        self._changed(Change.STATUS)
        return True

    def _keep(self, fan: Fan, point: FanPoint) -> None:
        """Make a run of a point whose results are whole."""
        created = datetime.now(UTC).isoformat(timespec="seconds")
        self._keep_history(self.history.with_child(fan.base, with_changes(point.session, created=created)))
        point.number = self.history.runs[-1].number
        self._changed(Change.RESULT)

    def _go_on(self) -> None:
        """Ask for the next of the fan, where nothing else runs or waits."""
        fan, jobs = self.fan, self.jobs
        if fan is None or fan.state == "over" or not jobs.is_loaded or not jobs.is_free:
            return
        if request := fan.next_request():
            jobs.ask([request])
        else:
            self._noticed(_end_words(fan), False)
        self._changed(Change.STATUS)

    def _fit(self, model: ModelInfo) -> None:
        """Another model ends the fan: its runs would not compare."""
        self._end_fan()
        super()._fit(model)

    def _end_fan(self) -> None:
        """Ask for no more; what is there stays."""
        if self.fan is not None:
            self.fan.state = "over"


def _speaks(session: Session) -> bool:
    """Whether there is a text of its patch."""
    return session.generation is not None and "patched" in session.generation.lanes


def _end_words(fan: Fan) -> str:
    words = f"fan {fan.line}: {fan.n_done} of {len(fan.points)} runs are there"
    failed = [point for point in fan.points if point.problem]
    more = f"; {failed[0].variation.words}: {failed[0].problem}" if failed else ""
    return f"{words}{more}: & shows them, H the tree"
