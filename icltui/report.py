"""Records as text: JSON and CSV for scripts, tables and paragraphs for people at a terminal or a pipe.

The keys of the JSON are a promise to scripts. In everything else no text of a token is passed on as it is.
"""

import csv
import io
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from icltui.errors import EngineError
from icltui.plaintext import number, numbers, render, table, token_text, visible, words
from icltui.pretty import pretty
from icltui.record import (
    LANES,
    Agreement,
    Generation,
    Lane,
    LogitError,
    Measurement,
    ModelInfo,
    Prediction,
    Row,
    Verification,
)

LANE_NAMES: dict[Lane, str] = {"context": "With context", "plain": "Query only", "patched": "Query + ΔW"}

_UNIT_COLUMNS = {
    "‖δ‖": "delta_norm",
    "‖z‖": "z_norm",
    "h": "learning_rate",
    "‖ΔW‖": "patch_norm",
    "‖ΔW‖/‖W‖": "relative_patch_norm",
    "sum": "cumulative_patch_norm",
    "net": "net_patch_norm",
    "cosine": "cosine_previous",
}
_LAYER_COLUMNS = {
    "‖z‖": "z_norm",
    "h": "learning_rate",
    "sum of ‖ΔW‖": "cumulative_patch_norm",
    "net ‖ΔW‖": "net_patch_norm",
}


def measure_json(model: ModelInfo, measurement: Measurement) -> str:
    """Every number of a measurement; each token with its id and text."""
    tokens = measurement.tokens
    return _json(
        {
            "model": model,
            "path": measurement.path,
            "layers": measurement.layers,
            "prefix_tokens": tokens.prefix,
            "context_tokens": tokens.context,
            "query_tokens": tokens.query,
            "notes": tokens.notes,
            "units": tokens.units,
            "rows": measurement.rows,
            "predictions": [_flat_prediction(prediction) for prediction in measurement.predictions],
            "seconds": measurement.seconds,
        }
    )


def measure_csv(measurement: Measurement) -> str:
    """One line for each unit and layer; the unit's text and prediction stand in each of its lines."""
    predictions = {prediction.unit: prediction for prediction in measurement.predictions}
    fields, texts = Row.__struct_fields__, _unit_texts(measurement)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([*fields, "text", "token", "probability", "entropy", "kl_to_full"])
    for row in measurement.rows:
        values = [getattr(row, field) for field in fields]
        writer.writerow([*values, texts[row.unit], *_prediction_cells(predictions.get(row.unit))])
    return lines.getvalue()


def measure_table(measurement: Measurement, width: int = 110) -> str:
    """Every unit at the last measured layer, and every layer behind the last unit."""
    parts: list[RenderableType] = [f"note: {visible(note)}" for note in measurement.tokens.notes]
    if measurement.layers:
        parts += [f"Each unit at layer {measurement.layers[-1]}", _unit_table(measurement)]
        parts += ["Each layer behind the whole context", _layer_table(measurement)]
    parts += ["What follows the query behind each unit", _prediction_table(measurement)]
    parts.append(
        f"{measurement.path} pass in {measurement.seconds:.2f} s; every number: --format json or csv"
    )
    return render(parts, width)


def verify_json(verification: Verification) -> str:
    """The proof, its controls, and what it was held against."""
    return _json(verification)


def verify_table(verification: Verification, width: int = 110) -> str:
    """The proof for people; its last line is the verdict."""
    layers = table(
        numbers("layer", "identity error", "block error", "cosine", "NMSE"),
        (
            (str(c.layer), *map(number, (c.identity_error, c.block_error, c.cosine, c.nmse)))
            for c in verification.layers
        ),
    )
    controls = [(f"control: {name}", error) for name, error in verification.controls.items()]
    limits = (
        f"noise floor {number(verification.noise_floor)}   tolerance {number(verification.tolerance)}   "
        f"removed without a trace: {_yes(verification.undone)}"
    )
    return render(
        (
            "Each layer, relative to the run with the context",
            layers,
            "Logits behind the query, against those with the context",
            _logit_table([*verification.logits.items(), *controls]),
            limits,
            f"note: {visible(verification.note)}",
            "ok" if verification.ok else "FAILED",
        ),
        width,
    )


def generate_json(generation: Generation) -> str:
    """The lanes' texts and token ids, and how they compare."""
    lanes = {
        name: {"text": lane.text, "token_ids": lane.token_ids} for name, lane in generation.lanes.items()
    }
    return _json(
        {
            "lanes": lanes,
            "agreement": generation.agreement,
            "mode": generation.mode,
            "components": generation.components,
            "layers": generation.layers,
            "fit": generation.fit,
        }
    )


def generate_text(generation: Generation, width: int = 110) -> str:
    """The lanes one below the other, each with its agreement, and how well the patch fits."""
    parts: list[RenderableType] = []
    for name in (name for name in LANES if name in generation.lanes):
        text = "\n".join(map(visible, generation.lanes[name].text.split("\n")))
        title = LANE_NAMES[name] + _agreement_words(generation.agreement.get(name))
        parts.append(Group(Text(title), Padding(Text(text), (0, 0, 0, 2))))
    if generation.fit:
        parts += [
            "Logits behind the query, against those with the context",
            _logit_table(generation.fit.items()),
        ]
    layers = ", ".join(map(str, generation.layers)) or "none"
    parts.append(f"mode {generation.mode}   components {generation.components}   layers {layers}")
    return render(parts, width)


def _json(value: object) -> str:
    try:
        return pretty(value) + "\n"
    except ValueError as error:
        raise EngineError("the model gave a number that is not finite: try --dtype float32") from error


def _flat_prediction(prediction: Prediction) -> dict[str, object]:
    best = prediction.top[0]
    return {
        "unit": prediction.unit,
        "token": best.token.text,
        "probability": best.probability,
        "entropy": prediction.entropy,
        "kl_to_full": prediction.kl_to_full,
        "top": prediction.top,
    }


def _prediction_cells(prediction: Prediction | None) -> tuple[object, ...]:
    if prediction is None:
        return (None,) * 4
    best = prediction.top[0]
    return (token_text(best.token.text), best.probability, prediction.entropy, prediction.kl_to_full)


def _unit_table(measurement: Measurement) -> Table:
    texts, layer = _unit_texts(measurement), measurement.layers[-1]
    return table(
        [*numbers("#"), words("unit"), *numbers(*_UNIT_COLUMNS)],
        (
            (str(row.unit), texts[row.unit], *_cells(row, _UNIT_COLUMNS))
            for row in measurement.rows
            if row.layer == layer
        ),
    )


def _layer_table(measurement: Measurement) -> Table:
    last = max((row.unit for row in measurement.rows), default=0)
    return table(
        [*numbers("layer", *_LAYER_COLUMNS, "largest ‖δ‖"), words("at unit")],
        (
            (str(row.layer), *_cells(row, _LAYER_COLUMNS), *_largest(measurement, row.layer))
            for row in measurement.rows
            if row.unit == last
        ),
    )


def _cells(row: Row, columns: dict[str, str]) -> list[str]:
    return [number(getattr(row, field)) for field in columns.values()]


def _largest(measurement: Measurement, layer: int) -> tuple[str, str]:
    moved = [row for row in measurement.rows if row.layer == layer and row.delta_norm is not None]
    if not moved:
        return (number(None), "")
    row = max(moved, key=lambda row: row.delta_norm or 0.0)
    return (number(row.delta_norm), f"{row.unit} {_unit_texts(measurement)[row.unit]}")


def _prediction_table(measurement: Measurement) -> Table:
    texts = _unit_texts(measurement)
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


def _logit_table(errors: Iterable[tuple[str, LogitError]]) -> Table:
    return table(
        [words("lane"), *numbers("MSE", "KL", "L∞", "same top token")],
        (
            (visible(name), *map(number, (error.mse, error.kl, error.linf)), _yes(error.top1_equal))
            for name, error in errors
        ),
    )


def _agreement_words(agreement: Agreement | None) -> str:
    if agreement is None:
        return ""
    equal = f" · {agreement.equal} of {agreement.total} tokens as with the context"
    if agreement.first_difference is None:
        return equal
    return f"{equal}, first different: token {agreement.first_difference + 1}"


def _unit_texts(measurement: Measurement) -> list[str]:
    return ["(no context)", *(token_text(unit.text) for unit in measurement.tokens.units)]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
