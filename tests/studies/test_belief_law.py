"""The belief law against numpy's least squares, and on grids whose law is known."""

import random

import numpy
import pytest

from icltui.studies.belief_law import (
    CURVES,
    LawTerms,
    fit_law,
    gains,
    mean_residuals,
    own_r_squared,
    shared_r_squared,
)

CELLS = [(n, alpha) for n in (0, 1, 2, 4, 8) for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)]


def grids(law, n=6, noise=0.0, seed=0):
    """A grid for each fact, its b drawn."""
    chance = random.Random(seed)
    found = []
    for _ in range(n):
        b = chance.gauss(-4, 3)
        found.append({cell: b + law(*cell) + noise * chance.gauss(0, 1) for cell in CELLS})
    return found


def points(grid):
    return [(n, alpha, value) for (n, alpha), value in grid.items()]


@pytest.mark.parametrize("has_product", [False, True])
@pytest.mark.parametrize("curve", ["N", "ln(1 + N)"])
def test_a_fit_is_numpys(curve, has_product):
    (grid,) = grids(lambda n, alpha: 2 * n**0.4 - alpha * n, n=1, noise=1.0)
    (f,) = CURVES[curve]
    columns = [(1.0, f(n), alpha, alpha * f(n))[: 4 if has_product else 3] for n, alpha in CELLS]
    wanted, *_ = numpy.linalg.lstsq(numpy.array(columns), numpy.array([*grid.values()]), rcond=None)
    law = fit_law(points(grid), curve, LawTerms(has_constant=True, has_product=has_product))
    assert law.coefficients == pytest.approx(wanted, rel=1e-8)
    assert law(2, 0.5) == pytest.approx(float(numpy.array(columns[CELLS.index((2, 0.5))]) @ wanted))


@pytest.mark.parametrize(
    ("curve", "law"),
    [
        ("N", lambda n, alpha: 0.7 * n + 5 * alpha),
        ("ln(1 + N)", lambda n, alpha: 3 * numpy.log1p(n) - 2 * alpha),
        ("N^power", lambda n, alpha: 4 * n**0.3 + alpha),
    ],
)
def test_the_curve_of_a_grid_is_found(curve, law):
    found = {name: (*shared_r_squared(grids(law), name), *own_r_squared(grids(law), name)) for name in CURVES}
    assert found[curve] == pytest.approx([1.0] * 4, abs=1e-9)
    for name, values in found.items():
        if (name, curve) not in ((curve, curve), ("N^power", "N")):
            assert max(values) < 0.999
    assert max(map(abs, mean_residuals(grids(law), curve).values())) < 1e-9


def test_a_product_is_what_an_additive_law_misses():
    some = grids(lambda n, alpha: 2 * n + 8 * alpha - 1.8 * alpha * n)
    for of in (shared_r_squared, own_r_squared):
        assert max(of(some, "N")) < 0.95
        assert of(some, "N", has_product=True) == pytest.approx([1, 1], abs=1e-9)
    residuals = mean_residuals(some, "N")
    assert residuals[8, 0.0] > 0.5 > -0.5 > residuals[8, 1.0]


def test_what_is_left_out_is_judged_by_what_is_not():
    """Of noise alone nothing can be foretold; a shared law's R² is that of numpy, fold by fold."""
    some = grids(lambda *_: 0.0, n=10, noise=1.0)
    inside, outside = own_r_squared(some, "N^power")
    assert inside > 0.02
    assert outside < 0
    inside, outside = shared_r_squared(some, "N")
    predicted, observed = [], []
    for fold in range(5):
        train = numpy.array([one for k, grid in enumerate(some) if k % 5 != fold for one in gains(grid)])
        weights, *_ = numpy.linalg.lstsq(train[:, :2], train[:, 2], rcond=None)
        test = numpy.array([one for grid in some[fold::5] for one in gains(grid)])
        predicted += list(test[:, :2] @ weights)
        observed += list(test[:, 2])
    observed = numpy.array(observed)
    wanted = 1 - ((observed - predicted) ** 2).sum() / ((observed - observed.mean()) ** 2).sum()
    assert outside == pytest.approx(wanted, rel=1e-9)
    assert outside < inside


def test_too_little_decides_nothing():
    assert fit_law([(1, 1.0, 2.0)], "N", LawTerms(has_constant=True)) is None
    assert shared_r_squared([], "N") == (None, None)
    assert own_r_squared([], "N") == (None, None)
