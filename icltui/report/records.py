"""Records as text: JSON and CSV for scripts, tables and paragraphs for people at a terminal or a pipe.

The keys of the JSON are a promise to scripts. In everything else no text of a token is passed on as it is.
"""

from collections.abc import Iterable, Sequence

import msgspec
from rich.console import RenderableType
from rich.table import Table

from icltui.report.measure import delta_noise, model_lines, path_reason, unit_texts
from icltui.text.escape import token_text, visible
from icltui.text.json import pretty
from icltui.text.spreadsheet import Cell, write_csv
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import (
    LogitError,
    Measurement,
    ModelInfo,
    Prediction,
    Row,
    Verification,
    ZooRow,
)
from icltui.values.errors import EngineError
from icltui.values.prompt import Prompt


def measure_json(model: ModelInfo, prompt: Prompt, measurement: Measurement) -> str:
    """Every number of a measurement, and how it was made; each token with its id and text."""
    tokens = measurement.tokens
    return as_json(
        {
            **origin(model, prompt),
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
            "predictions": [_flat_prediction(prediction) for prediction in measurement.predictions],
            "pairs": measurement.pairs,
            "seconds": measurement.seconds,
        }
    )


def measure_csv(measurement: Measurement) -> str:
    """One line for each unit and layer, ``norm_…`` its matrices; the unit's text and prediction stand in each line.

    :func:`.read_csv` reads it.
    """
    predictions = {prediction.unit: prediction for prediction in measurement.predictions}
    fields = [field for field in Row.__struct_fields__ if field != "matrix_norms"]
    matrices = list(dict.fromkeys(name for row in measurement.rows for name in row.matrix_norms))
    texts = unit_texts(measurement)
    norms = [f"norm_{visible(name)}" for name in matrices]
    lines: list[Sequence[Cell]] = [[*fields, *norms, "text", "token", "probability", "entropy", "kl_to_full"]]
    for row in measurement.rows:
        values = [*(getattr(row, field) for field in fields), *map(row.matrix_norms.get, matrices)]
        lines.append([*values, texts[row.unit], *_prediction_cells(predictions.get(row.unit))])
    return write_csv(lines)


def verify_json(model: ModelInfo, prompt: Prompt, verification: Verification) -> str:
    """The proof, its controls, what it was held against, and how it was made."""
    return as_json({**origin(model, prompt), **msgspec.structs.asdict(verification)})


def verify_table(model: ModelInfo, verification: Verification, width: int = 110) -> str:
    """The proof for people; its last line is the verdict."""
    return render(verify_parts(model, verification), width)


def verify_parts(model: ModelInfo, verification: Verification) -> tuple[RenderableType, ...]:
    """The same as sentences and tables, each table behind its title."""
    layers = table(
        numbers("layer", "MLP error", "identity", "block", "cosine", "NMSE", "rank", "gradient alignment"),
        (
            (
                str(c.layer),
                *map(number, (c.mlp_error, c.identity_error, c.block_error, c.cosine, c.nmse, c.rank)),
                number(c.gradient_alignment),
            )
            for c in verification.layers
        ),
    )
    caveat = verification.caveat
    controls = [(f"control: {name}", error) for name, error in verification.controls.items()]
    return (
        *model_lines(model),
        "Each layer, relative to the run with the context",
        layers,
        "Logits behind the query, against those with the context",
        logit_table([*verification.logits.items(), *controls]),
        f"{limits_line(verification)}   removed without a trace: {yes(verification.undone)}",
        f"note: {visible(verification.note)}",
        f"{'ok' if verification.ok else 'FAILED'}{caveat and ': '}{visible(caveat)}",
    )


def limits_line(verification: Verification) -> str:
    """What the patched logits miss by, and what they may, as shares of one scale."""
    tolerance = number(verification.tolerance)
    if verification.logit_scale is None:
        return f"noise floor {number(verification.noise_floor)} (logits)   tolerance {tolerance} (a share)"
    return (
        f"of the largest contextual logit, {number(verification.logit_scale)}: patched "
        f"{number(verification.patched_share)}, noise floor {number(verification.noise_share)}, allowed "
        f"{number(verification.allowed)} (the tolerance, {tolerance}, or twice the noise floor)"
    )


def origin(model: ModelInfo, prompt: Prompt) -> dict[str, object]:
    """What every answer was got from."""
    return {
        "model": model,
        "refused": model.refused,
        "positions": prompt.positions,
        "chat": prompt.chat,
    }


def as_json(value: object) -> str:
    """Any record as JSON text.

    Raises:
        EngineError: a number in it is not finite.
    """
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


def _prediction_cells(prediction: Prediction | None) -> tuple[Cell, ...]:
    if prediction is None:
        return (None,) * 4
    best = prediction.top[0]
    return (token_text(best.token.text), best.probability, prediction.entropy, prediction.kl_to_full)


def logit_table(errors: Iterable[tuple[str, LogitError]]) -> Table:
    """A line for each set of logits that was held against the contextual ones."""
    return table(
        [words("lane"), *numbers("MSE", "KL", "L∞", "same top token")],
        (
            (visible(name), *map(number, (error.mse, error.kl, error.linf)), yes(error.top1_equal))
            for name, error in errors
        ),
    )


def yes(value: bool) -> str:
    """A truth in a table."""
    return "yes" if value else "no"


def zoo_json(rows: Sequence[ZooRow]) -> str:
    """Every family, with every number."""
    return as_json(rows)


def zoo_table(rows: Sequence[ZooRow], width: int = 110) -> str:
    """Every family, what is to be said of some of them, and how many are exact."""
    families = table(
        [
            words("family"),
            words("model class"),
            *numbers("exact", "ΔW", "ΔW bf16", "block", "block bf16", "logits", "undone", "said", "path"),
        ],
        (
            (
                visible(row.family),
                visible(row.model_class),
                f"{row.n_exact}/{row.n_layers}",
                *map(_error, (row.mlp_error, row.mlp_error_bfloat16, row.block_error)),
                *map(_error, (row.block_error_bfloat16, row.logit_error)),
                "" if row.undone is None else yes(row.undone),
                "·" if row.n_said is None else str(row.n_said),
                row.path or "",
            )
            for row in rows
        ),
    )
    legend = (
        "exact: layers that are, of all. ΔW: the MLP's output under ΔW alone; block: its output with the shift too, "
        "above an unpatched layer; logits: with every usable layer patched. Errors are relative, the worst of all "
        "layers; in float32 where not bf16; 0 is bit equality. said: tokens of 6 that a patch per step generates as "
        "the context does; a dot where the model keeps no cache to go on from."
    )
    return render((families, _zoo_notes(rows), legend, _zoo_summary(rows)), width)


def _error(value: float | None) -> str:
    return "·" if value is None else f"{value:.0e}" if value else "0"


def _zoo_notes(rows: Sequence[ZooRow]) -> str:
    """Each note once, behind the families that it is true of."""
    families: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            families.setdefault(note, []).append(row.family)
    return "\n".join(f"{visible(', '.join(names))}: {visible(note)}" for note, names in families.items())


def _zoo_summary(rows: Sequence[ZooRow]) -> str:
    whole = sum(0 < row.n_exact == row.n_layers for row in rows)
    refused = sum(row.n_exact == 0 for row in rows)
    return (
        f"{len(rows)} families: exact on every layer {whole}, on some {len(rows) - whole - refused}, "
        f"on none {refused}; packed {sum(row.path == 'packed' for row in rows)}"
    )
