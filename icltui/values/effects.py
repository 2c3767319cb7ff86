"""What *effects* gives: how near the context's answer is where one layer's patch alone acts, by layer and unit.

KL is KL(full context ‖ patched) of the next token after the query, in nats.
"""

from icltui.values.base import Record, Table
from icltui.values.bounds import Count, LayerIndex, Seed, TokenCount
from icltui.values.frame import Columns
from icltui.values.measurement import TokenizedPrompt


class UnitEffects(Record, frozen=True):
    """The patches of the context up to one unit, each acting alone on the query without the context."""

    unit: TokenCount
    """Index of the unit, from 1."""
    kl: tuple[float | None, ...]
    """KL where the patch of one layer alone acts, by layer."""
    all_layers: float | None
    """KL where the patches of all these layers act: a control, which equals ``prefix`` where no layer is left out."""
    prefix: float | None
    """KL of the context up to the unit itself, which no patch is part of."""


class PatchEffects(Table, frozen=True):
    """Patch effects by layer and unit, beside their controls."""

    tokens: TokenizedPrompt
    """The prompt."""
    layers: tuple[LayerIndex, ...]
    """The layers whose patches acted alone, ascending."""
    units: tuple[UnitEffects, ...]
    """Every unit, ascending; only those that were reached where the job was stopped."""
    plain: float | None
    """A control: KL without the context and without a patch."""
    random: tuple[float | None, ...] = ()
    """A control, by layer: the median KL of random patches with the norms of the full context's."""
    n_random: Count = 0
    """How many of them there are at each layer."""
    noise: float | None = None
    """The noise floor: the largest difference, over units, of ``all_layers`` from ``prefix``, which are equal but for
    rounding; None where a layer is left out."""
    seed: Seed = 0
    """Seed of the random patches."""
    seconds: float = 0.0
    """Duration of the passes."""

    def columns(self) -> Columns:
        """One row for each layer and unit of the context, units from 1."""
        cells = [
            (layer, of.unit, kl) for of in self.units for layer, kl in zip(self.layers, of.kl, strict=True)
        ]
        return {
            "layer": (int, [layer for layer, _, _ in cells]),
            "unit": (int, [unit for _, unit, _ in cells]),
            "kl": (float, [kl for _, _, kl in cells]),
        }
