"""A measurement as tables for people: every unit, every layer, what follows, and how units compare.

Enters: the model's facts, the prompt, the measurement. Leaves: plain text. Every number is in the JSON too.
"""

import heapq
from collections.abc import Iterable

from rich.console import RenderableType
from rich.table import Column, Table

from icltui.report.kept_prefix import SINK, is_ruled, kept_lines, ruled_unit
from icltui.report.measure_json_csv import delta_noise, path_reason, unit_texts
from icltui.report.measures import MEASURES, NEXT_TOKEN, NOISE, PREDICTIONS
from icltui.report.model_notes import model_lines
from icltui.text.escape import token_text, visible
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import Dynamics, Measurement, ModelInfo, Pairs, Prediction, Row
from icltui.values.prompt import Prompt

_WORDS: dict[Dynamics, tuple[str, str, str, str]] = {
    "grow": (
        "Each unit at layer {layer}",
        "Each layer after the whole context",
        "with the last unit",
        "What follows the query after each unit",
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
_TABLES: dict[str, tuple[str, ...]] = {
    "units": (
        "delta_norm",
        "learning_rate",
        "patch_norm",
        "relative_patch_norm",
        "net_patch_norm",
        "cosine_previous",
    ),
    "layers": ("z_norm", "learning_rate", "cumulative_patch_norm", "net_patch_norm"),
    "step": ("output_patch_norm", "amplification", "implicit_loss", "half_step_square"),
    "ranking": ("delta_norm", "learning_rate", "patch_norm", "relative_patch_norm"),
}
"""The measures that each table of a report has room for."""
_DELTA = MEASURES["delta_norm"].symbol
_NET = MEASURES["net_patch_norm"].symbol
_PLACES = ("1st", "2nd", "3rd")


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
    """The measurement as sentences and tables, each table after its title."""
    units, layers, step, predictions = _WORDS[measurement.dynamics]
    parts: list[RenderableType] = [*_settings(model, prompt, measurement)]
    parts += [f"note: {visible(note)}" for note in measurement.tokens.notes]
    if measurement.layers:
        ruled = _ruled(model, measurement)
        parts += [units.format(layer=measurement.layers[-1]), _unit_table(measurement, ruled)]
        parts += [layers, _layer_table(measurement, ruled)]
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
    lines += kept_lines(model, measurement.tokens.ids, measurement.tokens.prefix)
    if _ruled(model, measurement) is not None:
        lines.append(f"{SINK} marks {_DELTA} from the sink or to it; {_NET}s hold it from there on")
    if any(row.delta_noise is not None for row in measurement.rows):
        n_noise = sum(row.is_noise for row in measurement.rows)
        n_moved = sum(row.delta_norm is not None for row in measurement.rows)
        lines.append(
            f"{NOISE} marks {_DELTA} within what rounding to {visible(model.dtype)} comes to alone: {n_noise} of "
            f"{n_moved} rows; --precision float32 computes in float32 with the same weights"
        )
    return lines


def _ruled(model: ModelInfo, measurement: Measurement) -> int | None:
    """The unit whose numbers are about an attention sink."""
    tokens = measurement.tokens
    if measurement.reference == "local" or not is_ruled(model.sink, tokens.ids):
        return None
    return ruled_unit(measurement.dynamics, len(tokens.units))


def _unit_table(measurement: Measurement, ruled: int | None) -> Table:
    texts, layer = unit_texts(measurement), measurement.layers[-1]
    is_drop, shown = measurement.dynamics == "drop", table_titles("units", measurement.dynamics)
    most = heapq.nlargest(len(_PLACES), moved(measurement, layer), key=by_delta)
    places = {row.unit: place for row, place in zip(most, _PLACES, strict=False)} if is_drop else {}
    return table(
        [
            *numbers("#"),
            words("unit"),
            *numbers(*shown.values()),
            *(numbers("moves most") if is_drop else ()),
        ],
        (
            (
                str(row.unit),
                texts[row.unit],
                *_cells(row, shown, ruled),
                *([places.get(row.unit, "")] if is_drop else ()),
            )
            for row in measurement.rows
            if row.layer == layer
        ),
    )


def _layer_table(measurement: Measurement, ruled: int | None) -> Table:
    shown = table_titles("layers", measurement.dynamics)
    noise = delta_noise(measurement)
    is_rounded = any(value is not None for value in noise.values())
    last = max((row.unit for row in measurement.rows), default=0) if measurement.dynamics != "drop" else 0
    return table(
        [
            *numbers("layer", *shown.values()),
            *(numbers(f"noise of {_DELTA}") if is_rounded else ()),
            *numbers(f"largest {_DELTA}"),
            words("at unit"),
        ],
        (
            (
                str(row.layer),
                *_cells(row, shown),
                *([number(noise[row.layer])] if is_rounded else ()),
                *_largest(measurement, row.layer, ruled),
            )
            for row in measurement.rows
            if row.unit == last
        ),
    )


def _step_table(measurement: Measurement) -> Table:
    shown = table_titles("step", measurement.dynamics)
    return table(
        [*numbers("layer", *shown.values()), words(f"{MEASURES['patch_norm'].symbol} of each matrix")],
        (
            (str(row.layer), *_cells(row, shown), _matrices(row))
            for row in (_step(measurement, layer) for layer in measurement.layers)
            if row is not None
        ),
    )


def _step(measurement: Measurement, layer: int) -> Row | None:
    """The step that represents its layer: the last; of units left out one at a time, the one that moved most."""
    rows = moved(measurement, layer)
    if measurement.dynamics == "drop":
        return max(rows, key=by_delta, default=None)
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
        [*numbers("#"), words("unit"), *prediction_columns(*PREDICTIONS)],
        ((str(p.unit), texts[p.unit], *prediction_texts(p, *PREDICTIONS)) for p in measurement.predictions),
    )


def table_titles(table: str, dynamics: Dynamics) -> dict[str, str]:
    """The measures of a table that are defined under ``dynamics``: their fields and titles."""
    specs = (MEASURES[field] for field in _TABLES[table])
    return {
        spec.field: (table == "units" and spec.short) or spec.header or spec.symbol
        for spec in specs
        if spec.is_defined(dynamics)
    }


def prediction_columns(*names: str) -> list[Column]:
    """The most probable next token, and the numbers of :data:`~icltui.report.measures.PREDICTIONS` of those names."""
    return [words(NEXT_TOKEN), *numbers(*(PREDICTIONS[n].header or PREDICTIONS[n].symbol for n in names))]


def prediction_texts(prediction: Prediction | None, *names: str) -> list[str]:
    """The cells of these columns; without a prediction no token, and dots."""
    if prediction is None:
        return ["", *(number(None) for _ in names)]
    token = token_text(prediction.top[0].token.text)
    return [token, *(number(PREDICTIONS[name].value(prediction)) for name in names)]


def _cells(row: Row, fields: Iterable[str], ruled: int | None = None) -> list[str]:
    return [_delta(row, ruled) if field == "delta_norm" else number(getattr(row, field)) for field in fields]


def _delta(row: Row, ruled: int | None) -> str:
    return (SINK if row.unit == ruled else NOISE if row.is_noise else "") + number(row.delta_norm)


def _matrices(row: Row) -> str:
    return "  ".join(f"{visible(name)} {number(norm)}" for name, norm in row.matrix_norms.items())


def moved(measurement: Measurement, layer: int) -> list[Row]:
    """The rows of a layer that have a ‖δ‖."""
    return [row for row in measurement.rows if row.layer == layer and row.delta_norm is not None]


def by_delta(row: Row) -> float:
    """‖δ‖ as a key to sort by."""
    return row.delta_norm or 0.0


def _largest(measurement: Measurement, layer: int, ruled: int | None) -> tuple[str, str]:
    row = max(moved(measurement, layer), key=by_delta, default=None)
    if row is None:
        return (number(None), "")
    return (_delta(row, ruled), f"{row.unit} {unit_texts(measurement)[row.unit]}")
