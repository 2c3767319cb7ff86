"""A held patch, fitted in one pass without the context, in which it also acts.

Enters: passages, whose tokens' contextual states are known. Leaves: each layer's
:class:`~icltui.engine.patch.patch.LayerPatch`, and how it fits; see :mod:`icltui.engine.patch.fitter`. One token gives
the rank-1 patch of [1], theorem 2.2; several give its least squares.

*Cross-fitted*, each passage passes twice: as the patch makes it, and as the patch without this passage makes it, and
both are fitted. What a layer is fitted on is then also what a query that the patch has never seen brings to it, and
what the layers below miss of such a query is left to be fitted (out-of-fold predictions, as in stacking).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.site import Site
from icltui.engine.measure.forward_pass import forward_rows
from icltui.engine.metric.metric import LayerMetric
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.calibration import Passage
from icltui.engine.patch.fitter import FittedLayer, LeftOutRow, PatchFitter
from icltui.engine.patch.low_rank_map import check_rank
from icltui.values.recipe import Recipe

LEFT_OUT_WEIGHT = 1 / 3
"""Of a token's squared miss where its passage is left out, beside 1 where it is not: alone, or as heavy, such rows
wander from layer to layer, each made of other queries (SmolLM2, 7 tasks: leave-one-out R .92 at ⅓, .87 at 1)."""
_PLAIN: Mapping[int, LayerMetric] = MappingProxyType({})


@dataclass(frozen=True)
class FittedTokens:
    """A passage, and its fitted tokens: the query's last ones, and the first of the continuation."""

    passage: Passage
    n_query: int
    n_continuation: int = 0

    @property
    def n_tokens(self) -> int:
        return self.n_query + self.n_continuation

    @property
    def row(self) -> list[int]:
        """The row without the context, up to the last fitted token."""
        return self.passage.plain[: len(self.passage.ids.plain) + self.n_continuation]

    @property
    def among_targets(self) -> slice:
        """The fitted tokens' indices among the passage's targets."""
        begin = len(self.passage.ids.query) - self.n_query
        return slice(begin, begin + self.n_tokens)


@dataclass(frozen=True)
class FitPass:
    """What one pass over the fitted tokens gives."""

    layers: dict[int, FittedLayer]
    left_out: Mapping[float, list[Float[Tensor, "_tokens vocabulary"]]] = field(default_factory=dict)
    """Logits after each passage's query and its fitted continuation, through the patch made without it, by strength."""


def fit_pass(
    loaded: LoadedModel,
    sites: Sequence[Site],
    fitted: Sequence[FittedTokens],
    recipe: Recipe,
    unshifted: frozenset[int] = frozenset(),
    metrics: Mapping[int, LayerMetric] = _PLAIN,
    strengths: Sequence[float] = (),
) -> FitPass:
    """The patch at strength 1 by layer, whatever the recipe's, and each passage through the patch made without it.

    Layers in ``unshifted`` get no shift. The patch is least in the ``metrics`` by layer; in its norm where there are
    none. For each of the ``strengths`` every passage has one more row, on which the patch acts that is made without it;
    cross-fitted, those of strength 1 are there and fitted in any case.

    Raises:
        BadInput: tokens that no patch can meet, or too high a rank.
    """
    z, v = (
        torch.cat([getattr(part.passage.targets, name)[:, part.among_targets] for part in fitted], dim=1)
        for name in ("z", "v")
    )
    n, longest = len(fitted), max(len(part.row) for part in fitted)
    ends = [number * longest + len(part.row) for number, part in enumerate(fitted)]
    at = [index for part, end in zip(fitted, ends, strict=True) for index in range(end - part.n_tokens, end)]
    groups = [number for number, part in enumerate(fitted) for _ in range(part.n_tokens)]
    weights = None
    if recipe.cross_fit and n > 1:
        weights = torch.tensor([1.0] * len(at) + [LEFT_OUT_WEIGHT] * len(at))
        strengths = (1.0, *(strength for strength in strengths if strength != 1.0))
        z, v, groups = torch.cat([z, z], dim=1), torch.cat([v, v], dim=1), groups * 2
        at = [*at, *(index + n * longest for index in at)]
    check_rank(recipe.rank, z.shape[1], z.shape[2], recipe.ridge)
    left_rows = [
        LeftOutRow(number, strength, slice(begin, begin + longest))
        for lane, strength in enumerate(strengths, 1)
        for number, begin in enumerate(range(lane * n * longest, (lane + 1) * n * longest, longest))
    ]
    fitter = PatchFitter(
        sites, recipe, z, v, torch.tensor(at), unshifted, metrics, torch.tensor(groups), weights, left_rows
    )
    rows = [*fitted] * (1 + len(strengths))
    begins = [len(part.passage.ids.plain) - 1 for part in fitted]
    n_logits = longest - min(begins) if strengths else 1
    with attach(sites, fitter):
        logits = forward_rows(
            loaded.model,
            [part.row for part in rows],
            [part.passage.position_ids[: len(part.row)] for part in rows],
            n_logits,
        )
    first = n_logits - longest
    return FitPass(
        fitter.layers,
        {
            strength: [
                widen(row[begin + first : len(part.row) + first])
                for row, begin, part in zip(logits[lane * n : (lane + 1) * n], begins, fitted, strict=True)
            ]
            for lane, strength in enumerate(strengths, 1)
        },
    )
