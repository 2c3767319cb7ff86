"""Which numbers get the ends of a ramp: not the least and the greatest, since one of them would flatten all others."""

import math
from collections.abc import Sequence

Bounds = tuple[float, float]
"""Two numbers, the lower one first."""
LOW, HIGH = 0.1, 0.99
"""The shares of the numbers at or below the ends: a tenth is background, a hundredth is accent alone."""
_SLACK = 1e-9
"""A number this near to a preferred one is it."""
_STEPS = (0.8, 1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0, 10.0)
"""Preferred numbers (ISO 3, R10): ends that stay while numbers stream in, and read as themselves."""


def shade_bounds(values: Sequence[float]) -> Bounds | None:
    """The ends of the ramp for finite ``values`` in ascending order; None where there are none.

    >>> shade_bounds([0.003, 0.018, 0.4, 0.7, 1.3, 11.0])
    (0.0025, 10.0)
    """
    if not values:
        return None
    last = len(values) - 1
    low, high = values[int(LOW * last)], values[math.ceil(HIGH * last)]
    # Both go down, so that the greatest reach the accent.
    ends = _preferred(low, -1), _preferred(high, -1)
    return ends if ends[0] < ends[1] else (ends[0], _preferred(high, 1))


def _preferred(value: float, way: int) -> float:
    """The nearest preferred number below (``way`` −1) or above (1) ``value``, or itself; far from 1, ``value``."""
    if value < 0:
        return -_preferred(-value, -way)
    if not 1e-300 < value < 1e300:
        return value
    decade = math.floor(math.log10(value))
    at = value / 10.0**decade
    if way > 0:
        step = min(step for step in _STEPS if step >= at * (1 - _SLACK))
    else:
        step = max(step for step in _STEPS if step <= at * (1 + _SLACK))
    return float(f"{step:g}e{decade}")
