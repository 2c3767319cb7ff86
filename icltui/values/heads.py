"""What *heads* gives: which attention heads repeat what they have seen, and what each brings of the context.

Attention is in [0, 1]; heads count from 0 in each layer, by query heads where several share keys and values.
"""

from icltui.values.base import Record, Table
from icltui.values.bounds import Count, LayerIndex, Seed, TokenCount
from icltui.values.frame import Columns, Kind, columns_of
from icltui.values.measurement import TokenizedPrompt


class HeadIndex(Record, frozen=True):
    """Which head."""

    layer: LayerIndex
    """Index of the layer, from 0."""
    head: Count
    """Index of the head in the layer, from 0."""


class HeadScore(Record, frozen=True):
    """One head on random tokens, repeated; each score is a mean over positions, then over seeds."""

    layer: LayerIndex
    """Index of the layer, from 0."""
    head: Count
    """Index of the head in the layer, from 0."""
    induction: float | None
    """Prefix matching: the attention from a repeated token to the one after its first occurrence."""
    previous: float | None
    """The attention from each token to the one before."""
    induction_low: float | None = None
    """Lower end of the 95 % interval over seeds; None with one seed."""
    induction_high: float | None = None
    """Upper end."""
    previous_low: float | None = None
    """Lower end of the 95 % interval over seeds."""
    previous_high: float | None = None
    """Upper end."""
    induction_null: float | None = None
    """The attention across the same distance where nothing is repeated."""


class UnreadableLayer(Record, frozen=True):
    """A layer without the numbers asked for."""

    layer: LayerIndex
    """Index of the layer, from 0."""
    reason: str
    """Why, in words."""


class HeadContributions(Table, frozen=True):
    """δ at the query's last token in one layer, head by head and unit by unit, under the local reference.

    δ = Σ_h Σ_j c_hj, c_hj = W_O^h α_hj (v_j − o_h): o_h is the head's output where its attention may not see the
    context. Rows are heads, columns the units of the context.
    """

    layer: LayerIndex
    """Index of the layer, from 0."""
    delta_norm: float | None
    """‖δ‖ of the residual stream, of the layer's own attention."""
    share: tuple[tuple[float | None, ...], ...]
    """⟨c_hj, δ⟩ / ‖δ‖²: with a sign, all of them sum to 1."""
    norm: tuple[tuple[float | None, ...], ...]
    """‖c_hj‖."""
    attention: tuple[tuple[float | None, ...], ...]
    """α_hj, of the query's last token, summed over the unit."""
    head_share: tuple[float | None, ...]
    """⟨Σ_j c_hj, δ⟩ / ‖δ‖² of each head."""
    sum_error: float | None
    """‖Σ c_hj − δ‖ / ‖δ‖, δ measured by a run of its own in which the layer's attention cannot see the context."""
    before_norm: bool = False
    """Whether a norm follows the attention, as in Gemma: then the numbers are of the change before that norm, and
    ``sum_error`` is of its image under it."""

    def columns(self) -> Columns:
        """One row for each head and unit of the context, units from 1."""
        cells = [
            (head, unit, *values)
            for head, lines in enumerate(zip(self.share, self.norm, self.attention, strict=True))
            for unit, values in enumerate(zip(*lines, strict=True), start=1)
        ]
        names: dict[str, Kind] = {"head": int, "unit": int, "share": float, "norm": float, "attention": float}
        return {
            "layer": (int, [self.layer] * len(cells)),
            **{name: (kind, [cell[at] for cell in cells]) for at, (name, kind) in enumerate(names.items())},
        }


class AttentionHeads(Table, frozen=True):
    """The heads of a model on random tokens, and on one prompt."""

    tokens: TokenizedPrompt
    """The prompt."""
    heads: tuple[HeadScore, ...]
    """By layer, then by head."""
    contributions: tuple[HeadContributions, ...]
    """One for each layer asked for in which δ is such a sum; none without a context."""
    induction_heads: tuple[HeadIndex, ...]
    """Those whose induction score is clearly above the null level, strongest first."""
    previous_heads: tuple[HeadIndex, ...]
    """Likewise of the attention to the token before."""
    chance: float
    """What attention spread evenly over all earlier tokens would score on average."""
    n_random: TokenCount
    """Random tokens in each sequence, before they are repeated."""
    seed: Seed
    """Seed of the first sequence; each next one has the next."""
    n_seeds: Count
    """Sequences that the scores are means over."""
    unreadable: tuple[UnreadableLayer, ...] = ()
    """Layers without attention to read, such as linear attention or a state space."""
    not_linear: tuple[UnreadableLayer, ...] = ()
    """Layers asked for in which δ is no sum over heads, such as where a norm follows the attention."""
    notes: tuple[str, ...] = ()
    """What the user should know, in sentences."""
    seconds: float = 0.0
    """Duration of the passes."""

    def columns(self) -> Columns:
        """One row for each head, as in the CSV, ``delta_share`` of δ where that was split."""
        shares = {
            (part.layer, head): share
            for part in self.contributions
            for head, share in enumerate(part.head_share)
        }
        split = [shares.get((score.layer, score.head)) for score in self.heads]
        return {**columns_of(self.heads, HeadScore), "delta_share": (float, split)}
