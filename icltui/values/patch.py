"""What is known of a patch that was made: how well it fits, and what it does on tokens that it was not made from.

Distributions are held against the contextual ones at the same tokens; means are over tokens.
"""

from typing import Literal

from icltui.values.base import Record
from icltui.values.bounds import Count, LayerIndex, TokenCount

Tested = Literal["fitted tokens", "later tokens", "other queries", "other queries, later"]
"""Tokens that the patch was made from, and the contextual text after them; the like of queries that it never saw."""


class LayerFit(Record, frozen=True):
    """One layer of a held patch. Z (hidden, k): the MLP inputs of its k tokens without the context; D = Z_C − Z."""

    layer: LayerIndex
    """Index of the layer, from 0."""
    error: float | None
    """‖ΔZ − D‖ / ‖D‖, ΔZ what the patch adds to Z: 0 where every fitted token is met. None without ΔW."""
    condition: float | None
    """Condition number of K = ZᵀZ + ρI; None where K is singular, or without ΔW."""
    rank: TokenCount | None
    """Numerical rank of Z; None without ΔW."""
    shift_error: float | None
    """Relative error of the shift, against v_C − v; None without a shift."""
    shift_condition: float | None
    """Condition number of G, the down projection's inputs; None where a constant carries the shift."""
    shift_rank: TokenCount | None
    """Numerical rank of G; None where a constant carries the shift."""
    patch_norm: float | None = None
    """‖ΔW‖ of all matrices that read z, stacked; experts: all of them."""
    relative_patch_norm: float | None = None
    """``patch_norm`` / ‖W‖."""


class PatchTest(Record, frozen=True):
    """The patch against no patch, on some tokens of one kind."""

    what: Tested
    n_tokens: Count
    """How many tokens the means are over."""
    kl: float | None
    """Mean KL(with context ‖ patched) in nats."""
    kl_plain: float | None
    """Mean KL(with context ‖ no patch) in nats: what there was to be won."""
    mse: float | None
    """Mean squared error of the logits, each row's mean taken off."""
    mse_plain: float | None
    """``mse`` without a patch."""
    equal: Count
    """At how many tokens the most probable next one is the contextual one."""
    equal_plain: Count
    """``equal`` without a patch."""
    state_error: float | None = None
    """‖z_C − z_patched‖ / ‖z_C − z‖ of the MLP inputs, mean over layers: 0 as with the context, 1 as without."""


class CurvePoint(Record, frozen=True):
    """What a patch achieves at one value of something that is varied."""

    x: float
    """α; the number of layers; or the number of queries that were fitted."""
    kl: float | None
    """KL(with context ‖ patched) after the prompt's query; against calibration queries: on their fitted tokens."""
    mse: float | None
    """Mean squared error of the same logits."""
    kl_others: float | None = None
    """Mean KL on tokens that it was not made from: other queries, else the later text; None without either."""


class Curves(Record, frozen=True):
    """The patch varied, one thing at a time."""

    alpha: tuple[CurvePoint, ...] = ()
    """Points whose x is α."""
    from_bottom: tuple[CurvePoint, ...] = ()
    """Points with the x lowest layers patched."""
    from_top: tuple[CurvePoint, ...] = ()
    """Points with the x highest layers patched."""
    queries: tuple[CurvePoint, ...] = ()
    """Points with x calibration queries fitted; ``kl_others`` is on other queries."""


class PatchReport(Record, frozen=True):
    """A patch as it was made from its recipe."""

    n_tokens: Count
    """How many tokens it was made from."""
    rank: TokenCount
    """The largest rank of its parts, over the layers."""
    alpha: float
    """The strength that acts, found or given."""
    layers: tuple[LayerFit, ...] = ()
    """One for each layer of a held patch; none of a patch for every token."""
    tests: tuple[PatchTest, ...] = ()
    """One for each kind of tokens that there is."""
    verdict: str = ""
    """In one sentence, whether it serves on tokens that it was not made from."""
    notes: tuple[str, ...] = ()
    """What the user should know, in sentences."""
    curves: Curves | None = None
    """Curves of the varied patch, where they were requested."""
