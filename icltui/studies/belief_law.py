"""The belief law, fitted: log-odds = b + γ f(N) + a α, of N statements and a patch of strength α.

Enters: log-odds on a grid of N and α, a grid for each prompt. Leaves: coefficients, and R² of what was fitted and of
what was left out. A law that is *shared* has γ and a of all prompts, and b as measured at N = α = 0 for each; one that
is a prompt's *own* has all three fitted to it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from icltui.studies.statistics import least_squares, r_squared

Cell = tuple[int, float]
"""N and α."""
Grid = Mapping[Cell, float]
"""Log-odds of one prompt."""
Point = tuple[int, float, float]
"""N, α and log-odds."""
POWERS = tuple(k / 10 for k in range(1, 16))
N_FOLDS = 5


def _power(power: float, n: int) -> float:
    return float(n**power)


CURVES: dict[str, tuple[Callable[[int], float], ...]] = {
    "N": (float,),
    "ln(1 + N)": (math.log1p,),
    "N^power": tuple(partial(_power, power) for power in POWERS),
}
"""The candidates of f by name; of several the best on what is fitted is taken."""


@dataclass(frozen=True)
class LawTerms:
    """What a law consists of."""

    has_constant: bool
    """Whether b is fitted."""
    has_product: bool = False
    """Whether c α f(N) is added, which an additive law has none of."""

    def row(self, n: int, alpha: float, f: Callable[[int], float]) -> tuple[float, ...]:
        """What the coefficients (b,) γ, a (, c) are multiplied with."""
        constant = (1.0,) if self.has_constant else ()
        return (*constant, f(n), alpha, *((alpha * f(n),) if self.has_product else ()))


@dataclass(frozen=True)
class Law:
    """A fitted law."""

    terms: LawTerms
    f: Callable[[int], float]
    coefficients: tuple[float, ...]

    def __call__(self, n: int, alpha: float) -> float:
        row = self.terms.row(n, alpha, self.f)
        return math.fsum(a * b for a, b in zip(self.coefficients, row, strict=True))


def fit_law(points: Sequence[Point], curve: str, terms: LawTerms) -> Law | None:
    """The law of least squares, its f the best of the curve's; None where the points do not decide it.

    >>> law = fit_law([(n, a, 3 * n - a) for n in (0, 1, 2) for a in (0.0, 1.0)], "N", LawTerms(has_constant=True))
    >>> [round(value, 9) for value in law.coefficients]
    [0.0, 3.0, -1.0]
    """
    found: list[tuple[float, Law]] = []
    for f in CURVES[curve]:
        rows = [terms.row(n, alpha, f) for n, alpha, _ in points]
        coefficients = least_squares(rows, [odds for *_, odds in points])
        if coefficients is not None:
            law = Law(terms, f, coefficients)
            found.append((math.fsum((law(n, alpha) - odds) ** 2 for n, alpha, odds in points), law))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def gains(grid: Grid) -> list[Point]:
    """The cells but the first, less the first, which is that of N = α = 0."""
    base = grid[0, 0.0]
    return [(n, alpha, odds - base) for (n, alpha), odds in grid.items() if (n, alpha) != (0, 0.0)]


def shared_r_squared(
    grids: Sequence[Grid], curve: str, *, has_product: bool = False
) -> tuple[float | None, float | None]:
    """R² of one law for all prompts' gains: on those that it is fitted to, and on those left out, a fifth each time."""
    terms, points = LawTerms(has_constant=False, has_product=has_product), [gains(grid) for grid in grids]
    law = fit_law([one for some in points for one in some], curve, terms)
    inside = _r_squared([(law, some) for some in points])
    n_folds, outside = min(N_FOLDS, len(points)), list[tuple[Law | None, list[Point]]]()
    for fold in range(n_folds):
        rest = [one for k, some in enumerate(points) for one in some if k % n_folds != fold]
        law = fit_law(rest, curve, terms) if rest else None
        outside += [(law, some) for some in points[fold::n_folds]]
    return inside, _r_squared(outside)


def own_r_squared(
    grids: Sequence[Grid], curve: str, *, has_product: bool = False
) -> tuple[float | None, float | None]:
    """R² of each prompt's own law, around each prompt's own mean: on all cells, and on each half of a chessboard's
    cells when fitted to the other half."""
    terms = LawTerms(has_constant=True, has_product=has_product)
    inside = outside = total = 0.0
    for grid in grids:
        points = [(n, alpha, odds) for (n, alpha), odds in grid.items()]
        mean = math.fsum(odds for *_, odds in points) / len(points)
        total += math.fsum((odds - mean) ** 2 for *_, odds in points)
        halves = [[one for one in points if _colour(grid, one) == colour] for colour in (0, 1)]
        for fitted, judged in ((points, points), (halves[0], halves[1]), (halves[1], halves[0])):
            law = fit_law(fitted, curve, terms)
            if law is None:
                return None, None
            left = math.fsum((law(n, alpha) - odds) ** 2 for n, alpha, odds in judged)
            if judged is points:
                inside += left
            else:
                outside += left
    return (1 - inside / total, 1 - outside / total) if total > 0 else (None, None)


def _colour(grid: Grid, point: Point) -> int:
    """Of a chessboard."""
    counts, alphas = (sorted({cell[k] for cell in grid}) for k in (0, 1))
    return (counts.index(point[0]) + alphas.index(point[1])) % 2


def _r_squared(judged: Sequence[tuple[Law | None, list[Point]]]) -> float | None:
    observed, predicted = list[float](), list[float]()
    for law, points in judged:
        if law is None:
            return None
        observed += [odds for *_, odds in points]
        predicted += [law(n, alpha) for n, alpha, _ in points]
    return r_squared(observed, predicted)


def mean_residuals(grids: Sequence[Grid], curve: str) -> dict[Cell, float]:
    """What is observed less what each prompt's own law says, the mean over prompts, by cell."""
    terms, found = LawTerms(has_constant=True), dict[Cell, list[float]]()
    for grid in grids:
        law = fit_law([(n, alpha, odds) for (n, alpha), odds in grid.items()], curve, terms)
        if law is not None:
            for (n, alpha), odds in grid.items():
                found.setdefault((n, alpha), []).append(odds - law(n, alpha))
    return {cell: math.fsum(values) / len(values) for cell, values in found.items()}
