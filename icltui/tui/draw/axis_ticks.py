"""Round numbers for an axis: steps of 1, 2 or 5, on a log scale decades with their 2 and 5; and their texts."""

import math
from collections.abc import Iterator

_MOST_DECADES = 700
"""More than all that floats have."""


def linear_ticks(low: float, high: float, n_most: int) -> list[float]:
    """At most ``n_most`` multiples of the least round step, from ``low`` to ``high``.

    >>> linear_ticks(0.0, 9.3, 6), linear_ticks(0.061, 0.069, 5)
    ([0.0, 2.0, 4.0, 6.0, 8.0], [0.062, 0.064, 0.066, 0.068])
    """
    span = high - low
    if not 0 < span < math.inf:
        return [low] if low == high else [0.0]
    for step in _steps(span / max(n_most, 1)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < max(n_most, 1):
            return [float(f"{at * step:.12g}") for at in range(first, last + 1)]
    return [0.0] if low <= 0 <= high else [low]


def _steps(least: float) -> Iterator[float]:
    """Round steps from about ``least`` on; the least and the greatest floats may be beyond them."""
    power = math.floor(math.log10(least)) if least > 0 else -307
    for more in range(4):
        yield from (float(f"{digit}e{power + more}") for digit in (1, 2, 5) if -308 < power + more < 308)


def log_ticks(low: float, high: float, n_most: int) -> list[float]:
    """At most ``n_most`` numbers for a log scale from ``low`` > 0: 1, 2 and 5 of each decade, or decades alone.

    >>> log_ticks(0.4, 12.0, 6), log_ticks(1e-8, 1.0, 5)
    ([0.5, 1.0, 2.0, 5.0, 10.0], [1e-08, 1e-06, 0.0001, 0.01, 1.0])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = range(max(first, -323), min(last, 308) + 1)[:_MOST_DECADES]
    for digits in ((1, 2, 5), (1,)):
        found = [
            tick for power in powers for digit in digits if low <= (tick := _power(digit, power)) <= high
        ]
        if len(found) <= n_most and (len(found) > 2 or digits == (1, 2, 5)):
            break
    if len(found) < 2:
        return [tick for tick in linear_ticks(low, high, n_most) if tick > 0]
    return found[:: -(-len(found) // max(n_most, 1))]


def _power(digit: int, power: int) -> float:
    return float(f"{digit}e{power}")


def tick_text(value: float) -> str:
    """A round number in few characters.

    >>> [tick_text(value) for value in (10.0, 0.5, 20_000.0, 1e-05, -2e-08)]
    ['10', '0.5', '20000', '1e-5', '−2e-8']
    """
    text = f"{value:.12g}" if value == 0 or 1e-4 <= abs(value) < 1e6 else f"{value:.6g}"
    if "e" in text:
        digits, power = text.split("e")
        text = f"{digits}e{int(power)}"
    return "−" + text[1:] if text.startswith("-") else text


def unit_ticks(n: int, n_most: int) -> range:
    """Positions from 0 at a round step, at most ``n_most``.

    >>> list(unit_ticks(47, 6))
    [0, 10, 20, 30, 40]
    """
    steps = (step * 10**power for power in range(12) for step in (1, 2, 5))
    return range(0, n, next(step for step in steps if n <= step * max(n_most, 1)))
