"""A measurement as JSON and CSV for scripts, and what tables and figures need to know of it.

The keys of the JSON and the columns of the CSV are a promise to scripts. In the CSV no text of a token is passed on as
it is.
"""

from collections.abc import Sequence
from statistics import median

from icltui.report.json_document import as_json, provenance
from icltui.report.kept_prefix import kept_json
from icltui.report.measures import DELTA_NOISE, INDEX, MEASURES, PREDICTIONS, prediction_cells
from icltui.text.escape import token_text, visible
from icltui.text.spreadsheet import Cell, write_csv
from icltui.values import Measurement, ModelInfo, Prediction, Row
from icltui.values.prompt import Prompt


def measure_json(model: ModelInfo, prompt: Prompt, measurement: Measurement) -> str:
    """Every number of a measurement, and how it was made; each token with its id and text."""
    tokens = measurement.tokens
    return as_json(
        {
            **provenance(model, prompt),
            **kept_json(model, tokens.prefix),
            "path": measurement.path,
            "path_reason": path_reason(model, measurement),
            "dynamics": measurement.dynamics,
            "reference": measurement.reference,
            "precision": measurement.precision,
            "noise": [
                {"layer": layer, "delta_norm": noise} for layer, noise in delta_noise(measurement).items()
            ],
            "layers": measurement.layers,
            "prefix_tokens": tokens.prefix,
            "context_tokens": tokens.context,
            "query_tokens": tokens.query,
            "notes": tokens.notes,
            "units": tokens.units,
            "rows": measurement.rows,
            "predictions": list(map(_flat, measurement.predictions)),
            "pairs": measurement.pairs,
            "seconds": measurement.seconds,
        }
    )


def measure_csv(measurement: Measurement) -> str:
    """One line for each unit and layer, ``norm_…`` its matrices; each line holds the unit's text and prediction too.

    :func:`icltui.text.spreadsheet.read_csv` reads it.
    """
    predictions = {prediction.unit: prediction for prediction in measurement.predictions}
    fields = _row_fields()
    matrices = list(dict.fromkeys(name for row in measurement.rows for name in row.matrix_norms))
    texts = unit_texts(measurement)
    norms = [f"norm_{visible(name)}" for name in matrices]
    lines: list[Sequence[Cell]] = [[*fields, *norms, "text", "token", *PREDICTIONS]]
    for row in measurement.rows:
        values = [*(getattr(row, field) for field in fields), *map(row.matrix_norms.get, matrices)]
        lines.append([*values, texts[row.unit], *prediction_cells(predictions.get(row.unit))])
    return write_csv(lines)


def _flat(prediction: Prediction) -> dict[str, object]:
    values = {name: spec.value(prediction) for name, spec in PREDICTIONS.items()}
    return {"unit": prediction.unit, "token": prediction.top[0].token.text, **values, "top": prediction.top}


def _row_fields() -> list[str]:
    """Every field of a row that is one number, in the order in which a file has them."""
    order = Row.__struct_fields__
    known = (*INDEX, *MEASURES, DELTA_NOISE)
    return sorted(known, key=lambda field: order.index(field) if field in order else len(order))


def path_reason(model: ModelInfo, measurement: Measurement) -> str:
    """Why the units were measured one by one; empty where they were packed."""
    if measurement.path == "packed":
        return ""
    return model.path_reason or "what is left of the context is a different text each time"


def delta_noise(measurement: Measurement) -> dict[int, float | None]:
    """What ‖δ‖ comes to by rounding alone at each layer, the median over its rows; None in float32."""
    noises: dict[int, list[float]] = {layer: [] for layer in measurement.layers}
    for row in measurement.rows:
        if row.delta_noise is not None:
            noises[row.layer].append(row.delta_noise)
    return {layer: median(found) if found else None for layer, found in noises.items()}


def unit_texts(measurement: Measurement) -> list[str]:
    """The text of each unit, made safe; at unit 0 what the dynamics starts from."""
    start = "(no context)" if measurement.dynamics == "grow" else "(whole context)"
    return [start, *(token_text(unit.text) for unit in measurement.tokens.units)]
