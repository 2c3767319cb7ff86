"""What the rows of *override* add up to: success by N and by the prior's margin, and the belief law's fit."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from icltui.studies.belief_law import (
    CURVES,
    Grid,
    LawTerms,
    fit_law,
    mean_residuals,
    own_r_squared,
    shared_r_squared,
)
from icltui.studies.statistics import line, mean_interval, median_interval, said
from icltui.studies.study import Plain, by_model
from icltui.values.results import Cell, FigureSeries, SummaryFigure, SummaryTable

Parts = tuple[list[str], list[SummaryTable], list[SummaryFigure]]
MOST_GROUPS, LEAST_IN_GROUP = 4, 5
GRIDS = {"held": "one patch beside N statements", "patch": "the patch of N statements alone"}
BEST_CURVE = "N^power"
"""The curve of the tables that show one: it holds the others nearly."""


@dataclass(frozen=True)
class _OverrideRows:
    """The rows of one model."""

    name: str
    rows: Sequence[Plain]
    seed: int

    def cell(self, grid: str, n: int, alpha: float = 0.0) -> list[Plain]:
        """The rows of one cell whose log-odds and margin are known."""
        return [
            row
            for row in self.rows
            if (row["grid"], row["n"], row["alpha"]) == (grid, n, alpha)
            and odds(row) is not None
            and row["margin"] is not None
        ]

    def counts(self, grid: str) -> list[int]:
        return sorted({row["n"] for row in self.rows if row["grid"] == grid})

    def grids(self, grid: str) -> list[Grid]:
        """The log-odds of each fact by N and α; a patch of strength 0, or of no statement, is the plain run."""
        found: dict[int, dict[tuple[int, float], float]] = {}
        for row in self.rows:
            value = odds(row)
            if row["grid"] == grid and value is not None:
                found.setdefault(row["number"], {})[row["n"], row["alpha"]] = value
        if grid == "patch":
            for row in self.cell("context", 0):
                if cells := found.get(row["number"]):
                    base = _known(row)
                    counts, alphas = ({cell[k] for cell in cells} for k in (0, 1))
                    cells |= {(int(n), 0.0): base for n in (0, *counts)}
                    cells |= {(0, alpha): base for alpha in alphas}
        n_cells = max(map(len, found.values()), default=0)
        return [cells for cells in found.values() if len(cells) == n_cells]


def odds(row: Plain) -> float | None:
    """log p(context's answer) − log p(right answer)."""
    if row["log_p_said"] is None or row["log_p_own"] is None:
        return None
    return float(row["log_p_said"]) - float(row["log_p_own"])


def _known(row: Plain) -> float:
    return float(row["log_p_said"]) - float(row["log_p_own"])


def summarise_override(rows: Sequence[Plain], seed: int) -> Parts:
    """Sentences, tables and figures, model after model."""
    answer: list[str] = []
    tables: list[SummaryTable] = []
    figures: list[SummaryFigure] = []
    for number, (name, some) in enumerate(by_model(rows).items(), 1):
        model = _OverrideRows(name, some, seed)
        success, first = _success(model)
        margins, second = _by_margin(model)
        law, third = _law(model)
        coefficients, fourth = _coefficients(model)
        failures, fifth = _failures(model)
        answer += [first, second, third, fourth, fifth]
        tables += [success, margins, law, coefficients, failures]
        figures += [
            _margin_figure(model, number),
            _odds_figure(model, number),
            _residual_figure(model, number),
        ]
    return answer, tables, figures


def _success(model: _OverrideRows) -> tuple[SummaryTable, str]:
    runs = [("context", n, 0.0) for n in model.counts("context")]
    runs += [("patch", n, 1.0) for n in model.counts("patch")]
    runs += [("random", n, 1.0) for n in model.counts("random")[-1:]]
    runs += [(grid, n, 0.0) for grid in ("mention", "shuffled") for n in model.counts(grid)]
    runs += [(grid, n, 1.0) for grid in ("held", "held random") for n in model.counts(grid)[::3]]
    lines: list[tuple[Cell, ...]] = []
    for run in runs:
        some = model.cell(*run)
        known = [row for row in some if row["knows"]]
        slope = line([row["margin"] for row in some], [_known(row) for row in some])
        lines.append(
            (
                *run[:2],
                len(some),
                *mean_interval([float(_known(row) > 0) for row in some], model.seed),
                _share([_known(row) > 0 for row in known]),
                _share([bool(row["says"]) for row in some if row["says"] is not None]),
                _mean([_known(row) for row in some]),
                *(slope.slope, slope.low, slope.high),
            )
        )
    noise = [row["noise"] for row in model.rows if row["noise"] is not None]
    table = SummaryTable(
        title=f"{model.name}: how often the context's answer wins",
        columns=(
            *("run", "N", "facts", "wins", "low", "high", "wins, known", "said", "log-odds"),
            *("slope on m₀", "low", "high"),
        ),
        rows=tuple(lines),
        note="Wins: share of facts with log p(context's answer) above log p(right answer), 95 % intervals from "
        "resamples; known: of the facts whose right answer is the most probable one without a context "
        f"({sum(bool(row['knows']) for row in model.cell('context', 0))} of them). Said: the context's answer is the "
        "most probable one. Slope of log-odds on m₀: −1 where a context adds the same evidence to every prior, 0 "
        "where the prior does not count. Patch: frozen, α = 1, without the statements; random: the same in random "
        "directions. Held: one patch of 4 statements, α = 1, beside N statements. Mention: the same answer said of "
        "another subject. Shuffled: the tokens of N statements in random order. "
        f"Noise floor of the logits: {_number(_median(noise))} in the median.",
    )
    by_run = {line[:2]: line for line in lines}
    last = max(model.counts("context"))
    one, many, mention = by_run["context", 1], by_run["context", last], by_run["mention", 1]
    return table, (
        f"{model.name}: one false statement wins in a share of {said(one[3:6])}, {last} of them in "
        f"{said(many[3:6])}; the same answer said of another subject in {said(mention[3:6])}."
    )


def groups(n: int) -> list[slice]:
    """At most four groups of equal size, of five at least, of ``n`` sorted values.

    >>> groups(11)
    [slice(0, 5, None), slice(5, 11, None)]
    """
    count = max(1, min(MOST_GROUPS, n // LEAST_IN_GROUP))
    return [slice(k * n // count, (k + 1) * n // count) for k in range(count)]


def _by_margin(model: _OverrideRows) -> tuple[SummaryTable, str]:
    counts = model.counts("context")[1:]
    base = sorted(model.cell("context", 0), key=lambda row: row["margin"])
    lines: list[tuple[Cell, ...]] = []
    for group in groups(len(base)):
        numbers = {row["number"] for row in base[group]}
        some = [row["margin"] for row in base[group]]
        cells: list[Cell] = [some[0], some[-1], len(some)] if some else [None, None, 0]
        for grid, n, alpha in [*(("context", n, 0.0) for n in counts), ("patch", counts[0], 1.0)]:
            found = [row for row in model.cell(grid, n, alpha) if row["number"] in numbers]
            cells.append(_share([_known(row) > 0 for row in found]))
        lines.append(tuple(cells))
    table = SummaryTable(
        title=f"{model.name}: wins by the prior's margin",
        columns=("m₀ from", "to", "facts", *(f"N = {n}" for n in counts), f"patch, N = {counts[0]}"),
        rows=tuple(lines),
        note="m₀ = log p₀(right answer) − log p₀(context's answer), nats; groups of like size.",
    )
    first, last = lines[0], lines[-1]
    if len(lines) < 2:
        return table, (
            f"{model.name}: {first[2]} facts, fewer than {2 * LEAST_IN_GROUP}, are one group: nothing is said of how "
            "success depends on the prior's margin."
        )
    return table, (
        f"{model.name}: of the facts held least (m₀ to {_number(first[1])}) one statement wins {_number(first[3])}, "
        f"of those held most (m₀ from {_number(last[0])}) {_number(last[3])}."
    )


def _law(model: _OverrideRows) -> tuple[SummaryTable, str]:
    lines: list[tuple[Cell, ...]] = []
    for grid in GRIDS:
        found = model.grids(grid)
        for curve in CURVES:
            for has_product in (False, True):
                shared = shared_r_squared(found, curve, has_product=has_product)
                own = own_r_squared(found, curve, has_product=has_product)
                lines.append((grid, curve, "yes" if has_product else "no", len(found), *shared, *own))
    table = SummaryTable(
        title=f"{model.name}: R² of log-odds = b + γ f(N) + a α",
        columns=(
            *("grid", "f", "with α f(N)", "facts"),
            *("shared", "left-out facts", "own", "left-out cells"),
        ),
        rows=tuple(lines),
        note=f"Grids: {'; '.join(f'{name}: {what}' for name, what in GRIDS.items())}. Shared: one γ and a for all "
        "facts, b = −m₀ as measured; R² of the change of log-odds. Own: b, γ and a of each fact; R² around the "
        "fact's mean. Left out: a fifth of the facts at a time; half of the cells, as on a chessboard. Below 0: "
        "worse than the mean. With α f(N): with a product, which the law has none of.",
    )
    held = [line for line in lines if line[0] == "held" and line[2] == "no"]
    best = max(held, key=_left_out)
    patch = next(line for line in lines if (line[0], line[1], line[2]) == ("patch", best[1], "no"))
    return table, (
        f"{model.name}: beside a held patch the best f is {best[1]}: R² {_number(best[6])} of each fact's own law, "
        f"{_number(best[7])} on left-out cells, {_number(best[5])} with one law on left-out facts; of patches made "
        f"of N statements it is {_number(patch[7])} and {_number(patch[5])}."
    )


def _left_out(row: Sequence[Cell]) -> float:
    value = row[7]
    return value if isinstance(value, float) else float("-inf")


def _coefficients(model: _OverrideRows) -> tuple[SummaryTable, str]:
    lines: list[tuple[Cell, ...]] = []
    for grid in GRIDS:
        for curve in ("N", "ln(1 + N)"):
            columns = _own_coefficients(model.grids(grid), curve, has_product=False)
            products = _own_coefficients(model.grids(grid), curve, has_product=True)
            medians = [median_interval(column, model.seed) for column in (*columns[1:], *products[3:])]
            lines.append((grid, curve, *(number for interval in medians for number in interval)))
    table = SummaryTable(
        title=f"{model.name}: coefficients of each fact's own law, in nats",
        columns=("grid", "f", "γ", "low", "high", "a", "low", "high", "c", "low", "high"),
        rows=tuple(lines),
        note="Medians over facts, with 95 % intervals. c: of c α f(N), when it is fitted too; the law has 0.",
    )
    held = lines[1]
    return table, (
        f"{model.name}: with f = ln(1 + N) beside a held patch γ is {said(held[2:5])}, a {said(held[5:8])}, and "
        f"the product that the law leaves out has {said(held[8:11])}."
    )


def _own_coefficients(grids: Sequence[Grid], curve: str, *, has_product: bool) -> list[list[float]]:
    """The coefficients' values over facts, a list for each of b, γ, a (and c)."""
    terms = LawTerms(has_constant=True, has_product=has_product)
    laws = [
        fit_law([(n, alpha, value) for (n, alpha), value in grid.items()], curve, terms) for grid in grids
    ]
    found = [law.coefficients for law in laws if law is not None]
    return [[values[k] for values in found] for k in range(4 if has_product else 3)]


def _failures(model: _OverrideRows) -> tuple[SummaryTable, str]:
    """Where the additive law fails beside a held patch, by cell."""
    found = mean_residuals(model.grids("held"), BEST_CURVE)
    counts, alphas = (sorted({cell[k] for cell in found}) for k in (0, 1))
    table = SummaryTable(
        title=f"{model.name}: log-odds less each fact's own law, held patch",
        columns=("N", *(f"α = {alpha:g}" for alpha in alphas)),
        rows=tuple((n, *(found[int(n), alpha] for alpha in alphas)) for n in counts),
        note=f"Means over facts, in nats; f = {BEST_CURVE}.",
    )
    worst = max(found, key=lambda cell: abs(found[cell]), default=(0, 0.0))
    return table, (
        f"{model.name}: the law fails most at N = {worst[0]}, α = {worst[1]:g}, by {_number(found.get(worst))} nats "
        "in the mean."
    )


def _margin_figure(model: _OverrideRows, number: int) -> SummaryFigure:
    counts = model.counts("context")
    return SummaryFigure(
        name=f"margin-{number}",
        title=f"Log-odds after N statements against the prior's margin, {model.name}",
        kind="scatter",
        x_label="m₀, nats",
        y_label="log p(said) − log p(right)",
        series=tuple(
            FigureSeries(
                label=f"N = {n}",
                x=tuple(row["margin"] for row in model.cell("context", n)),
                y=tuple(_known(row) for row in model.cell("context", n)),
            )
            for n in counts
        ),
    )


def _odds_figure(model: _OverrideRows, number: int) -> SummaryFigure:
    alphas = sorted({row["alpha"] for row in model.rows if row["grid"] == "held"})
    series = []
    for alpha in alphas:
        counts = model.counts("held")
        means = [mean_interval([_known(row) for row in model.cell("held", n, alpha)]) for n in counts]
        series.append(
            FigureSeries(
                label=f"α = {alpha:g}",
                x=tuple(map(float, counts)),
                y=tuple(one.value for one in means),
                low=tuple(one.low for one in means),
                high=tuple(one.high for one in means),
            )
        )
    return SummaryFigure(
        name=f"odds-{number}",
        title=f"Log-odds beside a held patch, {model.name}",
        kind="lines",
        x_label="statements, N",
        y_label="log p(said) − log p(right), mean",
        series=tuple(series),
    )


def _residual_figure(model: _OverrideRows, number: int) -> SummaryFigure:
    found = mean_residuals(model.grids("held"), BEST_CURVE)
    counts, alphas = (sorted({cell[k] for cell in found}) for k in (0, 1))
    return SummaryFigure(
        name=f"residuals-{number}",
        title=f"Log-odds less the belief law, {model.name}",
        kind="heatmap",
        x_label="statements, N",
        y_label="strength, α",
        ticks=tuple(str(n) for n in counts),
        y_ticks=tuple(f"{alpha:g}" for alpha in alphas),
        cells=tuple(tuple(found[int(n), alpha] for n in counts) for alpha in alphas),
    )


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _number(value: Cell) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
