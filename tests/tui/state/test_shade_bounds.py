"""The ends of a ramp hold what most numbers are, stay while numbers stream in, and read as themselves."""

from hypothesis import given
from hypothesis import strategies as st

from icltui.tui.state.shade_bounds import shade_bounds

NUMBERS = st.lists(st.floats(-1e200, 1e200, allow_subnormal=False), min_size=1, max_size=60)


def test_there_are_none_without_numbers() -> None:
    assert shade_bounds([]) is None


def test_one_outlier_does_not_flatten_the_others() -> None:
    field = [1.0 + at / 1000 for at in range(500)]
    assert shade_bounds(sorted([1e-9, *field, 1e6])) == (1.0, 1.25)


def test_a_peak_among_a_hundred_numbers_is_the_accent() -> None:
    assert shade_bounds(sorted([*(0.5 for _ in range(95)), *[9.0] * 5])) == (0.5, 8.0)


@given(NUMBERS)
def test_a_tenth_is_below_the_ends_at_most_and_what_is_above_is_near_or_rare(numbers: list[float]) -> None:
    low, high = shade_bounds(sorted(numbers)) or (0.0, 0.0)
    far = high + 0.3 * abs(high)
    assert low <= high
    assert sum(number < low - 1e-8 * abs(low) for number in numbers) <= 0.1 * len(numbers)
    assert sum(number > far for number in numbers) <= 0.01 * len(numbers)


@given(st.floats(1e-12, 1e12))
def test_an_end_is_near_the_number_and_reads_in_two_digits(number: float) -> None:
    low, high = shade_bounds([number]) or (0.0, 0.0)
    assert low <= number * (1 + 1e-9) <= high * (1 + 1e-8)
    assert high / low < 1.62
    assert float(f"{low:.3g}") == low
    assert float(f"{high:.3g}") == high
