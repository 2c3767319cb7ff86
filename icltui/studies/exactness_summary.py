"""What the rows of the exactness study add up to, on plain numbers.

Enters: rows as dictionaries. Leaves: what each model's add up to: the criteria layer by layer, the logits
of the whole model beside their controls, and the errors by layer as a figure.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from icltui.studies.study import ModelFindings, findings_by_model
from icltui.values.results import Cell, FigureSeries, SummaryFigure, SummaryTable

LEAST_COSINE, MOST_NMSE = 0.99, 1e-3
Rows = Sequence[Mapping[str, Any]]
_RUNS = (
    ("no patch", "plain"),
    ("ΔW alone", "weights"),
    ("Δb alone", "shift"),
    ("ΔW and Δb", "patched"),
    ("random patch of equal norms", "random"),
    ("patch of the shuffled context", "shuffled"),
)


def summarise_exactness(rows: Rows) -> ModelFindings:
    """Sentences, tables and the figure of each model."""
    return findings_by_model(rows, _of_one_model)


def _of_one_model(rows: Rows) -> ModelFindings:
    whole = [row for row in rows if row["layer"] is None]
    layers = [row for row in rows if row["layer"] is not None]
    if not whole or not layers:
        return ModelFindings()
    tables = (_criteria_table(layers), _error_table(layers), _logit_table(whole))
    return ModelFindings(_answer(whole, layers), tables, [_errors_by_layer(layers)])


def meets(row: Mapping[str, Any]) -> bool:
    """Whether the layer meets all three criteria; rank 0 is that of a context that changes nothing there."""
    return has_cosine(row) and has_nmse(row) and has_rank(row)


def meets_unpatched(row: Mapping[str, Any]) -> bool:
    """Whether the block's output is near enough without any patch: nMSE is the square of the relative error."""
    effect = row["block_effect"]
    return effect is not None and effect**2 < MOST_NMSE


def has_cosine(row: Mapping[str, Any]) -> bool:
    """Whether the cosine is above 0.99."""
    return row["cosine"] is not None and row["cosine"] > LEAST_COSINE


def has_nmse(row: Mapping[str, Any]) -> bool:
    """Whether the normalised squared error is below 0.001."""
    return row["nmse"] is not None and row["nmse"] < MOST_NMSE


def has_rank(row: Mapping[str, Any]) -> bool:
    """Whether ΔW has rank 1, or is zero."""
    return row["rank"] is not None and row["rank"] <= 1


def _answer(whole: Rows, layers: Rows) -> tuple[str, ...]:
    weak = sum(map(meets_unpatched, layers))
    errors = [row["block_error"] for row in layers if row["block_error"] is not None]
    floors = [row["block_floor"] for row in layers if row["block_floor"] is not None]
    effects = [row["block_effect"] for row in layers if row["block_effect"] is not None]
    sentences = [
        f"{sum(map(meets, layers))} of {len(layers)} pairs of layer and prompt meet all three criteria: cosine > "
        f"{LEAST_COSINE}, normalised MSE < {MOST_NMSE}, rank 1; on {sum(bool(row['ok']) for row in whole)} of "
        f"{len(whole)} prompts *verify* finds every error explained by rounding.",
        f"the criteria are weak: {weak} of the {len(layers)} pairs have a normalised MSE < {MOST_NMSE} without any "
        "patch."
        if weak
        else f"none of the {len(layers)} pairs has a normalised MSE < {MOST_NMSE} without a patch.",
    ]
    if errors and floors and effects:
        sentences.append(
            f"the block's output misses by {statistics.median(errors):.1e} of its norm in the median and by "
            f"{max(errors):.1e} at most; rounding makes {statistics.median(floors):.1e} and {max(floors):.1e} of "
            f"right runs, and the context moves it by {statistics.median(effects):.1e}."
        )
    linf = {name: _median(whole, f"{name}_linf") for _, name in _RUNS}
    if None not in linf.values():
        sentences.append(
            f"the next token's logits miss by {linf['patched']:.1e} with the patch, by {linf['plain']:.3g} without, by "
            f"{linf['random']:.3g} with a random one and by {linf['shuffled']:.3g} with the shuffled context's (median "
            "L∞)."
        )
    return tuple(sentences)


def _criteria_table(layers: Rows) -> SummaryTable:
    lines: list[tuple[Cell, ...]] = []
    for number, some in _by_layer(layers):
        counts = (sum(map(test, some)) for test in (has_cosine, has_nmse, has_rank, meets_unpatched))
        lines.append((number, len(some), *counts))
    return SummaryTable(
        title="Prompts that meet the criteria",
        columns=("layer", "prompts", "cosine > .99", "nMSE < .001", "rank 1", "nMSE, no patch"),
        rows=tuple(lines),
        note="nMSE: mean squared error over mean square of the block's output; no patch: those that are below .001 "
        "without one.",
    )


def _error_table(layers: Rows) -> SummaryTable:
    lines: list[tuple[Cell, ...]] = []
    for number, some in _by_layer(layers):
        most = (_most(some, name) for name in ("nmse", "identity_error", "block_error", "block_floor"))
        lines.append((number, _least(some, "cosine"), *most, _least(some, "block_effect")))
    return SummaryTable(
        title="Errors",
        columns=("layer", "cosine", "nMSE", "identity", "block", "floor", "effect"),
        rows=tuple(lines),
        note="The worst of all prompts, relative to the contextual value. Identity: (W + ΔW) z against W z_C; block: "
        "the block's output; floor: what right runs through other kernels make of it; effect: the least that a "
        "context does.",
    )


def _by_layer(layers: Rows) -> list[tuple[int, Rows]]:
    numbers = sorted({row["layer"] for row in layers})
    return [(number, [row for row in layers if row["layer"] == number]) for number in numbers]


def _logit_table(whole: Rows) -> SummaryTable:
    lines: list[tuple[Cell, ...]] = []
    for title, name in _RUNS:
        kl = f"{name}_kl"
        lines.append(
            (
                title,
                _median(whole, f"{name}_linf"),
                _most(whole, f"{name}_linf"),
                _median(whole, kl) if kl in whole[0] else None,
            )
        )
    lines.append(
        ("right runs, other kernels", _median(whole, "noise_floor"), _most(whole, "noise_floor"), None)
    )
    return SummaryTable(
        title="Logits of the next token, against those with the context",
        columns=("run", "median L∞", "largest L∞", "median KL"),
        rows=tuple(lines),
        note="KL in nats. All layers are patched.",
    )


def _errors_by_layer(layers: Rows) -> SummaryFigure:
    groups, series = _by_layer(layers), []
    for label, name in (
        ("error", "block_error"),
        ("noise floor", "block_floor"),
        ("no patch", "block_effect"),
    ):
        y = tuple(_positive(_median(some, name)) for _, some in groups)
        series.append(FigureSeries(label=label, x=tuple(float(number) for number, _ in groups), y=y))
    return SummaryFigure(
        name="block-error",
        title="Relative error of the block's output",
        kind="lines",
        x_label="layer",
        y_label="median over prompts",
        series=tuple(series),
        log_y=True,
    )


def _values(rows: Rows, name: str) -> list[float]:
    return [row[name] for row in rows if row[name] is not None]


def _median(rows: Rows, name: str) -> float | None:
    values = _values(rows, name)
    return statistics.median(values) if values else None


def _most(rows: Rows, name: str) -> float | None:
    return max(_values(rows, name), default=None)


def _least(rows: Rows, name: str) -> float | None:
    return min(_values(rows, name), default=None)


def _positive(value: float | None) -> float | None:
    """The value for a logarithmic axis, which has no 0."""
    return value or None
