"""What stands out among numbers is a peak, and nothing else is."""

import random

import msgspec
import pytest

from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.state.peaks import LEAST_NUMBERS, peak_units, peaks, threshold
from tests.tui import rows_of, samples, tokenized


@pytest.mark.parametrize(
    ("series", "found"),
    [
        ([1.0, 2.0, 9.0, 2.0, 1.0, 2.0], (2,)),
        ([9.0, 2.0, 1.0, 2.0, 1.0, 9.0], (0, 5)),  # an end has one neighbour
        ([1.0, 2.0, 9.0, 9.0, 2.0, 1.0, 2.0], (2,)),  # the first of equal ones
        ([1.0, 2.0, 8.0, 9.0, 2.0, 1.0, 2.0, 1.0], (3,)),  # a slope is no peak
        ([1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0], ()),  # nothing rises above the scatter
        ([None, 1.0, None, 9.0, float("nan"), 2.0, 1.0, 2.0, float("inf")], (3,)),
        ([1.0, 2.0, 9.0, 2.0], ()),  # too few
        ([5.0] * 9, ()),
        ([], ()),
    ],
)
def test_a_peak_is_a_local_maximum_above_the_scatter(
    series: list[float | None], found: tuple[int, ...]
) -> None:
    assert peaks(series) == found


def test_the_threshold_is_three_deviations_of_normal_numbers() -> None:
    chance = random.Random(0)
    numbers = [chance.gauss(10.0, 2.0) for _ in range(20_000)]
    assert threshold(numbers) == pytest.approx(16.0, abs=0.15)
    with_monsters = numbers + [1e9] * 2_000  # a tenth of the numbers hardly moves it
    assert threshold(with_monsters) == pytest.approx(16.0, abs=1.2)
    assert threshold(numbers[: LEAST_NUMBERS - 1]) == float("inf")


def board(
    sizes: list[float], n_texts: int | None = None, noise: dict[int, float] | None = None
) -> MeasuredUnits:
    """Units whose ‖δ‖ at layer 0 are ``sizes``."""
    measured = MeasuredUnits(tokenized([f"t{at}" for at in range(n_texts or len(sizes))]))
    rows = [rows_of(0, (0,))[0]]
    for unit, size in enumerate(sizes, 1):
        rows.append(
            msgspec.structs.replace(
                samples.row(unit, 0), delta_norm=size, delta_noise=(noise or {}).get(unit, 0.0)
            )
        )
    measured.add(rows, [])
    return measured


SIZES = [1.0, 2.0, 9.0, 2.0, 1.0, 2.0, 1.0]


def test_what_says_nothing_of_the_unit_is_no_peak() -> None:
    assert peak_units(board(SIZES), "delta_norm", 0) == (3,)
    assert peak_units(board(SIZES, noise={3: 9.5}), "delta_norm", 0) == ()
    about_sink = board(SIZES)
    about_sink.ruled_unit = 3
    assert peak_units(about_sink, "delta_norm", 0) == ()


def test_the_newest_unit_waits_for_the_next() -> None:
    rising = [1.0, 2.0, 1.0, 2.0, 1.0, 9.0]
    assert peak_units(board(rising, n_texts=9), "delta_norm", 0) == ()
    assert peak_units(board(rising), "delta_norm", 0) == (6,)
