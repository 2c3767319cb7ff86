"""What the rows of the steering study add up to, on plain numbers.

Enters: rows as dictionaries. Leaves: what each model's add up to: strengths chosen on each prompt itself;
strengths chosen on one half of the prompts and judged on the other; figures of the layer where ΔW helps most.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from icltui.studies.statistics import mean_interval
from icltui.studies.study import ModelFindings, findings_by_model
from icltui.values.results import Cell, FigureSeries, SummaryFigure, SummaryTable

PATCHES = ("ΔW", "random", "shuffled", "heuristic")
ROUNDING = 1e-5
"""Share of an error by which it may drop for nothing."""
Rows = Sequence[Mapping[str, Any]]
Group = dict[tuple[int, str], list[Mapping[str, Any]]]
"""Rows by layer and patch."""


@dataclass(frozen=True)
class Judged:
    """Errors of some prompts, without a patch and through it."""

    before: Sequence[float]
    after: Sequence[float]

    @property
    def drops(self) -> list[float]:
        return [b - a for b, a in zip(self.before, self.after, strict=True)]

    @property
    def mean_drop(self) -> float:
        return statistics.fmean(self.drops)

    @property
    def improved(self) -> float:
        """The share of prompts whose error drops by more than rounding may."""
        pairs = zip(self.before, self.after, strict=True)
        return sum(after < (1 - ROUNDING) * before for before, after in pairs) / len(self.before)


def summarise_steering(rows: Rows) -> ModelFindings:
    """Sentences, tables and figures of each model."""
    return findings_by_model(rows, _of_one_model)


def _of_one_model(rows: Rows) -> ModelFindings:
    groups = _groups(rows)
    helped = {layer: own(of).mean_drop for (layer, patch), of in groups.items() if patch == "ΔW"}
    if not helped:
        return ModelFindings()
    best = max(helped, key=lambda layer: helped[layer])
    figures = (_before_after(groups, best), _histogram(groups, best), _by_layer(groups))
    return ModelFindings(_answer(groups, best), _tables(groups), figures)


def _groups(rows: Rows) -> Group:
    """The rows of one model that have numbers."""
    groups: Group = {}
    known = [row for row in rows if row["mse"] is not None and row["kl"] is not None]
    for row in sorted(known, key=lambda row: (row["layer"], PATCHES.index(row["patch"]), row["number"])):
        groups.setdefault((row["layer"], row["patch"]), []).append(row)
    return groups


def _tables(groups: Group) -> tuple[SummaryTable, ...]:
    return (
        _own_table(groups),
        _kl_table(groups),
        _held_out_table(groups, "mse", "MSE"),
        _held_out_table(groups, "kl", "KL"),
    )


def own(rows: Rows, name: str = "mse") -> Judged:
    """Each prompt at the strength that was chosen on it; ``name``: ``mse``, ``kl``, ``later_mse`` or ``later_kl``."""
    kept = [row for row in rows if row[name] is not None and row[f"{name}_plain"] is not None]
    return Judged([row[f"{name}_plain"] for row in kept], [row[name] for row in kept])


def held_out(rows: Rows, name: str = "mse") -> Judged:
    """Each prompt at the one strength of the grid that is best, in the mean, for the prompts of the other half."""
    before, after = [], []
    for half in (0, 1):
        chosen_on = [row for row in rows if row["number"] % 2 != half]
        judged_on = [row for row in rows if row["number"] % 2 == half]
        if chosen_on and judged_on:
            place = best_place(chosen_on)
            before += [row[f"{name}_plain"] for row in judged_on]
            after += [row[f"grid_{name}"][place] for row in judged_on]
    return Judged(before, after)


def of_another(rows: Rows, name: str = "mse") -> Judged:
    """Each prompt at the strength of the grid nearest to the one chosen on the prompt before it, if any."""
    if len(rows) < 2:
        return Judged((), ())
    after = []
    for row, other in zip(rows, [rows[-1], *rows[:-1]], strict=True):
        place = min(range(len(row["grid"])), key=lambda k: abs(row["grid"][k] - other["alpha"]))
        after.append(row[f"grid_{name}"][place])
    return Judged([row[f"{name}_plain"] for row in rows], after)


def at_one(rows: Rows, name: str = "mse") -> Judged:
    """Each prompt at strength 1, where nothing is chosen."""
    return Judged(
        [row[f"{name}_plain"] for row in rows], [row[f"grid_{name}"][row["grid"].index(1.0)] for row in rows]
    )


def best_place(rows: Rows) -> int:
    """The place in the grid of the strength with the least mean error."""
    means = [statistics.fmean(errors) for errors in zip(*(row["grid_mse"] for row in rows), strict=True)]
    return means.index(min(means))


def _own_table(groups: Group) -> SummaryTable:
    lines: list[tuple[Cell, ...]] = []
    for (layer, patch), rows in groups.items():
        judged, alpha = own(rows), statistics.median(row["alpha"] for row in rows)
        mean, median = mean_interval(judged.drops), statistics.median(judged.drops)
        errors = _mean(judged.before), _mean(judged.after)
        lines.append((layer, patch, _percent(judged.improved), *errors, *mean, median, alpha))
    return SummaryTable(
        title="Strength chosen on each prompt itself: MSE",
        columns=("layer", "patch", "better %", "before", "after", "drop", "low", "high", "median", "α"),
        rows=tuple(lines),
        note="MSE of centred logits at the query's last token, means over prompts; drop: the mean with its 95 % "
        "interval, and the median. The search may choose 0, which changes nothing, so no prompt gets worse.",
    )


def _kl_table(groups: Group) -> SummaryTable:
    lines: list[tuple[Cell, ...]] = []
    for (layer, patch), rows in groups.items():
        judged = own(rows, "kl")
        mean, errors = mean_interval(judged.drops), (_mean(judged.before), _mean(judged.after))
        lines.append(
            (layer, patch, _percent(judged.improved), *errors, *mean, statistics.median(judged.drops))
        )
    return SummaryTable(
        title="The same: KL",
        columns=("layer", "patch", "better %", "before", "after", "drop", "low", "high", "median"),
        rows=tuple(lines),
        note="KL(context ‖ these) in nats. The strength was chosen for the MSE, so a prompt may get worse.",
    )


def _held_out_table(groups: Group, name: str, title: str) -> SummaryTable:
    lines: list[tuple[Cell, ...]] = []
    for (layer, patch), rows in groups.items():
        found = [judge(rows, name) for judge in (held_out, of_another, at_one)] + [own(rows, f"later_{name}")]
        cells = [(_percent(one.improved), _mean(one.drops)) if one.drops else (None, None) for one in found]
        lines.append((layer, patch, *(cell for pair in cells for cell in pair)))
    kinds = ("half", "other", "α=1", "next")
    return SummaryTable(
        title=f"Where nothing was chosen: {title}",
        columns=("layer", "patch", *(column for kind in kinds for column in (f"{kind} %", kind))),
        rows=tuple(lines),
        note="Per cent of prompts that improve, and mean drops, a negative one being a harm. Half: the one α that is "
        "best for the other half of the prompts; other: the α chosen on the prompt before; both on a grid of 0.25. "
        "Next: the own α after the answer's first token, with the patch of the query's last token still held.",
    )


def _answer(groups: Group, layer: int) -> tuple[str, ...]:
    sentences = []
    theorem = own(groups[layer, "ΔW"])
    sentences.append(
        f"at layer {layer}, where ΔW helps most, {_percent(theorem.improved)} % of {len(theorem.drops)} prompts "
        f"improve at their own α, and the mean error falls from {_mean(theorem.before):.3g} to "
        f"{_mean(theorem.after):.3g} (mean drop {_mean(theorem.drops):.3g}, median "
        f"{statistics.median(theorem.drops):.3g})."
    )
    others = [patch for patch in PATCHES[1:] if (layer, patch) in groups]
    parts = []
    for patch in others:
        judged = own(groups[layer, patch])
        parts.append(f"{patch} {_percent(judged.improved)} %, mean drop {_mean(judged.drops):.3g}")
    sentences.append(f"there, with the same search: {'; '.join(parts)}.")
    shared = held_out(groups[layer, "ΔW"])
    if shared.drops:
        kl = held_out(groups[layer, "ΔW"], "kl")
        sentences.append(
            f"with one α, chosen on the other half of the prompts, {_percent(shared.improved)} % improve, mean drop "
            f"{_mean(shared.drops):.3g}; KL {_mean(kl.before):.3g} to {_mean(kl.after):.3g}."
        )
    later = own(groups[layer, "ΔW"], "later_kl")
    if later.drops:
        sentences.append(
            f"at the next token, held, the KL goes from {_mean(later.before):.3g} to {_mean(later.after):.3g}."
        )
    return tuple(sentences)


def _before_after(groups: Group, layer: int) -> SummaryFigure:
    series = []
    for patch in PATCHES:
        if rows := groups.get((layer, patch)):
            judged = own(rows)
            series.append(FigureSeries(label=patch, x=tuple(judged.before), y=tuple(judged.after)))
    return SummaryFigure(
        name="before-after",
        title=f"Layer {layer}: error of each prompt, without the patch and with it",
        kind="scatter",
        x_label="MSE of centred logits, no patch",
        y_label="through the patch",
        series=tuple(series),
        log_x=True,
        log_y=True,
    )


def _histogram(groups: Group, layer: int) -> SummaryFigure:
    series = [
        FigureSeries(label=patch, x=tuple(own(rows).drops))
        for patch in PATCHES
        if (rows := groups.get((layer, patch)))
    ]
    return SummaryFigure(
        name="drops",
        title=f"Layer {layer}: drop of the error",
        kind="histogram",
        x_label="drop of the MSE of centred logits",
        y_label="prompts",
        series=tuple(series),
    )


def _by_layer(groups: Group) -> SummaryFigure:
    series = []
    for patch in PATCHES:
        layers = [layer for layer, name in groups if name == patch]
        if layers:
            found = [mean_interval(own(groups[layer, patch]).drops) for layer in layers]
            series.append(
                FigureSeries(
                    label=patch,
                    x=tuple(map(float, layers)),
                    y=tuple(one.value for one in found),
                    low=tuple(one.low for one in found),
                    high=tuple(one.high for one in found),
                )
            )
    return SummaryFigure(
        name="drop-by-layer",
        title="Mean drop of the error, by layer",
        kind="lines",
        x_label="layer",
        y_label="mean drop of the MSE",
        series=tuple(series),
    )


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)


def _percent(share: float) -> float:
    return round(100 * share, 1)
