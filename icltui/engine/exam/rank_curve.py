"""How much of a patch is left at lower ranks: its maps cut to their largest singular values.

Enters: a held patch, and R as a function of a patch. Leaves: R at rank 1, 2, 4, …, and the least that keeps 90 %.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from icltui.engine.exam.examinee import maps
from icltui.engine.patch.patch import LayerPatch
from icltui.values import RankPoint

KEPT = 0.9
"""Share of R that a cut patch is asked to keep."""


def ranks_below(rank: int) -> list[int]:
    """1, 2, 4, … up to ``rank``, which is the last.

    >>> ranks_below(6)
    [1, 2, 4, 6]
    """
    powers = [2**k for k in range(rank.bit_length()) if 2**k < rank]
    return [*powers, rank]


def cut(layers: Mapping[int, LayerPatch], rank: int) -> dict[int, LayerPatch]:
    """The nearest patch whose maps have rank ``rank`` at most; constants stay."""
    return {
        layer: replace(
            part,
            weights=part.weights and part.weights.cut(rank),
            output=part.output and part.output.cut(rank),
        )
        for layer, part in layers.items()
    }


def rank_curve(
    layers: Mapping[int, LayerPatch], r_median: Callable[[Mapping[int, LayerPatch]], float | None]
) -> tuple[RankPoint, ...]:
    """R of the patch at each of :func:`ranks_below` its own rank; empty where it has no map."""
    rank = max((map_.rank for part in layers.values() for map_ in maps(part)), default=0)
    return tuple(RankPoint(rank=r, r_median=r_median(cut(layers, r))) for r in ranks_below(rank) if rank)


def rank_for(curve: Sequence[RankPoint], share: float = KEPT) -> int | None:
    """The least rank of the curve with ``share`` of its last R; None where that R is not above 0."""
    whole = curve[-1].r_median if curve else None
    if whole is None or whole <= 0:
        return None
    return next(p.rank for p in curve if p.r_median is not None and p.r_median >= share * whole)
