"""What was read off the model itself: its loss at each position, its attention heads, the effects of its patches.

Each has the request that it answers. Loss and heads come whole at the end of their job, so one that is stopped changes
nothing; effects come unit by unit.
"""

from dataclasses import replace

from msgspec.structs import replace as with_changes

from icltui.api.messages import (
    CurvesEnded,
    EffectsEnded,
    EffectsMeasured,
    Event,
    HeadsEnded,
    MeasureCurves,
    MeasureEffects,
    MeasureHeads,
    PromptTokenized,
    Request,
)
from icltui.tui.state.provenance import Provenance
from icltui.tui.state.run_settings import RunSettings
from icltui.values import AttentionHeads, LossCurves, ModelInfo, PatchEffects, Session, TokenizedPrompt


class Inspections:
    """The last curves, heads and effects; while a job runs they change through :meth:`take` alone."""

    def __init__(self) -> None:
        self.curves: LossCurves | None = None
        self.curves_origin: Provenance | None = None
        self.heads: AttentionHeads | None = None
        self.heads_origin: Provenance | None = None
        self.effects: PatchEffects | None = None
        """The effects, as far as they have come."""
        self.effects_origin: Provenance | None = None
        self._complete_effects: tuple[PatchEffects | None, Provenance | None] = (None, None)
        """The last effects that came to their end."""
        self._tokens: TokenizedPrompt | None = None
        """The prompt of the job whose effects are awaited."""

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
        if effects := session.effects:
            asked_effects = with_changes(settings.measure_effects(), seed=effects.seed)
            held._end_effects(effects, Provenance(asked_effects, session.model))
        return held

    def take(self, request: Request, event: Event, model: ModelInfo | None) -> None:
        """Take one event of the job that ``request`` started."""
        match request, event:
            case MeasureCurves(), CurvesEnded():
                self.curves, self.curves_origin = event.curves, Provenance(request, model)
            case MeasureHeads(), HeadsEnded():
                self.heads, self.heads_origin = event.heads, Provenance(request, model)
            case MeasureEffects(), PromptTokenized():
                self._tokens = event.tokens
            case MeasureEffects(), EffectsMeasured() if self._tokens:
                self._add_effects(request, event, self._tokens, model)
            case MeasureEffects(), EffectsEnded():
                self._end_effects(event.effects, Provenance(request, model))

    def _add_effects(
        self,
        request: MeasureEffects,
        event: EffectsMeasured,
        tokens: TokenizedPrompt,
        model: ModelInfo | None,
    ) -> None:
        before = self.effects.units if self.effects and self._is_answering(request) else ()
        if not self._is_answering(request):
            self.effects_origin = Provenance(request, model)
        units = tuple(sorted((*before, *event.units), key=lambda of: of.unit))
        self.effects = PatchEffects(
            tokens=tokens, layers=event.layers, units=units, plain=event.plain, seed=request.seed
        )

    def _is_answering(self, request: Request) -> bool:
        return self.effects_origin is not None and self.effects_origin.request is request

    def _end_effects(self, effects: PatchEffects, origin: Provenance) -> None:
        self._complete_effects = self.effects, self.effects_origin = effects, origin

    @property
    def whole_effects(self) -> PatchEffects | None:
        """The effects, unless some are missing."""
        return self.effects if self.effects is self._complete_effects[0] else None

    def give_up(self) -> bool:
        """End a job that is not complete: its effects stay, unless all of the same prompt were there before."""
        origin, (effects, whole) = self.effects_origin, self._complete_effects
        if origin is None or origin is whole or origin.is_stopped:
            return False
        is_same = whole is not None and whole.is_of(origin.model) and _prompt(whole) == _prompt(origin)
        if is_same:
            self.effects, self.effects_origin = effects, whole
        else:
            self.effects_origin = replace(origin, is_stopped=True)
        return True

    def is_curves_fresh(self, settings: RunSettings, model: ModelInfo | None) -> bool:
        """Whether the curves are of this text and the model; also where there are none."""
        return _is_fresh(self.curves_origin, settings, model)

    def is_heads_fresh(self, settings: RunSettings, model: ModelInfo | None) -> bool:
        """Whether the heads are of this prompt and the model; also where there are none."""
        return _is_fresh(self.heads_origin, settings, model)

    def is_effects_fresh(self, settings: RunSettings, model: ModelInfo | None) -> bool:
        """Whether the effects are of this prompt and the model; also where there are none."""
        return _is_fresh(self.effects_origin, settings, model)


def _prompt(origin: Provenance) -> object:
    return getattr(origin.request, "prompt", None)


def _is_fresh(origin: Provenance | None, settings: RunSettings, model: ModelInfo | None) -> bool:
    """The prompt decides: whichever layers and texts were asked for, what is shown says which."""
    return origin is None or origin.is_run_of(settings.prompt, model)
