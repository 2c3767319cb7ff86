"""Statistics of a few hundred plain numbers: slopes, rank correlations and medians with intervals, R², Gini.

An interval is of 95 %. One from resamples is the percentile bootstrap (Efron and Tibshirani 1993, chapter 13), its
draws fixed by a seed. What is not defined, such as a slope over one point or an interval from a few items, is None.
"""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

LEVEL = 0.95
N_RESAMPLES = 1000
LEAST_RESAMPLES, MOST_DRAWN = 200, 2**21
LEAST_ITEMS = 5
"""Items below which resamples say nothing of the interval: of two prompts every rank correlation is 1 or −1."""
ItemT = TypeVar("ItemT")


class StatisticInterval(NamedTuple):
    """A value and the ends of its interval."""

    value: float | None
    low: float | None = None
    high: float | None = None


def said(interval: Sequence[object], form: str = ".3g") -> str:
    """A value and its interval, in words for a sentence.

    >>> said((0.5, 0.25, 0.75)), said((0.5, None, None)), said((None, None, None))
    ('0.5 (0.25 to 0.75)', '0.5', '–')
    """
    value, low, high = interval
    if value is None:
        return "–"
    ends = "" if low is None or high is None else f" ({low:{form}} to {high:{form}})"
    return f"{value:{form}}{ends}"


def median_interval(values: Sequence[float], seed: int = 0) -> StatisticInterval:
    """The median, with its interval from resamples.

    >>> median_interval([2.0, 2.0, 2.0, 2.0, 2.0])
    StatisticInterval(value=2.0, low=2.0, high=2.0)
    """
    return bootstrap(values, statistics.median, seed)


def mean_interval(values: Sequence[float], seed: int = 0) -> StatisticInterval:
    """The mean, with its interval from resamples."""
    return bootstrap(values, statistics.fmean, seed)


def bootstrap(
    items: Sequence[ItemT], statistic: Callable[[Sequence[ItemT]], float | None], seed: int = 0
) -> StatisticInterval:
    """``statistic`` of the items, and its interval over resamples of as many items, drawn with replacement.

    Items that depend on each other, such as all numbers of one prompt, belong in one item. Resamples on which the
    statistic is not defined are left out. Of fewer than :data:`LEAST_ITEMS` there is no interval; of thousands of
    items there are fewer resamples, as ten thousand of them would take half a minute.
    """
    if not items:
        return StatisticInterval(None)
    if len(items) < LEAST_ITEMS:
        return StatisticInterval(statistic(items))
    chance = random.Random(seed)
    n_resamples = max(LEAST_RESAMPLES, min(N_RESAMPLES, MOST_DRAWN // len(items)))
    drawn = (statistic(chance.choices(items, k=len(items))) for _ in range(n_resamples))
    found = sorted(value for value in drawn if value is not None)
    ends = [quantile(found, share) for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)] if found else [None, None]
    return StatisticInterval(statistic(items), *ends)


def quantile(ascending: Sequence[float], share: float) -> float:
    """The quantile of sorted numbers, interpolated linearly between neighbours.

    >>> quantile([1.0, 2.0, 4.0], 0.75)
    3.0
    """
    place = share * (len(ascending) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (place - below) * (ascending[above] - ascending[below])


class Line(NamedTuple):
    """A least-squares line."""

    slope: float | None
    intercept: float | None = None
    low: float | None = None
    """Lower end of the slope's interval, by Student's t, which takes the residuals as independent; None below three
    points."""
    high: float | None = None


def line(x: Sequence[float], y: Sequence[float]) -> Line:
    """The least-squares line through the points; no slope where all ``x`` are equal.

    >>> line([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    Line(slope=2.0, intercept=1.0, low=2.0, high=2.0)
    """
    if len(set(x)) < 2:
        return Line(None)
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    spread = math.fsum((a - mean_x) ** 2 for a in x)
    slope = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    intercept = mean_y - slope * mean_x
    freedom = len(x) - 2
    if freedom < 1:
        return Line(slope, intercept)
    residual = math.fsum((b - intercept - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    half = students_t(freedom) * math.sqrt(residual / freedom / spread)
    return Line(slope, intercept, slope - half, slope + half)


def students_t(freedom: int) -> float:
    """The t between whose negative and itself 95 % of Student's distribution lie (Abramowitz and Stegun, 26.7.3–4).

    >>> round(students_t(10), 6)
    2.228139
    """
    low, high = 0.0, 1e3
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < LEVEL else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """The probability of values between -t and t."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    total = term = cosine if odd else 1.0
    for k in range(2 + odd, freedom, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    if not odd:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + (math.sin(angle) * total if freedom > 1 else 0.0))


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's rank correlation, equal values sharing their mean rank; None where all of one are equal.

    >>> spearman([1.0, 2.0, 9.0], [0.1, 0.2, 0.3])
    1.0
    """
    if len(set(x)) < 2 or len(set(y)) < 2:
        return None
    middle = (len(x) + 1) / 2  # the mean of all ranks; they and their products are exact
    a, b = ([rank - middle for rank in ranks(values)] for values in (x, y))
    together = sum(left * right for left, right in zip(a, b, strict=True))
    return together / math.sqrt(sum(left**2 for left in a) * sum(right**2 for right in b))


def spearman_interval(x: Sequence[float], y: Sequence[float], seed: int = 0) -> StatisticInterval:
    """Spearman's rank correlation, with its interval from resamples of pairs."""
    return bootstrap([*zip(x, y, strict=True)], lambda pairs: spearman(*zip(*pairs, strict=True)), seed)


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1, equal ones sharing the mean of theirs.

    >>> ranks([5.0, 1.0, 5.0])
    [2.5, 1.0, 2.5]
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    found, begin = [0.0] * len(values), 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for place in order[begin:end]:
            found[place] = (begin + 1 + end) / 2
        begin = end
    return found


def r_squared(observed: Sequence[float], predicted: Sequence[float]) -> float | None:
    """1 − Σ(y − ŷ)² / Σ(y − ȳ)², below 0 where the mean predicts better; None where all observed are equal.

    >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    """
    if len(set(observed)) < 2:
        return None
    mean = statistics.fmean(observed)
    left = math.fsum((y - guess) ** 2 for y, guess in zip(observed, predicted, strict=True))
    return 1 - left / math.fsum((y - mean) ** 2 for y in observed)


def gini(values: Sequence[float]) -> float | None:
    """The Gini coefficient of values of at least 0: 0 where all are equal, 1 − 1/n where one has all.

    >>> gini([0.0, 0.0, 0.0, 8.0])
    0.75
    """
    total, n = math.fsum(values), len(values)
    if total <= 0:
        return None
    return math.fsum((2 * rank - n - 1) * value for rank, value in enumerate(sorted(values), 1)) / (n * total)


def least_squares(rows: Sequence[Sequence[float]], y: Sequence[float]) -> tuple[float, ...] | None:
    """The coefficients that minimise Σ(y − row · coefficients)², by the normal equations with pivoting.

    None where the columns are dependent, to a relative 1e-10 of their squares. Columns are a few, of like size.

    >>> least_squares([(1.0, 0.0), (1.0, 1.0), (1.0, 2.0)], [1.0, 3.0, 5.0])
    (1.0, 2.0)
    """
    n = len(rows[0]) if rows else 0
    columns = [*zip(*rows, strict=True), tuple(y)]
    matrix = [
        [math.fsum(a * b for a, b in zip(columns[i], column, strict=True)) for column in columns]
        for i in range(n)
    ]
    least = 1e-10 * max((matrix[i][i] for i in range(n)), default=0.0)
    for k in range(n):
        pivot = max(range(k, n), key=lambda i: abs(matrix[i][k]))
        if abs(matrix[pivot][k]) <= least:
            return None
        matrix[k], matrix[pivot] = matrix[pivot], matrix[k]
        for i in range(n):
            if i != k:
                factor = matrix[i][k] / matrix[k][k]
                matrix[i] = [a - factor * b for a, b in zip(matrix[i], matrix[k], strict=True)]
    return tuple(matrix[i][n] / matrix[i][i] for i in range(n))
