"""Numbers of bytes as people read them."""

import doctest

from hypothesis import given
from hypothesis import strategies as st

from icltui.text import units


def test_the_examples_hold() -> None:
    assert doctest.testmod(units).failed == 0


@given(st.integers(0, 999 * 10**12))
def test_three_digits_say_the_size(count: int) -> None:
    text = units.in_bytes(count)
    number, unit = text.split()
    size = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}[unit]
    assert abs(float(number) * size - count) <= count / 200
    assert float(number) < 1000


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 40))
def test_a_bar_is_as_wide_as_asked(done: int, total: int, width: int) -> None:
    assert len(units.bar(done, total, width)) == width
