"""What the rows of *few-shot* add up to: slopes beside the null, and the number of examples at saturation."""

import statistics
from collections.abc import Sequence

from icltui.studies.statistics import mean_interval, median_interval, said
from icltui.studies.study import Plain, by_model
from icltui.values.results import Cell, FigureSeries, SummaryFigure, SummaryTable

FORMS = ("task", "reordered", "shuffled")
Parts = tuple[list[str], list[SummaryTable], list[SummaryFigure]]


def summarise_few_shot(rows: Sequence[Plain], seed: int) -> Parts:
    """Sentences, tables and figures, model after model."""
    answer: list[str] = []
    tables: list[SummaryTable] = []
    figures: list[SummaryFigure] = []
    for number, (name, some) in enumerate(by_model(rows).items(), 1):
        slopes, sentence = _slopes(name, some, seed)
        saturated, second = _saturation(name, some, seed)
        answer += [sentence, second]
        tables += [slopes, saturated, _by_examples(name, some)]
        figures += [_steps_figure(name, number, some), _answer_figure(name, number, some)]
    return answer, tables, figures


def _slopes(name: str, rows: Sequence[Plain], seed: int) -> tuple[SummaryTable, str]:
    lines: list[tuple[Cell, ...]] = []
    for form in FORMS:
        ours = [row for row in rows if row["form"] == form and row["slope"] is not None]
        found = median_interval([row["slope"] for row in ours], seed)
        beside = median_interval([row["slope"] - row["null_slope"] for row in ours], seed)
        lines.append((form, len(ours), *found, *beside))
    null = [row["null_slope"] for row in rows if row["form"] == "task"]
    lines.append(("averaging alone", len(null), *median_interval(null, seed), 0.0, 0.0, 0.0))
    table = SummaryTable(
        title=f"{name}: slope of log ‖W_{{i+1}} − W_i‖ on log i, the mean over layers",
        columns=("form", "series", "median", "low", "high", "less the null", "low", "high"),
        rows=tuple(lines),
        note="Median over series with its 95 % interval from resamples. The null is uniform attention over "
        "exchangeable examples beside this prompt's other tokens; it tends to −1 with many examples. Shuffled: "
        "answers of other examples, a control.",
    )
    task, shuffled = lines[0], lines[2]
    layers = [
        statistics.median(column)
        for column in zip(*(row["layer_slopes"] for row in rows if row["form"] == "task"), strict=False)
    ]
    by_layer = f", by layer from {min(layers):.2f} to {max(layers):.2f}" if layers else ""
    if task[2] is None:
        return table, f"{name}: no slope, as steps of W are not known where experts read z, or are 0."
    sentence = (
        f"{name}: steps go with i to the power {said(task[2:5])}{by_layer}; {said(shuffled[2:5])} with shuffled "
        f"answers; averaging alone gives {_number(lines[3][2])}."
    )
    return table, sentence


def saturation(log_p: Sequence[float], floor: float) -> int:
    """The least i from which on log p_j stays within ``floor`` of its last value.

    >>> saturation([-5.0, -1.0, -3.0, -1.1, -1.0], 0.2)
    3
    """
    last, i = log_p[-1], len(log_p) - 1
    while i and abs(log_p[i - 1] - last) <= floor:
        i -= 1
    return i


def floors(rows: Sequence[Plain]) -> list[tuple[Plain, float]]:
    """Each series as it is, and how far reordering its examples moves the answer; at least its noise floor."""
    others = {row["number"]: row for row in rows if row["form"] == "reordered"}
    return [
        (row, max(abs(row["log_p"][-1] - others[row["number"]]["log_p"][-1]), row["noise"] or 0.0))
        for row in rows
        if row["form"] == "task" and row["number"] in others
    ]


def _saturation(name: str, rows: Sequence[Plain], seed: int) -> tuple[SummaryTable, str]:
    known = floors(rows)
    if not known:
        return SummaryTable(title=f"{name}: saturation", columns=("floor",), rows=()), f"{name}: no series."
    n = max(row["n_examples"] for row, _ in known)
    order = statistics.median(floor for _, floor in known)
    noise = statistics.median(row["noise"] or 0.0 for row, _ in known)
    lines: list[tuple[Cell, ...]] = []
    for what, floor in (("reordering", order), ("rounding", noise)):
        found = [saturation(row["log_p"], floor) for row, _ in known]
        within = [at for at in found if at < n]
        lines.append((what, floor, *median_interval(found, seed), len(within), len(found)))
    table = SummaryTable(
        title=f"{name}: examples after which log p(answer) stays within the floor of its value after all {n}",
        columns=("floor", "nats", "median", "low", "high", "before the last", "series"),
        rows=tuple(lines),
        note="Reordering: the median change of log p(answer) when the same examples come in another order. "
        "Rounding: the median noise floor in logits. A series that still moves at its "
        "last example counts with all of them.",
    )
    _, nats, median, low, high, within_n, _ = lines[0]
    sentence = (
        f"{name}: the answer stays within what reordering moves it ({_number(nats)} nats) after "
        f"{said((median, low, high))} of {n} examples; {within_n} of {len(known)} series get there before the last."
    )
    return table, sentence


def _by_examples(name: str, rows: Sequence[Plain]) -> SummaryTable:
    n = max(row["n_examples"] for row in rows)
    lines: list[tuple[Cell, ...]] = []
    for i in sorted({0, 1, 2, 4, 8, n - 1, n}):
        cells: list[Cell] = [i]
        for form in ("task", "shuffled"):
            ours = [row for row in rows if row["form"] == form and len(row["log_p"]) > i]
            cells += [
                _median(row["log_p"][i] for row in ours),
                _share([row["right"][i] for row in ours]),
                _median(row["net"][i - 1] for row in ours) if i else 0.0,
            ]
        lines.append(tuple(cells))
    return SummaryTable(
        title=f"{name}: after i examples",
        columns=("i", "log p", "right", "net", "log p, shuffled", "right, shuffled", "net, shuffled"),
        rows=tuple(lines),
        note="Medians; right: share of series whose answer's first token is the most probable; net: ‖v_i − v_0‖ over "
        "its value after all examples, the mean over layers.",
    )


def _steps_figure(name: str, number: int, rows: Sequence[Plain]) -> SummaryFigure:
    series = []
    for form in ("task", "shuffled"):
        curves = [row["weight_steps"] for row in rows if row["form"] == form and row["weight_steps"]]
        x, y = _medians(curves, 1)
        series.append(FigureSeries(label=form, x=x, y=y))
    if series[0].y:
        first = series[0].y[0]
        series.append(
            FigureSeries(
                label="1/i", x=series[0].x, y=tuple((first or 0.0) / (i or 1.0) for i in series[0].x)
            )
        )
    return SummaryFigure(
        name=f"steps-{number}",
        title=f"Steps of the weights, {name}",
        kind="lines",
        x_label="examples before the step, i",
        y_label="‖W_{i+1} − W_i‖ / ‖W‖",
        series=tuple(series),
        log_x=True,
        log_y=True,
    )


def _answer_figure(name: str, number: int, rows: Sequence[Plain]) -> SummaryFigure:
    series = []
    for form in ("task", "shuffled"):
        curves = [row["log_p"] for row in rows if row["form"] == form]
        means = [mean_interval(values) for values in zip(*curves, strict=False)]
        series.append(
            FigureSeries(
                label=form,
                x=tuple(float(i) for i in range(len(means))),
                y=tuple(one.value for one in means),
                low=tuple(one.low for one in means),
                high=tuple(one.high for one in means),
            )
        )
    return SummaryFigure(
        name=f"answer-{number}",
        title=f"The answer's log-probability, {name}",
        kind="lines",
        x_label="examples",
        y_label="log p(answer), mean",
        series=tuple(series),
    )


def _medians(
    curves: Sequence[Sequence[float]], begin: int
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    columns = [*zip(*curves, strict=False)][begin:]
    return tuple(float(begin + i) for i in range(len(columns))), tuple(map(statistics.median, columns))


def _median(values: object) -> float | None:
    known = [*values]  # type: ignore[misc]  # any iterable of numbers
    return statistics.median(known) if known else None


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _number(value: Cell) -> str:
    return "–" if value is None else f"{value:.3g}"
