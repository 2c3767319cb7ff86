"""What the rows of the study *functions* add up to: losses by number of examples, power laws, the papers' figures."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from math import exp, log
from typing import Any

from icltui.studies.statistics import Line, StatisticInterval, line, mean_interval
from icltui.values.functions import TrainedOn
from icltui.values.results import Cell, FigureSeries, Summary, SummaryFigure, SummaryTable

TRAININGS: tuple[TrainedOn, ...] = ("full", "any")
NAMES: Mapping[str, str] = {"full": "queries after all examples", "any": "queries after any number"}
SHOWN = (0, 1, 2, 5, 10, 20, 50)
"""Numbers of examples in the table."""
LOSSES = {
    "loss": "context",
    "loss_patched": "ΔW and Δb",
    "loss_weights": "ΔW alone",
    "loss_sgd": "SGD",
    "loss_least_squares": "least squares",
    "loss_untrained": "untrained block",
}
TAIL = 10
"""Examples from which the tail of the steps is fitted."""


def summarise_functions(
    rows: Sequence[Mapping[str, object]], question: str, shows_not: tuple[str, ...]
) -> Summary:
    """Losses by number of examples, the steps' power laws, and the papers' three figures, for each training."""
    good: list[Mapping[str, Any]] = [row for row in rows if row["error"] is None]
    kinds = [kind for kind in TRAININGS if any(row["trained_on"] == kind for row in good)]
    groups = {kind: [row for row in good if row["trained_on"] == kind] for kind in kinds}
    return Summary(
        title="Functions: linear regression in context, by one block",
        question=question,
        answer=tuple(sentence for kind, group in groups.items() for sentence in _sentences(kind, group)),
        shows_not=shows_not,
        tables=tuple(
            table for kind, group in groups.items() for table in (_losses(kind, group), _steps(kind, group))
        ),
        figures=tuple(figure for kind, group in groups.items() for figure in _figures(kind, group)),
        n_rows=len(rows),
        n_failed=len(rows) - len(good),
    )


def _curve(group: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """The mean over seeds."""
    return [statistics.fmean(values) for values in zip(*(row[name] for row in group), strict=True)]


def power_law(steps: Sequence[float], first: int = 1) -> Line:
    """The line of ln step on ln i, over examples i from ``first``."""
    points = [(log(i), log(step)) for i, step in enumerate(steps, 1) if i >= first and step > 0]
    return line(*zip(*points, strict=True)) if points else Line(None)


def _sentences(kind: str, group: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    loss, name = _curve(group, "loss"), NAMES[kind].capitalize()
    worst64, worst32 = (max(row[f"error_float{bits}"] for row in group) for bits in (64, 32))
    yield (
        f"{name}: predictions through ΔW and Δb agree with those in the context to {worst64:.1e} in float64 and "
        f"{worst32:.1e} in float32, relative, at every number of examples."
    )
    first = mean_interval([row["loss"][1] - row["loss"][0] for row in group])
    yield (
        f"{name}: the first example changes the loss by {first.value:+.3f}, from {loss[0]:.3f}; "
        f"after {len(loss) - 1} examples it is {loss[-1]:.3f}."
    )
    law = power_law(_curve(group, "step_norm"), TAIL)
    control = power_law(_curve(group, "step_norm_untrained"), TAIL)
    if law.slope is not None and law.intercept is not None and control.slope is not None:
        yield (
            f"{name}: from example {TAIL} on the implicit step is {exp(law.intercept):.2f} / i^{-law.slope:.2f}; of "
            f"the untrained block / i^{-control.slope:.2f}."
        )


def _losses(kind: str, group: Sequence[Mapping[str, Any]]) -> SummaryTable:
    curves = {title: _curve(group, name) for name, title in LOSSES.items()}
    n = len(curves["context"])
    rows = [(count, *(curve[count] for curve in curves.values())) for count in SHOWN if count < n]
    return SummaryTable(
        title=f"Test loss by number of examples ({NAMES[kind]})",
        columns=("examples", *curves),
        rows=tuple(rows),
        note=f"Mean squared error over {group[0]['n_tasks']} fresh functions and {len(group)} seeds; SGD: one step "
        f"on each example without a context, at the best of its rates ({_rates(group)}).",
    )


def _rates(group: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{rate:g}" for rate in sorted({row["sgd_rate"] for row in group}))


def _steps(kind: str, group: Sequence[Mapping[str, Any]]) -> SummaryTable:
    rows = [
        (
            title,
            *_law_cells(power_law(_curve(group, name))),
            *_law_cells(power_law(_curve(group, name), TAIL)),
        )
        for name, title in (
            ("step_norm", "‖ΔW_{i+1} − ΔW_i‖"),
            ("step_norm_untrained", "the same, untrained block"),
            ("sgd_step_norm", "SGD steps"),
        )
    ]
    cosine = _overall(group, "net_cosine", -1)
    single = [statistics.fmean(row["step_cosine"]) for row in group]
    return SummaryTable(
        title=f"Steps by example i, as factor / i^power ({NAMES[kind]})",
        columns=("step", "factor", "power", "95 %", f"factor, i ≥ {TAIL}", f"power, i ≥ {TAIL}", "95 % "),
        rows=tuple(rows),
        note=f"Mean cosine of an implicit step with the SGD step on the same example {statistics.fmean(single):+.3f}; "
        f"of ΔW with the sum of all SGD steps {_shown(cosine)}.",
    )


def _overall(group: Sequence[Mapping[str, Any]], name: str, at: int) -> StatisticInterval:
    return mean_interval([row[name][at] for row in group])


def _shown(interval: StatisticInterval) -> str:
    return "–" if interval.value is None else f"{interval.value:+.3f}"


def _law_cells(law: Line) -> tuple[Cell, ...]:
    if law.slope is None or law.intercept is None or law.low is None or law.high is None:
        return None, None, None
    return exp(law.intercept), -law.slope, f"{-law.high:.3f} to {-law.low:.3f}"


def _figures(kind: str, group: Sequence[Mapping[str, Any]]) -> Iterator[SummaryFigure]:
    steps = tuple(float(step) for step in group[0]["training_steps"])
    yield SummaryFigure(
        name=f"functions-training-{kind}",
        title=f"Test loss over the training ({NAMES[kind]})",
        kind="lines",
        x_label="steps of the training",
        y_label="mean squared error",
        series=tuple(
            FigureSeries(label=label, x=steps, y=tuple(_curve(group, name)))
            for name, label in (("training_loss", "context"), ("training_loss_patched", "ΔW and Δb"))
        ),
        log_y=True,
    )
    yield SummaryFigure(
        name=f"functions-steps-{kind}",
        title=f"Steps over examples ({NAMES[kind]})",
        kind="lines",
        x_label="example i",
        y_label="Frobenius norm of the step",
        series=tuple(
            FigureSeries(label=label, x=_counted(curve, 1), y=tuple(curve))
            for label, curve in (
                ("implicit", _curve(group, "step_norm")),
                ("implicit, untrained block", _curve(group, "step_norm_untrained")),
                ("SGD", _curve(group, "sgd_step_norm")),
            )
        ),
        log_x=True,
        log_y=True,
    )
    yield SummaryFigure(
        name=f"functions-losses-{kind}",
        title=f"Test loss over examples ({NAMES[kind]})",
        kind="lines",
        x_label="examples",
        y_label="mean squared error",
        series=tuple(
            FigureSeries(label=label, x=_counted(curve, 0), y=tuple(curve))
            for label, curve in ((title, _curve(group, name)) for name, title in LOSSES.items())
        ),
    )


def _counted(curve: Sequence[float], first: int) -> tuple[float, ...]:
    return tuple(float(i) for i in range(first, first + len(curve)))
