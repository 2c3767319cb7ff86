"""How far the mean or the slope of a loss curve can be trusted: percentile intervals from resamples.

Enters: losses in the order of their positions, of one text or of several. Leaves: an interval of 95 %. Losses of
neighbouring tokens go together, so that blocks of consecutive positions are drawn with replacement, of n^(1/3)
positions each (Künsch 1989; Hall, Horowitz and Jing 1995); where there are several texts, the texts are drawn first.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.values import CurveShape, IntervalEstimate

N_RESAMPLES = 1000
LEVEL = 0.95
LEAST = 5
"""Positions below which nothing is said of the interval."""
_MOST_DRAWN = 2**21
"""Numbers that are drawn at a time."""

Losses = Float[Tensor, "texts tokens"]
Resampled = Float[Tensor, "resamples statistics"]


def mean_interval(losses: Float[Tensor, "*texts tokens"], seed: int = 0) -> IntervalEstimate:
    """The mean of the losses that are numbers, with its interval."""
    rows, _ = finite_columns(losses)
    return _estimate(_mean(rows.double()), resample(rows, None, seed)[:, 0], rows.shape[1])


def curve_shape(losses: Float[Tensor, "*texts tokens"], seed: int = 0) -> CurveShape:
    """Level and slope of a loss curve in ln position; of several texts, of their mean."""
    rows, positions = finite_columns(losses)
    drawn = resample(rows, positions, seed)
    return _shape(_both(rows, positions), drawn, rows.shape[1])


def curve_difference(
    given: Float[Tensor, "texts tokens"], own: Float[Tensor, "_texts tokens"], seed: int = 0
) -> CurveShape:
    """Level and slope of ``given`` less those of ``own``, at equal positions, resampled independently."""
    (first, positions), (second, others) = finite_columns(given), finite_columns(own)
    drawn = resample(first, positions, seed) - resample(second, others, seed + 1)
    whole = [a - b for a, b in zip(_both(first, positions), _both(second, others), strict=True)]
    return _shape(whole, drawn, min(first.shape[1], second.shape[1]))


def interval_of(value: float | None, drawn: Float[Tensor, " resamples"]) -> IntervalEstimate:
    """``value`` with the interval in which 95 % of the resamples lie."""
    ends = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = drawn.double().quantile(ends).tolist()
    return IntervalEstimate(value=value, low=low, high=high)


def finite_columns(
    losses: Float[Tensor, "*texts tokens"],
) -> tuple[Float[Tensor, "_texts known"], Float[Tensor, " known"]]:
    """The losses of the positions where every text has one, in float64, with these positions, which count from 1."""
    rows = losses.reshape(-1, losses.shape[-1]).double().cpu()
    is_known = rows.isfinite().all(0)
    return rows[:, is_known], torch.arange(1, rows.shape[1] + 1, dtype=torch.float64)[is_known]


def resample(
    rows: Losses, positions: Float[Tensor, " tokens"] | None, seed: int, n_resamples: int = N_RESAMPLES
) -> Resampled:
    """The mean, and with ``positions`` the slope in their logarithm, of each resample."""
    n_texts, n = rows.shape
    chance = torch.Generator().manual_seed(seed)
    if not n:
        return torch.full((n_resamples, 2), torch.nan, dtype=torch.float64)
    x = torch.zeros(n, dtype=torch.float64) if positions is None else positions.log()
    size, parts = max(1, _MOST_DRAWN // (n * n_texts)), []
    for begin in range(0, n_resamples, size):
        n_now = min(size, n_resamples - begin)
        texts = torch.randint(n_texts, (n_now, n_texts), generator=chance)
        columns = _blocks(n_now * n_texts, n, chance).view(n_now, n_texts, n)
        y = rows[texts[..., None], columns]
        at = x[columns]
        slope = torch.zeros(n_now, dtype=torch.float64) if positions is None else _slope(at, y)
        parts.append(torch.stack([y.mean((-1, -2)), slope], dim=1))
    return torch.cat(parts)


def _blocks(n_resamples: int, n: int, chance: torch.Generator) -> Int[Tensor, "resamples tokens"]:
    """Indices in blocks of consecutive ones; a block that would end after the last goes on at the first."""
    length = max(1, round(n ** (1 / 3)))
    n_blocks = -(-n // length)
    begins = torch.randint(n, (n_resamples, n_blocks, 1), generator=chance)
    return ((begins + torch.arange(length)) % n).reshape(n_resamples, -1)[:, :n]


def _slope(
    x: Float[Tensor, "*resamples texts tokens"], y: Float[Tensor, "*resamples texts tokens"]
) -> Float[Tensor, "*resamples"]:
    """Least squares over all texts and tokens of each resample."""
    x = x - x.mean((-1, -2), keepdim=True)
    return (x * y).sum((-1, -2)) / x.square().sum((-1, -2))


def _both(rows: Losses, positions: Float[Tensor, " tokens"]) -> list[float]:
    return [_mean(rows), float(_slope(positions.log().expand_as(rows), rows))]


def _mean(rows: Losses) -> float:
    return float(rows.mean())


def _shape(values: list[float], drawn: Resampled, n: int) -> CurveShape:
    level, slope = (_estimate(value, drawn[:, i], n) for i, value in enumerate(values))
    return CurveShape(level=level, slope=slope)


def _estimate(value: float, drawn: Float[Tensor, " resamples"], n: int) -> IntervalEstimate:
    drawn = drawn[drawn.isfinite()]
    known = value if value == value and abs(value) != float("inf") else None
    if known is None or n < LEAST or not len(drawn):
        return IntervalEstimate(value=known)
    return interval_of(known, drawn)
