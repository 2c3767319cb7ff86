"""How far the median of a few queries can be trusted: a percentile interval from resamples.

Enters: one number a query, a seed. Leaves: the two ends of the interval (Efron 1979; Efron and Tibshirani 1993,
chapter 13).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

N_RESAMPLES = 10_000
LEVEL = 0.95
_MOST_DRAWN = 2**22
"""Numbers that are drawn at a time."""


class Interval(NamedTuple):
    """The median, and the interval in which 95 % of the resamples' medians lie."""

    median: float | None
    low: float | None
    high: float | None


def median(values: Sequence[float]) -> float | None:
    """The middle value, or the mean of both middle ones; None without any.

    >>> median([3.0, 1.0, 2.0, 10.0])
    2.5
    """
    return float(torch.tensor(values, dtype=torch.float64).quantile(0.5)) if values else None


def median_interval(values: Sequence[float], seed: int, n_resamples: int = N_RESAMPLES) -> Interval:
    """The median of ``values`` with its interval: all resamples are as many values, drawn with replacement.

    >>> median_interval([2.0, 2.0, 2.0], seed=0)
    Interval(median=2.0, low=2.0, high=2.0)
    """
    if not values:
        return Interval(None, None, None)
    whole = torch.tensor(values, dtype=torch.float64)
    chance = torch.Generator().manual_seed(seed)
    size, medians = max(1, _MOST_DRAWN // len(values)), []
    for begin in range(0, n_resamples, size):
        shape = (min(size, n_resamples - begin), len(values))
        medians.append(whole[torch.randint(len(values), shape, generator=chance)].quantile(0.5, dim=1))
    ends = torch.cat(medians).quantile(torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64))
    return Interval(median(values), float(ends[0]), float(ends[1]))
