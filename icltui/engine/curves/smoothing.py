"""A loss curve made smooth: means over a sliding window, and its derivative in the logarithm of the position.

Enters: one loss for each position. Leaves: as many numbers; NaN where there are too few losses.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Z = 1.96
"""Standard errors in half of a 95 % interval."""
LEAST = 8
"""Losses in a window below which no slope is given."""
FACTOR = 2
"""The derivative's window at position t is from t/2 to 2t: equally wide at all positions, on a logarithmic scale."""


class Derivative(NamedTuple):
    """d loss / d ln position at each position, and the ends of its 95 % interval."""

    value: Float[Tensor, " tokens"]
    low: Float[Tensor, " tokens"]
    high: Float[Tensor, " tokens"]


def window_of(n: int) -> int:
    """The width of the sliding window over ``n`` positions: an eighth of them, odd, from 3 to 65."""
    return min(65, max(3, n // 8)) // 2 * 2 + 1


def sliding_mean(losses: Float[Tensor, " tokens"], window: int) -> Float[Tensor, " tokens"]:
    """The mean of the losses at most ``window // 2`` positions away; a loss that is NaN is left out."""
    n = len(losses)
    at = torch.arange(n)
    low, high = (at - window // 2).clamp_min(0), (at + window // 2 + 1).clamp_max(n)
    is_known = losses.isfinite().double()
    sums, counts = _sums(torch.stack([losses.double().nan_to_num(posinf=0.0), is_known]), low, high)
    return sums / counts.where(counts > 0, torch.nan)


def log_derivative(losses: Float[Tensor, " tokens"]) -> Derivative:
    """The slope in ln t of the least-squares line through the losses at the positions from t/2 to 2t.

    The interval is that of the slope, from the scatter around the line: ±1.96 √(s²/Σ(x − x̄)²), s² the residuals' sum
    of squares over n − 2. The losses are taken as independent of each other.
    """
    n = len(losses)
    at = torch.arange(1, n + 1)
    low, high = (at + FACTOR - 1) // FACTOR - 1, (FACTOR * at).clamp_max(n)
    is_known = losses.isfinite().double()
    x, y = at.double().log(), losses.double()
    y = y - y[is_known.bool()].mean()  # as sums of large numbers would cancel
    x, y = (x - x.mean()) * is_known, y.nan_to_num(posinf=0.0, neginf=0.0)
    n_seen, sx, sy, sxx, sxy, syy = _sums(torch.stack([is_known, x, y, x * x, x * y, y * y]), low, high)
    spread, both, scatter = (sxx - sx * sx / n_seen, sxy - sx * sy / n_seen, syy - sy * sy / n_seen)
    slope = (both / spread).where(n_seen >= LEAST, torch.nan)
    residual = (scatter - slope * both).clamp_min(0.0) / (n_seen - 2)
    half = Z * (residual / spread).sqrt()
    return Derivative(slope, slope - half, slope + half)


def _sums(
    rows: Float[Tensor, "rows tokens"], low: Tensor, high: Tensor
) -> tuple[Float[Tensor, " tokens"], ...]:
    """The sum of each row over the indices [low, high) of each position."""
    until = torch.cat([rows.new_zeros(len(rows), 1), rows.cumsum(1)], dim=1)
    return tuple(until[:, high] - until[:, low])
