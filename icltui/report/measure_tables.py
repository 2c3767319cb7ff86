"""A measurement as tables for people: every unit, every layer, what follows, and how units compare.

Enters: the model's facts, the prompt, the measurement. Leaves: plain text. Every number is in the JSON too.
"""

import heapq

from rich.console import RenderableType
from rich.table import Table

from icltui.report.measure_data import delta_noise, path_reason, unit_texts
from icltui.report.model import model_lines
from icltui.text.escape import token_text, visible
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import Dynamics, Measurement, ModelInfo, Pairs, Row
from icltui.values.prompt import Prompt

_UNIT_COLUMNS = {
    "‖δ‖": "delta_norm",
    "h": "learning_rate",
    "‖ΔW‖": "patch_norm",
    "‖ΔW‖/‖W‖": "relative_patch_norm",
    "net": "net_patch_norm",
    "cosine": "cosine_previous",
}
_LAYER_COLUMNS = {
    "‖z‖": "z_norm",
    "h": "learning_rate",
    "sum of ‖ΔW‖": "cumulative_patch_norm",
    "net ‖ΔW‖": "net_patch_norm",
}
_STEP_COLUMNS = {
    "‖ΔW_down‖": "output_patch_norm",
    "amplified": "amplification",
    "L": "implicit_loss",
    "Q": "half_step_square",
}
_UNDEFINED: dict[Dynamics, set[str]] = {
    "grow": set(),
    "shrink": {"implicit_loss"},
    "drop": {"implicit_loss", "net_patch_norm", "cumulative_patch_norm"},
}
"""L_i needs one reference for all steps; sums need steps one after the other."""
_WORDS: dict[Dynamics, tuple[str, str, str, str]] = {
    "grow": (
        "Each unit at layer {layer}",
        "Each layer behind the whole context",
        "with the last unit",
        "What follows the query behind each unit",
    ),
    "shrink": (
        "Each unit at layer {layer}, as the units leave from the left",
        "Each layer when every unit has left",
        "as the last unit leaves",
        "What follows the query without the units up to each",
    ),
    "drop": (
        "Each unit at layer {layer}, left out alone",
        "Each layer, and the unit that moves it most",
        "without the unit that moves it most",
        "What follows the query without each unit",
    ),
}
_PLACES = ("1st", "2nd", "3rd")
NOISE = "~"
"""In front of a ‖δ‖ that rounding alone can make."""


def measure_table(model: ModelInfo, prompt: Prompt, measurement: Measurement, width: int = 110) -> str:
    """Every unit at the last measured layer, every layer at the last unit, and the predictions."""
    return render(
        (
            *measure_parts(model, prompt, measurement),
            f"{measurement.path} pass in {measurement.seconds:.2f} s; every number: --format json or csv",
        ),
        width,
    )


def measure_parts(model: ModelInfo, prompt: Prompt, measurement: Measurement) -> list[RenderableType]:
    """The same as sentences and tables, each table behind its title."""
    units, layers, step, predictions = _WORDS[measurement.dynamics]
    parts: list[RenderableType] = [*_settings(model, prompt, measurement)]
    parts += [f"note: {visible(note)}" for note in measurement.tokens.notes]
    if measurement.layers:
        parts += [units.format(layer=measurement.layers[-1]), _unit_table(measurement)]
        parts += [layers, _layer_table(measurement)]
        if measurement.tokens.units:
            parts += [f"Each layer's step {step}", _step_table(measurement)]
    for pairs in measurement.pairs[-1:]:
        parts += [
            f"Each unit's update against the others' at layer {pairs.layer}",
            _pair_table(measurement, pairs),
        ]
    if measurement.predictions:
        parts += [predictions, _prediction_table(measurement)]
    else:
        parts.append("no predictions: the packed pass of reference local runs none of these texts whole")
    return parts


def _settings(model: ModelInfo, prompt: Prompt, measurement: Measurement) -> list[str]:
    """How it was measured, where that is not the usual way."""
    lines = model_lines(model)
    if reason := path_reason(model, measurement):
        lines.append(f"one pass for each unit (loop): {visible(reason)}")
    chat = "   chat turn" if prompt.chat else ""
    precision = f"   precision {measurement.precision}" if measurement.precision != "model" else ""
    lines.append(
        f"dynamics {measurement.dynamics}   reference {measurement.reference}   positions {prompt.positions}"
        f"{chat}{precision}"
    )
    n_noise, n_moved = (sum(map(is_it, measurement.rows)) for is_it in (_is_noise, _is_move))
    if any(row.delta_noise is not None for row in measurement.rows):
        lines.append(
            f"{NOISE} marks ‖δ‖ within what rounding to {visible(model.dtype)} comes to alone: {n_noise} of {n_moved} "
            "rows; --precision float32 computes in float32 with the same weights"
        )
    return lines


def _is_noise(row: Row) -> bool:
    return row.is_noise


def _is_move(row: Row) -> bool:
    return row.delta_norm is not None


def _unit_table(measurement: Measurement) -> Table:
    texts, layer = unit_texts(measurement), measurement.layers[-1]
    is_drop, columns = measurement.dynamics == "drop", _columns(_UNIT_COLUMNS, measurement)
    moved = heapq.nlargest(len(_PLACES), _moved(measurement, layer), key=_by_delta)
    places = {row.unit: place for row, place in zip(moved, _PLACES, strict=False)} if is_drop else {}
    return table(
        [*numbers("#"), words("unit"), *numbers(*columns), *(numbers("moves most") if is_drop else ())],
        (
            (
                str(row.unit),
                texts[row.unit],
                *_cells(row, columns),
                *([places.get(row.unit, "")] if is_drop else ()),
            )
            for row in measurement.rows
            if row.layer == layer
        ),
    )


def _layer_table(measurement: Measurement) -> Table:
    columns = _columns(_LAYER_COLUMNS, measurement)
    noise = delta_noise(measurement)
    is_rounded = any(value is not None for value in noise.values())
    last = max((row.unit for row in measurement.rows), default=0) if measurement.dynamics != "drop" else 0
    return table(
        [
            *numbers("layer", *columns),
            *(numbers("noise of ‖δ‖") if is_rounded else ()),
            *numbers("largest ‖δ‖"),
            words("at unit"),
        ],
        (
            (
                str(row.layer),
                *_cells(row, columns),
                *([number(noise[row.layer])] if is_rounded else ()),
                *_largest(measurement, row.layer),
            )
            for row in measurement.rows
            if row.unit == last
        ),
    )


def _step_table(measurement: Measurement) -> Table:
    columns = _columns(_STEP_COLUMNS, measurement)
    return table(
        [*numbers("layer", *columns), words("‖ΔW‖ of each matrix")],
        (
            (str(row.layer), *_cells(row, columns), _matrices(row))
            for row in (_step(measurement, layer) for layer in measurement.layers)
            if row is not None
        ),
    )


def _step(measurement: Measurement, layer: int) -> Row | None:
    """The step that stands for its layer: the last; of units left out one at a time, the one that moved most."""
    rows = _moved(measurement, layer)
    if measurement.dynamics == "drop":
        return max(rows, key=_by_delta, default=None)
    return max(rows, key=lambda row: row.unit, default=None)


def _pair_table(measurement: Measurement, pairs: Pairs) -> Table:
    """For each unit the other whose update is most like its own, and the one whose patch serves it best."""
    texts = unit_texts(measurement)
    units = range(len(texts) - 1)

    def best(values: tuple[float | None, ...], unit: int, sign: int) -> tuple[str, str]:
        others = [(sign * v, other) for other in units if other != unit and (v := values[other]) is not None]
        if not others:
            return (number(None), "")
        value, other = min(others)
        return (number(sign * value), f"{other + 1} {texts[other + 1]}")

    return table(
        [
            *numbers("#"),
            words("unit"),
            *numbers("cosine"),
            words("most like"),
            *numbers("left undone"),
            words("best served by"),
        ],
        (
            (
                str(unit + 1),
                texts[unit + 1],
                *best(pairs.cosine[unit], unit, -1),
                *best(pairs.transfer[unit], unit, 1),
            )
            for unit in units
        ),
    )


def _prediction_table(measurement: Measurement) -> Table:
    texts = unit_texts(measurement)
    return table(
        [*numbers("#"), words("unit"), words("next token"), *numbers("p", "entropy", "KL to full")],
        (
            (
                str(prediction.unit),
                texts[prediction.unit],
                token_text(prediction.top[0].token.text),
                *map(number, (prediction.top[0].probability, prediction.entropy, prediction.kl_to_full)),
            )
            for prediction in measurement.predictions
        ),
    )


def _columns(columns: dict[str, str], measurement: Measurement) -> dict[str, str]:
    undefined = _UNDEFINED[measurement.dynamics]
    return {title: field for title, field in columns.items() if field not in undefined}


def _cells(row: Row, columns: dict[str, str]) -> list[str]:
    return [
        _delta(row) if field == "delta_norm" else number(getattr(row, field)) for field in columns.values()
    ]


def _delta(row: Row) -> str:
    return (NOISE if row.is_noise else "") + number(row.delta_norm)


def _matrices(row: Row) -> str:
    return "  ".join(f"{visible(name)} {number(norm)}" for name, norm in row.matrix_norms.items())


def _moved(measurement: Measurement, layer: int) -> list[Row]:
    return [row for row in measurement.rows if row.layer == layer and row.delta_norm is not None]


def _by_delta(row: Row) -> float:
    return row.delta_norm or 0.0


def _largest(measurement: Measurement, layer: int) -> tuple[str, str]:
    row = max(_moved(measurement, layer), key=_by_delta, default=None)
    if row is None:
        return (number(None), "")
    return (_delta(row), f"{row.unit} {unit_texts(measurement)[row.unit]}")
