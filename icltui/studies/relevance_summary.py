"""What the rows of *relevance* add up to: sizes, focus and gain by context, and their rank correlations."""

import statistics
from collections.abc import Sequence

from icltui.studies.statistics import StatisticInterval, bootstrap, median_interval, said, spearman
from icltui.studies.study import Plain, by_model
from icltui.values.results import Cell, FigureSeries, SummaryFigure, SummaryTable

CONTEXTS = ("relevant", "tangential", "irrelevant", "random")
_MEASURES = {"size": "size ‖δ‖/‖v‖", "focus": "focus (Gini)", "change": "change (KL)"}
Parts = tuple[list[str], list[SummaryTable], list[SummaryFigure]]


def summarise_relevance(rows: Sequence[Plain], seed: int) -> Parts:
    """Sentences, tables and figures, model after model."""
    answer: list[str] = []
    tables: list[SummaryTable] = []
    figures: list[SummaryFigure] = []
    for number, (name, some) in enumerate(by_model(rows).items(), 1):
        correlations = _correlations(some, seed)
        answer += _sentences(name, some, correlations, seed)
        tables += [_contexts(name, some, seed), _correlation_table(name, correlations)]
        tables.append(_layers(name, some))
        figures.append(_figure(name, number, some))
    return answer, tables, figures


def _contexts(name: str, rows: Sequence[Plain], seed: int) -> SummaryTable:
    lines: list[tuple[Cell, ...]] = []
    for context in CONTEXTS:
        ours = _of(rows, context)
        right = [row["right"] for row in ours]
        cells: list[Cell] = [context, len(ours), sum(right) / len(right) if right else None]
        for measure in ("size", "focus", "gain", "change", "noise"):
            found = median_interval(_known(ours, measure), seed)
            cells += [found.value] if measure in ("change", "noise") else [*found]
        lines.append(tuple(cells))
    columns = ["context", "n", "right"]
    for measure in ("size", "focus", "gain"):
        columns += [measure, "low", "high"]
    lengths = sorted({row["n_tokens"] for row in rows})
    return SummaryTable(
        title=f"{name}: medians by context, of {lengths[0]} to {lengths[-1]} tokens, alike for all of one question",
        columns=(*columns, "change", "noise"),
        rows=tuple(lines),
        note="Size: ‖δ‖/‖v‖, focus: Gini of ‖δ_t‖ over context tokens, both the mean over layers; gain: of "
        "log p(answer); change: KL(with ‖ without); noise: L∞ of logits between right runs. Intervals of 95 % "
        "from resamples.",
    )


def _correlations(rows: Sequence[Plain], seed: int) -> list[tuple[str, str, StatisticInterval]]:
    """Of each measure with the gain: over all contexts, over those of text, and within each."""
    groups = {
        "all contexts": CONTEXTS,
        "texts alone": CONTEXTS[:-1],
        **{f"{one} alone": (one,) for one in CONTEXTS},
    }
    return [
        (measure, group, correlation(rows, measure, contexts, seed))
        for measure in _MEASURES
        for group, contexts in groups.items()
    ]


def correlation(
    rows: Sequence[Plain], measure: str, contexts: Sequence[str], seed: int = 0
) -> StatisticInterval:
    """Spearman's rank correlation of a measure with the gain; questions are drawn anew, with all their contexts."""
    questions: dict[int, list[tuple[float, float]]] = {}
    for row in rows:
        if row["context"] in contexts and row[measure] is not None and row["gain"] is not None:
            questions.setdefault(row["number"], []).append((row[measure], row["gain"]))

    def over(drawn: Sequence[Sequence[tuple[float, float]]]) -> float | None:
        pairs = [pair for question in drawn for pair in question]
        return spearman([x for x, _ in pairs], [y for _, y in pairs])

    return bootstrap([*questions.values()], over, seed)


def _correlation_table(name: str, correlations: Sequence[tuple[str, str, StatisticInterval]]) -> SummaryTable:
    return SummaryTable(
        title=f"{name}: rank correlation with the gain in log p(answer)",
        columns=("measure", "over", "rho", "low", "high"),
        rows=tuple((_MEASURES[measure], group, *found) for measure, group, found in correlations),
        note="Spearman's ρ; 95 % intervals from resamples of questions. A measure of quality has ρ > 0 "
        "within a kind too.",
    )


def wins(rows: Sequence[Plain], measure: str, over: str, seed: int = 0) -> StatisticInterval:
    """The share of questions whose relevant context has more of ``measure`` than the one of kind ``over``."""
    values = {(row["number"], row["context"]): row[measure] for row in rows}
    pairs = [
        float(mine > values[number, over])
        for (number, context), mine in values.items()
        if context == "relevant" and values.get((number, over)) is not None
    ]
    return bootstrap(pairs, statistics.fmean, seed)


def _sentences(
    name: str,
    rows: Sequence[Plain],
    correlations: Sequence[tuple[str, str, StatisticInterval]],
    seed: int,
) -> list[str]:
    found = {(measure, group): one for measure, group, one in correlations}
    beats = ", ".join(
        f"{over} in {said(wins(rows, 'size', over, seed), '.2f')} of questions" for over in CONTEXTS[1:]
    )
    focus = ", ".join(f"{over} in {said(wins(rows, 'focus', over, seed), '.2f')}" for over in CONTEXTS[1:])
    within = found["size", "relevant alone"]
    return [
        f"{name}: size and gain correlate with ρ = {said(found['size', 'all contexts'], '.2f')} over all contexts, "
        f"{said(found['size', 'texts alone'], '.2f')} over texts, {said(within, '.2f')} among relevant ones.",
        f"{name}: the relevant context has the larger update than the {beats}.",
        f"{name}: it has more focus than the {focus}.",
    ]


def _layers(name: str, rows: Sequence[Plain]) -> SummaryTable:
    """Where size tells relevant from tangential contexts best."""
    n_layers = len(rows[0]["layer_sizes"])
    values = {(row["number"], row["context"]): row for row in rows}
    lines: list[tuple[Cell, ...]] = []
    for layer in range(n_layers):
        cells: list[Cell] = [layer]
        for field in ("layer_sizes", "layer_focus"):
            for over in CONTEXTS[1:]:
                pairs = [
                    row[field][layer] > values[number, over][field][layer]
                    for (number, context), row in values.items()
                    if context == "relevant" and (number, over) in values
                ]
                cells.append(sum(pairs) / len(pairs) if pairs else None)
        lines.append(tuple(cells))
    shown = lines if n_layers <= 8 else lines[:: -(-n_layers // 8)]
    return SummaryTable(
        title=f"{name}: share of questions whose relevant context is above the other, by layer"
        + ("" if len(shown) == n_layers else f" ({len(shown)} of {n_layers})"),
        columns=(
            "layer",
            *(f"size > {one}" for one in CONTEXTS[1:]),
            *(f"focus > {one}" for one in CONTEXTS[1:]),
        ),
        rows=tuple(shown),
        note="0.5: the measure tells nothing. Layers are numbered among those that can be measured.",
    )


def _figure(name: str, number: int, rows: Sequence[Plain]) -> SummaryFigure:
    return SummaryFigure(
        name=f"size-gain-{number}",
        title=f"Size of the update and gain, {name}",
        kind="scatter",
        x_label="‖δ‖/‖v‖, mean over layers",
        y_label="gain in log p(answer), nats",
        series=tuple(
            FigureSeries(
                label=context,
                x=tuple(row["size"] for row in _of(rows, context)),
                y=tuple(row["gain"] for row in _of(rows, context)),
            )
            for context in CONTEXTS
        ),
    )


def _of(rows: Sequence[Plain], context: str) -> list[Plain]:
    return [row for row in rows if row["context"] == context]


def _known(rows: Sequence[Plain], measure: str) -> list[float]:
    return [row[measure] for row in rows if row[measure] is not None]
