"""Smoothing, slopes, intervals and the score, against plain loops over losses whose answer is known."""

import math

import pytest
import torch

from icltui.engine.curves.icl_score import icl_score
from icltui.engine.curves.intervals import curve_difference, curve_shape, mean_interval
from icltui.engine.curves.smoothing import log_derivative, sliding_mean, window_of
from icltui.values import PositionRange


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def power_law(n: int, slope: float = -0.7) -> torch.Tensor:
    return 5 + slope * torch.arange(1, n + 1, dtype=torch.float64).log()


def with_holes(losses: torch.Tensor) -> torch.Tensor:
    losses[[0, 17]] = torch.nan
    return losses


def test_a_sliding_mean_is_that_of_the_losses_around():
    losses = with_holes(noise(60))
    found = sliding_mean(losses, 7)
    for t in range(60):
        near = losses[max(0, t - 3) : t + 4]
        assert found[t] == pytest.approx(float(near[near.isfinite()].mean()), abs=1e-12)
    assert sliding_mean(torch.full((3,), torch.nan), 3).isnan().all()
    assert [window_of(n) for n in (1, 40, 100, 10_000)] == [3, 5, 13, 65]


def test_the_derivative_is_the_slope_of_the_line_through_the_losses_around():
    losses = with_holes(power_law(200) + noise(200))
    found = log_derivative(losses)
    for t in range(1, 201):
        window = [u for u in range(math.ceil(t / 2), min(2 * t, 200) + 1) if losses[u - 1].isfinite()]
        if len(window) < 8:
            assert found.value[t - 1].isnan()
            continue
        x = torch.tensor(window, dtype=torch.float64).log()
        y = losses[torch.tensor(window) - 1]
        design = torch.stack([torch.ones_like(x), x], dim=1)
        line = torch.linalg.lstsq(design, y[:, None]).solution[:, 0]
        rest = (y - design @ line).square().sum() / (len(window) - 2)
        half = 1.96 * (rest * torch.linalg.inv(design.T @ design)[1, 1]).sqrt()
        assert found.value[t - 1] == pytest.approx(float(line[1]), abs=1e-9)
        assert found.high[t - 1] - found.low[t - 1] == pytest.approx(2 * float(half), abs=1e-9)


def test_the_derivative_of_a_power_law_is_its_slope_at_every_position():
    found = log_derivative(power_law(20_000))
    assert found.value[7:] == pytest.approx(torch.full((19_993,), -0.7).double(), abs=1e-6)
    assert found.value[:4].isnan().all()


def test_intervals_cover_what_they_are_of_about_as_often_as_they_say():
    truth, n_covered = (
        {"level": float(power_law(150).mean()), "slope": -0.7},
        dict.fromkeys(("level", "slope"), 0),
    )
    for seed in range(60):
        shape = curve_shape(power_law(150) + noise(150, seed=seed))
        for name in n_covered:
            of = getattr(shape, name)
            n_covered[name] += of.low <= truth[name] <= of.high
    # A share of 95 % of 60 is 57 ± 1.7.
    assert all(51 <= n <= 60 for n in n_covered.values()), n_covered


def test_losses_that_go_together_say_less_than_as_many_single_ones():
    single, runs = noise(216), noise(36).repeat_interleave(6)
    widths = []
    for losses in (single, runs):
        of = mean_interval(losses)
        widths.append((of.high - of.low) / (2 * 1.96 * float(losses.std()) / 216**0.5))
    assert widths[0] == pytest.approx(1, abs=0.25)
    assert widths[1] > 1.5


def test_several_texts_are_resampled_as_texts():
    offsets = torch.tensor([[0.0], [4.0]]).double()
    one, two = power_law(100)[None], power_law(100) + offsets
    assert (shape := curve_shape(two)).level.value == pytest.approx(float(one.mean()) + 2)
    assert shape.level.high - shape.level.low == pytest.approx(4, abs=0.7)
    assert shape.slope.value == pytest.approx(-0.7)
    difference = curve_difference(two, one)
    assert difference.level.value == pytest.approx(2)
    assert difference.slope.value == pytest.approx(0, abs=1e-9)
    assert curve_difference(two, one) == difference, "a seed decides"
    assert curve_difference(two, one, seed=1) != difference


def test_too_few_losses_have_no_interval():
    losses = torch.tensor([1.0, 2.0, torch.nan])
    assert mean_interval(losses).value == 1.5
    assert mean_interval(losses).low is None
    nothing = curve_shape(torch.full((3,), torch.nan))
    assert (nothing.level.value, nothing.slope.value) == (None, None)


def test_the_score_is_of_the_tokens_around_500_and_50():
    losses = torch.zeros(600)
    losses[39:60], losses[489:510] = 3.0, 1.0  # positions 40 to 60 and 490 to 510
    score = icl_score(losses)
    assert score is not None
    assert (score.nats.value, score.nats.low, score.nats.high) == (-2, -2, -2)
    assert score.bits.value == pytest.approx(-2 / math.log(2))
    assert (score.early, score.late) == (PositionRange(first=40, last=60), PositionRange(first=490, last=510))
    assert not score.note


@pytest.mark.parametrize(
    ("n", "window", "tenths", "says"),
    [
        (509, None, ((2, 51), (460, 509)), "the text has 509 tokens:"),
        (31, 128, ((2, 4), (29, 31)), "the text has 31 tokens and this model reads 128:"),
    ],
)
def test_a_shorter_text_has_the_score_of_its_tenths_and_says_so(n, window, tenths, says):
    losses = power_law(n)
    losses[0] = torch.nan
    score = icl_score(losses, window=window)
    assert score is not None
    (a, b), (c, d) = tenths
    assert (score.early, score.late) == (PositionRange(first=a, last=b), PositionRange(first=c, last=d))
    assert score.nats.value == pytest.approx(float(losses[c - 1 : d].mean() - losses[a - 1 : b].mean()))
    assert says in score.note
    assert "\n" not in score.note


def test_ten_losses_are_the_least():
    assert icl_score(power_law(9)) is None
    assert icl_score(power_law(10)) is not None


def test_the_score_of_several_texts_is_resampled_by_text():
    texts = power_law(600) + noise(12, 600)
    score = icl_score(texts)
    assert score is not None
    means = texts[:, 489:510].mean(1) - texts[:, 39:60].mean(1)
    assert score.nats.value == pytest.approx(float(means.mean()))
    assert score.nats.low < score.nats.value < score.nats.high
    assert score.nats.high - score.nats.low == pytest.approx(
        2 * 1.96 * float(means.std()) / 12**0.5, rel=0.25
    )
