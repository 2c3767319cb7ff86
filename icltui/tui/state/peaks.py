"""Peaks of a series of numbers: the local maxima that rise above its scatter.

A peak is greater than its neighbours (or the first of equal ones), and above the median by three times the median
absolute deviation, scaled to the standard deviation of a normal distribution (Leys et al. 2013,
doi:10.1016/j.jesp.2013.03.013). Half of the numbers may be as great as they like without moving that threshold.
"""

import math
from collections.abc import Sequence
from statistics import median

from icltui.tui.state.measurement_so_far import MeasuredUnits

N_DEVIATIONS = 3.0
"""Standard deviations above the median at which a number stands out."""
LEAST_NUMBERS = 5
"""Fewer numbers have no scatter to rise above."""
_TO_SIGMA = 1.4826
"""The standard deviation of a normal distribution over its median absolute deviation."""


def threshold(numbers: Sequence[float]) -> float:
    """The number above which one of ``numbers`` stands out; infinite where there are too few.

    >>> threshold([1.0, 2.0, 3.0, 4.0, 100.0])
    7.4478
    """
    if len(numbers) < LEAST_NUMBERS:
        return math.inf
    middle = median(numbers)
    return middle + N_DEVIATIONS * _TO_SIGMA * median(abs(number - middle) for number in numbers)


def peaks(series: Sequence[float | None]) -> tuple[int, ...]:
    """The places of the peaks of ``series``, ascending; None, or no finite number, is not known.

    >>> peaks([1.0, 2.0, 9.0, 9.0, 2.0, 1.0, 2.0, None])
    (2,)
    """
    known = [value if value is not None and math.isfinite(value) else None for value in series]
    least = threshold([value for value in known if value is not None])
    return tuple(
        place
        for place, value in enumerate(known)
        if value is not None and value > least and _is_top(known, place, value)
    )


def _is_top(series: Sequence[float | None], place: int, value: float) -> bool:
    """Whether the next different number on either side, as far as there is one, is less."""
    before = series[place - 1] if place else None
    after = next((other for other in series[place + 1 :] if other != value), None)
    return (before is None or before < value) and (after is None or after < value)


def peak_units(
    measured: MeasuredUnits, name: str, layer: int, values: Sequence[float | None] | None = None
) -> tuple[int, ...]:
    """The units at which a number peaks at ``layer``, among those measured so far.

    Left out, as numbers that say nothing of the unit, are a ‖δ‖ within rounding and one about an attention sink; and
    the newest unit while others are to come, since the next one may be greater.

    Args:
        measured: the units.
        name: of the number.
        layer: whose numbers.
        values: by unit, where ``name`` is no measure of ``measured``.
    """
    values = measured.series(name, layer) if values is None else values
    about_sink = measured.ruled_unit if name == "delta_norm" else None
    series = [None if unit == about_sink else value for unit, value in enumerate(values)]
    newest = measured.last_unit if measured.last_unit < measured.n_units - 1 else -1
    found = (unit for unit in peaks(series) if unit != newest)
    return tuple(unit for unit in found if not measured.is_noise(name, unit, layer))
