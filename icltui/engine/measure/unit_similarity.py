"""Units compared with each other: whether their rank-1 updates are parallel, and whether one serves for another.

Enters: the steps of every unit at one layer. Leaves: :class:`~icltui.values.Pairs`. Since updates are ``u kᵀ/‖k‖²``,
the cosine of two is cos(u_s, u_t)·cos(k_s, k_t) (derived).
"""

from collections.abc import Sequence

import torch

from icltui.engine.measure.layer_rows import transfer_residual
from icltui.engine.measure.predictions import finite_rows
from icltui.engine.measure.weight_steps import Steps
from icltui.values import Pairs

MOST_UNITS = 256
"""Most units compared: more do not fit a screen, and pairs grow with the square of their number."""


def compare_units(layer: int, steps: Sequence[Steps]) -> Pairs:
    """Every unit against every other, from unit 1 up."""
    u, key = torch.cat([s.u for s in steps]), torch.cat([s.key for s in steps])
    normed = torch.nn.functional.normalize
    cosine = (normed(u, dim=-1) @ normed(u, dim=-1).T) * (normed(key, dim=-1) @ normed(key, dim=-1).T)
    transfer = torch.stack([transfer_residual(u[s], key[s], u, key) for s in range(len(u))])
    return Pairs(
        layer=layer,
        cosine=tuple(map(tuple, finite_rows(cosine))),
        transfer=tuple(map(tuple, finite_rows(transfer))),
    )
