"""The best strength of each row, searched from coarse to fine for all rows at once.

Enters: a loss of every row at given strengths. Leaves: a strength for each row, the one that
:func:`icltui.engine.patch.alpha_search.line_search` finds for the row alone, and the losses of the coarse grid.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.patch.alpha_search import COARSE, FINER, ROUNDS
from icltui.values.recipe import LARGEST_ALPHA

GRID = tuple(k * COARSE for k in range(round(LARGEST_ALPHA / COARSE) + 1))
"""The strengths that are tried for every row."""
RowLoss = Callable[[Float[Tensor, " rows"]], Float[Tensor, " rows"]]


def search_rows(loss: RowLoss, n_rows: int) -> Float[Tensor, " rows"]:
    """The strength in [0, 2] of each row, in float64; of equal losses the smallest.

    >>> search_rows(lambda alpha: (alpha - torch.tensor([0.7, 3.0])) ** 2, 2).tolist()
    [0.69921875, 2.0]
    >>> search_rows(lambda alpha: (alpha - 1).abs().clamp_min(0.5), 1).tolist()  # flat from 0.5 to 1.5
    [0.5]
    """
    best = torch.zeros(n_rows, dtype=torch.float64)
    least = torch.full((n_rows,), torch.inf, dtype=torch.float64)

    def take(alpha: Tensor) -> None:
        nonlocal best, least
        is_inside = (alpha >= 0) & (alpha <= LARGEST_ALPHA)
        found = loss(alpha.clamp(0, LARGEST_ALPHA)).double().cpu().nan_to_num(nan=torch.inf)
        is_better = is_inside & ((found < least) | ((found == least) & (alpha < best)))
        best, least = torch.where(is_better, alpha, best), torch.where(is_better, found, least)

    for alpha in GRID:
        take(torch.full((n_rows,), alpha, dtype=torch.float64))
    step = COARSE
    for _ in range(ROUNDS):
        step /= FINER
        around = best.clone()
        for k in range(1 - FINER, FINER):
            if k:
                take(around + k * step)
    return best
