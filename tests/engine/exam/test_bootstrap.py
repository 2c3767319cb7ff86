"""The interval of a median, against every resample that there is."""

from itertools import product
from math import comb
from statistics import median as middle

import pytest

from icltui.engine.exam.bootstrap import median, median_interval


def quantile_of_all(values: list[float], share: float) -> float:
    """The value below which ``share`` of all resamples' medians lie: each of the n^n resamples counts once."""
    medians = sorted(middle(some) for some in product(values, repeat=len(values)))
    return medians[int(share * len(medians))]


@pytest.mark.parametrize("values", [[0.1, 0.9, 0.4], [-3.0, 0.2, 0.25, 0.7], [0.0, 1.0, 0.5, 0.25, 0.75]])
def test_the_ends_are_those_of_every_resample_there_is(values):
    """Medians of few values are few numbers, so an end that lies inside of one's share is it, to the last digit."""
    found = median_interval(values, seed=3)
    assert found.median == middle(values) == median(values)
    assert found.low == quantile_of_all(values, 0.025)
    assert found.high == quantile_of_all(values, 0.975)


def test_it_holds_95_percent_of_the_resamples():
    """Of n = 2k + 1 draws the median is at most the i-th value where k + 1 of them are, each with probability i/n."""
    n, k = 101, 50
    below = [
        sum(comb(n, m) * (i / n) ** m * (1 - i / n) ** (n - m) for m in range(k + 1, n + 1)) for i in range(n)
    ]
    found = median_interval([float(i) for i in range(1, n + 1)], seed=0)
    for end, share in ((found.low, 0.025), (found.high, 0.975)):
        wanted = next(i for i, p in enumerate(below) if p >= share)
        assert end == pytest.approx(wanted, abs=0.6)


def test_more_resamples_than_are_drawn_at_a_time_are_one_sample(monkeypatch):
    values = [0.3, 0.5, 0.1, 0.2, 0.8, 0.9, 0.35]
    whole = median_interval(values, seed=1, n_resamples=600)
    monkeypatch.setattr("icltui.engine.exam.bootstrap._MOST_DRAWN", 7)
    assert median_interval(values, seed=1, n_resamples=600) == whole


def test_the_seed_decides():
    values = [k / 7 for k in (1, 5, 3, 2, 11, 9, 4, 8)]
    ends = {median_interval(values, seed=seed, n_resamples=60)[1:] for seed in range(8)}
    assert len(ends) > 1
    assert median_interval(values, seed=5) == median_interval(values, seed=5)


def test_without_a_value_there_is_nothing():
    assert median_interval([], seed=0) == (None, None, None)
    assert median([]) is None
