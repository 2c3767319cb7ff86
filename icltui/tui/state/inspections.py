"""What was read off the model itself: its loss at each position of the text, and its attention heads.

Each comes whole at the end of its job, with the request that it answers, so a job that is stopped changes nothing.
"""

from msgspec.structs import replace as with_changes

from icltui.api.messages import CurvesEnded, Event, HeadsEnded, MeasureCurves, MeasureHeads, Request
from icltui.tui.state.provenance import Provenance
from icltui.tui.state.run_settings import RunSettings
from icltui.values import AttentionHeads, LossCurves, ModelInfo, Session


class Inspections:
    """The last curves and the last heads; they change through :meth:`take` alone."""

    def __init__(self) -> None:
        self.curves: LossCurves | None = None
        self.curves_origin: Provenance | None = None
        self.heads: AttentionHeads | None = None
        self.heads_origin: Provenance | None = None

    @classmethod
    def from_session(cls, session: Session, settings: RunSettings) -> "Inspections":
        """What a session was saved with; ``settings`` is what it was saved from."""
        held = cls()
        if curves := session.curves:
            n = len(curves.own.texts) if curves.own else 0
            held.curves, held.curves_origin = curves, Provenance(settings.measure_curves(n), session.model)
        if heads := session.heads:
            asked = with_changes(
                settings.measure_heads(), n_random=heads.n_random, n_seeds=heads.n_seeds, seed=heads.seed
            )
            held.heads, held.heads_origin = heads, Provenance(asked, session.model)
        return held

    def take(self, request: Request, event: Event, model: ModelInfo | None) -> None:
        """Take one event of the job that ``request`` started."""
        match request, event:
            case MeasureCurves(), CurvesEnded():
                self.curves, self.curves_origin = event.curves, Provenance(request, model)
            case MeasureHeads(), HeadsEnded():
                self.heads, self.heads_origin = event.heads, Provenance(request, model)

    def is_curves_fresh(self, settings: RunSettings, model: ModelInfo | None) -> bool:
        """Whether the curves are of this text and the model; also where there are none."""
        return _is_fresh(self.curves_origin, settings, model)

    def is_heads_fresh(self, settings: RunSettings, model: ModelInfo | None) -> bool:
        """Whether the heads are of this prompt and the model; also where there are none."""
        return _is_fresh(self.heads_origin, settings, model)


def _is_fresh(origin: Provenance | None, settings: RunSettings, model: ModelInfo | None) -> bool:
    """The prompt decides: whichever layers and texts were asked for, what is shown says which."""
    return origin is None or origin.is_run_of(settings.prompt, model)
