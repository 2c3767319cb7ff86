"""Each statistic against numpy or a closed form, on drawn numbers."""

import math
import random

import numpy
import pytest

from icltui.studies.statistics import (
    N_RESAMPLES,
    bootstrap,
    gini,
    least_squares,
    line,
    mean_interval,
    median_interval,
    quantile,
    r_squared,
    ranks,
    spearman,
    spearman_interval,
    students_t,
)


def _drawn(n, seed=0):
    chance = random.Random(seed)
    return [chance.gauss(0, 1) for _ in range(n)]


@pytest.mark.parametrize("n", [2, 3, 17, 200])
def test_a_line_is_that_of_numpy(n):
    x, y = _drawn(n), _drawn(n, 1)
    slope, intercept = numpy.polyfit(x, y, 1)
    found = line(x, y)
    assert (found.slope, found.intercept) == pytest.approx((slope, intercept), rel=1e-9)


def test_the_slope_of_a_line_has_the_interval_of_the_textbook():
    """Student's t times the standard error, which numpy's covariance gives."""
    x, y = _drawn(12), _drawn(12, 1)
    coefficients, covariance = numpy.polyfit(x, y, 1, cov=True)
    half = 2.2281388519649385 * math.sqrt(covariance[0][0])
    assert line(x, y)[2:] == pytest.approx((coefficients[0] - half, coefficients[0] + half), rel=1e-9)


def test_a_line_without_a_slope_and_one_without_an_interval():
    assert line([1.0], [2.0]).slope is None
    assert line([3.0, 3.0], [1.0, 2.0]).slope is None
    assert line([0.0, 2.0], [1.0, 2.0])[2:] == (None, None)


@pytest.mark.parametrize(
    ("freedom", "t"),
    [
        (1, 12.706204736),
        (2, 4.302652730),
        (3, 3.182446305),
        (7, 2.364624252),
        (30, 2.042272456),
        (999, 1.962341461),
    ],
)
def test_students_t_is_that_of_the_tables(freedom, t):
    assert students_t(freedom) == pytest.approx(t, rel=1e-9)


def test_the_slope_lies_in_its_interval_95_times_in_100():
    chance, within = random.Random(0), 0
    x = [float(k) for k in range(6)]
    for _ in range(2000):
        found = line(x, [0.7 * a + chance.gauss(0, 1) for a in x])
        within += found.low <= 0.7 <= found.high
    assert within / 2000 == pytest.approx(0.95, abs=0.015)


def test_rank_correlation_is_the_correlation_of_ranks():
    x, y = _drawn(40), _drawn(40, 1)
    by_numpy = numpy.corrcoef(numpy.argsort(numpy.argsort(x)), numpy.argsort(numpy.argsort(y)))[0, 1]
    assert spearman(x, y) == pytest.approx(by_numpy, rel=1e-12)
    assert spearman(x, [-math.exp(a) for a in x]) == pytest.approx(-1)
    assert spearman([1.0, 1.0], [1.0, 2.0]) is None


def test_equal_values_share_their_mean_rank():
    chance = random.Random(0)
    values = [float(chance.randrange(5)) for _ in range(30)]
    slow = [sum(b < a for b in values) + (sum(b == a for b in values) + 1) / 2 for a in values]
    assert ranks(values) == slow


def test_quantiles_are_those_of_numpy():
    values = sorted(_drawn(23))
    for share in (0.0, 0.025, 0.3, 0.5, 0.975, 1.0):
        assert quantile(values, share) == pytest.approx(float(numpy.quantile(values, share)), rel=1e-12)


def test_a_mean_from_resamples_has_the_spread_of_the_central_limit():
    values = _drawn(400)
    found = mean_interval(values)
    half = 1.96 * numpy.std(values) / 20
    assert found.value == pytest.approx(numpy.mean(values))
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.08)


def test_intervals_are_fixed_by_their_seed():
    x, y = _drawn(20), _drawn(20, 1)
    assert mean_interval(x, 3) == mean_interval(x, 3) != mean_interval(x, 4)
    assert median_interval(x, 3) == median_interval(x, 3)
    found = spearman_interval(x, y)
    assert found.value == spearman(x, y)
    assert -1 <= found.low < found.value < found.high <= 1


def test_resamples_without_the_statistic_are_left_out():
    calls = []

    def odd(items):
        calls.append(items)
        return None if len(calls) % 2 else 1.0

    assert bootstrap([1, 2, 3, 4, 5], odd)[1:] == (1.0, 1.0)
    assert len(calls) == N_RESAMPLES + 1
    assert bootstrap([], len) == (None, None, None)


def test_r_squared_is_the_squared_correlation_of_a_line_and_falls_below_zero():
    x, y = _drawn(30), _drawn(30, 1)
    found = line(x, y)
    predicted = [found.intercept + found.slope * a for a in x]
    assert r_squared(y, predicted) == pytest.approx(numpy.corrcoef(x, y)[0, 1] ** 2, rel=1e-9)
    assert r_squared([1.0, 2.0], [2.0, 1.0]) == -3
    assert r_squared([1.0, 1.0], [1.0, 1.0]) is None


def test_gini_is_half_the_relative_mean_difference():
    values = [abs(a) for a in _drawn(25)]
    mean_difference = numpy.mean([[abs(a - b) for a in values] for b in values])
    assert gini(values) == pytest.approx(mean_difference / (2 * numpy.mean(values)), rel=1e-12)
    assert gini([3.0, 3.0, 3.0]) == 0
    assert gini([0.0, 0.0]) is None
    assert gini([]) is None


def test_least_squares_is_that_of_numpy():
    rows = [*zip(_drawn(50), _drawn(50, 1), _drawn(50, 2), [1.0] * 50, strict=True)]
    y = _drawn(50, 3)
    by_numpy = numpy.linalg.lstsq(numpy.array(rows), numpy.array(y), rcond=None)[0]
    assert least_squares(rows, y) == pytest.approx(tuple(by_numpy), rel=1e-9)
    assert least_squares([(1.0, 2.0), (2.0, 4.0)], [1.0, 2.0]) is None


def test_a_few_items_have_no_interval():
    """Resamples of two prompts would say that ρ = 1 beyond doubt."""
    assert spearman_interval([0.0, 1.0], [5.0, 6.0]) == (1.0, None, None)
    assert mean_interval([1.0, 2.0, 3.0, 4.0]) == (2.5, None, None)
    assert mean_interval([1.0, 2.0, 3.0, 4.0, 5.0]).low is not None
