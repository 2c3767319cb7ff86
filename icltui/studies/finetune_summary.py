"""What the rows of the study *finetune* add up to: cosines beside their null levels, and the query's loss by steps."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from icltui.studies.statistics import StatisticInterval, mean_interval, said
from icltui.studies.study import by_model
from icltui.values.results import FigureSeries, Summary, SummaryFigure, SummaryTable

COSINES = {
    "cosine": "the same examples",
    "cosine_shuffled": "answers shuffled",
    "cosine_other": "another task",
}
LOSSES = {"loss": "the same examples", "loss_shuffled": "answers shuffled", "loss_other": "another task"}


def summarise_finetune(
    rows: Sequence[Mapping[str, object]], question: str, shows_not: tuple[str, ...]
) -> Summary:
    """The cosines by layer and step, the query's loss by steps, and both by task, model by model."""
    good: list[Mapping[str, Any]] = [row for row in rows if row["error"] is None]
    sections = [_Section(name, group) for name, group in by_model(good).items()]
    return Summary(
        title="Fine-tuning: the same examples in the context and trained on",
        question=question,
        answer=tuple(sentence for section in sections for sentence in section.sentences()),
        shows_not=shows_not,
        tables=tuple(
            table for section in sections for table in (section.cosines(), section.losses(), section.tasks())
        ),
        figures=tuple(figure for section in sections for figure in section.figures()),
        n_rows=len(rows),
        n_failed=len(rows) - len(good),
    )


@dataclass(frozen=True)
class _Section:
    """The rows of one model."""

    model: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def steps(self) -> Sequence[int]:
        return list(self.rows[0]["steps"])

    @property
    def layers(self) -> list[int]:
        return sorted({row["layer"] for row in self.rows})

    @property
    def prompts(self) -> list[Mapping[str, Any]]:
        """One row of each prompt: what is alike in all layers."""
        return [row for row in self.rows if row["part"] == 0]

    def mean(self, name: str, at: int, layer: int | None = None) -> StatisticInterval:
        """The mean over prompts, of one layer or of each prompt's mean over its layers."""
        by_prompt: dict[str, list[float]] = {}
        for row in self.rows:
            if (layer is None or row["layer"] == layer) and row[name][at] is not None:
                by_prompt.setdefault(row["key"], []).append(row[name][at])
        return mean_interval([statistics.fmean(values) for values in by_prompt.values()])

    @property
    def null(self) -> float:
        """1/√m."""
        return 1 / sqrt(self.rows[0]["n_rows"])

    def sentences(self) -> Iterator[str]:
        for at in (0, len(self.steps) - 1):
            found = ", ".join(
                f"{title} {said(self.mean(name, at), '+.3f')}" for name, title in COSINES.items()
            )
            yield (
                f"{self.model}, mean cosine over layers at step {self.steps[at]}: "
                f"{found}; ±1/√m is ±{self.null:.3f}."
            )

    def cosines(self) -> SummaryTable:
        last = len(self.steps) - 1
        return SummaryTable(
            title=f"cos(W δz, ΔW z) by layer ({self.model})",
            columns=(
                "layer",
                *(f"{title}, {self.steps[at]} steps" for at in (0, last) for title in COSINES.values()),
                "‖ΔW z‖/‖W δz‖",
            ),
            rows=tuple(
                (
                    layer,
                    *(self.mean(name, at, layer).value for at in (0, last) for name in COSINES),
                    self.mean("size_ratio", last, layer).value,
                )
                for layer in self.layers
            ),
            note=f"Means over {len(self.prompts)} prompts; the null level of random directions "
            f"is ±{self.null:.3f}.",
        )

    def losses(self) -> SummaryTable:
        context, plain = (
            statistics.fmean(row[name] for row in self.prompts if row[name] is not None)
            for name in ("loss_context", "loss_plain")
        )
        return SummaryTable(
            title=f"Loss of the query's answer by steps ({self.model})",
            columns=("steps", *LOSSES.values(), "of the examples themselves, per token"),
            rows=tuple(
                (
                    step,
                    *(self.mean(name, at, self.layers[0]).value for name in LOSSES),
                    self.mean("training_loss", at, self.layers[0]).value,
                )
                for at, step in enumerate(self.steps)
            ),
            note=f"In nats, without a context, after training on the column's; with the context {context:.3f}, without "
            f"it and untrained {plain:.3f}.",
        )

    def tasks(self) -> SummaryTable:
        last, names = len(self.steps) - 1, sorted({row["task"] for row in self.rows})
        parts = [_Section(self.model, [row for row in self.rows if row["task"] == name]) for name in names]
        return SummaryTable(
            title=f"Mean cosine over layers by task, after {self.steps[last]} steps ({self.model})",
            columns=("task", "prompts", *COSINES.values(), "rate"),
            rows=tuple(
                (
                    name,
                    len(part.prompts),
                    *(part.mean(cosine, last).value for cosine in COSINES),
                    statistics.median(row["rate"] for row in part.prompts),
                )
                for name, part in zip(names, parts, strict=True)
            ),
        )

    def figures(self) -> Iterator[SummaryFigure]:
        x = tuple(float(step) for step in self.steps)
        stem = "".join(c if c.isalnum() else "-" for c in self.model)[-40:]
        for what, names, label in (
            ("cosine", COSINES, "mean cosine over layers"),
            ("loss", LOSSES, "loss of the query's answer, nats"),
        ):
            series = []
            for name, title in names.items():
                found = [self.mean(name, at) for at in range(len(self.steps))]
                series.append(
                    FigureSeries(
                        label=title,
                        x=x,
                        y=tuple(one.value for one in found),
                        low=tuple(one.low for one in found),
                        high=tuple(one.high for one in found),
                    )
                )
            yield SummaryFigure(
                name=f"finetune-{what}-{stem}",
                title=f"{label.capitalize()} by gradient steps ({self.model})",
                kind="lines",
                x_label="gradient steps",
                y_label=label,
                series=tuple(series),
                log_x=True,
            )
