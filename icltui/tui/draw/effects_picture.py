"""What the patch of each layer does alone, of the context up to each unit: the answer it gives, against the context's.

Patch effects and the measurement on the screen enter. The middle of the scale is the answer without a patch: up is
nearer to the full context's answer, which is the end of the scale; down is further from it.
"""

from collections.abc import Hashable, Iterable

from icltui.tui.draw.heatmap_picture import HeatmapPicture, Legend
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import PatchEffects

NO_EFFECTS = "no patch effects yet: E lets the patch of each layer act alone"
_OTHER = "the patch effects are of another context: E computes them anew"
_NOTHING = "the context does not change the answer, so there is nothing that a patch could do"


def why_not(measured: MeasuredUnits, effects: PatchEffects | None) -> str:
    """Why the effects cannot be shown beside ``measured``; empty where they can."""
    if effects is None:
        return NO_EFFECTS
    ours = [unit.text for unit in measured.tokens.units] if measured.tokens else []
    if ours != [unit.text for unit in effects.tokens.units]:
        return _OTHER
    return "" if effects.plain else _NOTHING


class EffectsPicture(HeatmapPicture):
    """KL(full context ‖ one layer's patch) by layer and unit."""

    is_diverging = True
    name = "patch_effect_kl"

    def __init__(self, measured: MeasuredUnits, effects: PatchEffects | None) -> None:
        super().__init__(measured)
        self.effects, self.refusal = effects, why_not(measured, effects)
        self.layers = effects.layers if effects and not self.refusal else measured.layers
        self.plain = (effects.plain if effects else None) or 0.0
        self._units = {of.unit: of for of in effects.units} if effects else {}
        self._at = {layer: at for at, layer in enumerate(self.layers)}

    @property
    def key(self) -> Hashable:
        return (
            self.name,
            self.plain,
            self.layers,
            self.refusal,
            self.effects.seconds if self.effects else None,
        )

    @property
    def units(self) -> frozenset[int]:
        return frozenset({0, *self._units}) if self.effects else frozenset()

    def changed_at(self, units: Iterable[int]) -> int:
        """How many of the units there are, which never change once they have come."""
        return sum(unit in self._units for unit in units)

    @property
    def legend(self) -> Legend:
        meaning = "nats: the patch of one layer alone, of the context up to the unit"
        middle = f"no shade: no patch, {self.plain:.3g}"
        return "KL(full context ‖ patched)", f"≥ {2 * self.plain:.3g}", f"0   {middle}   {meaning}"

    def value(self, unit: int, layer: int) -> float | None:
        if unit == 0:
            return self.plain
        of, at = self._units.get(unit), self._at.get(layer)
        return None if of is None or at is None else of.kl[at]

    def shade(self, unit: int, layer: int) -> float | None:
        value = self.value(unit, layer)
        if value is None or not self.plain:
            return None
        return 0.5 + 0.5 * max(-1.0, min(1.0, 1 - value / self.plain))

    def number(self, unit: int, layer: int) -> str:
        value = self.value(unit, layer)
        return "not yet" if value is None else f"KL = {value:.3g}"

    def more(self, unit: int, layer: int) -> str:
        controls: list[tuple[str, float | None]] = [("no patch", self.plain)]
        if of := self._units.get(unit):
            controls += [("all layers", of.all_layers), ("context", of.prefix)]
        at = self._at.get(layer)
        if self.effects and self.effects.random and at is not None:
            controls.append(("random", self.effects.random[at]))
        return "  ".join(f"{name} {_short(value)}" for name, value in controls)


def _short(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2g}"
