"""A proof as text: JSON for scripts; for people each layer's errors, the logits, and the verdict last."""

from collections.abc import Iterable

import msgspec
from rich.console import RenderableType
from rich.table import Table

from icltui.report.json_document import as_json, provenance
from icltui.report.measures import LAYER_CHECKS
from icltui.report.model_notes import model_lines
from icltui.text.escape import visible
from icltui.text.tables import number, numbers, numbers_table, render, table, words, yes
from icltui.values import LogitError, ModelInfo, Verification
from icltui.values.prompt import Prompt


def verify_json(model: ModelInfo, prompt: Prompt, verification: Verification) -> str:
    """The proof, its controls, what it was held against, and how it was made."""
    return as_json({**provenance(model, prompt), **msgspec.structs.asdict(verification)})


def verify_table(model: ModelInfo, verification: Verification, width: int = 110) -> str:
    """The proof for people; its last line is the verdict."""
    return render(verify_parts(model, verification), width)


def verify_parts(model: ModelInfo, verification: Verification) -> tuple[RenderableType, ...]:
    """The proof as sentences and tables, each table after its title."""
    titles = {field: check.header or check.symbol for field, check in LAYER_CHECKS.items()}
    caveat = verification.caveat
    controls = [(f"control: {name}", error) for name, error in verification.controls.items()]
    return (
        *model_lines(model),
        "Each layer, relative to the run with the context",
        numbers_table(verification.layers, {"layer": "layer", **titles}),
        "Logits after the query, against those with the context",
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


def logit_table(errors: Iterable[tuple[str, LogitError]]) -> Table:
    """A line for each set of logits that was held against the contextual ones."""
    return table(
        [words("lane"), *numbers("MSE", "KL", "L∞", "same top token")],
        (
            (visible(name), *map(number, (error.mse, error.kl, error.linf)), yes(error.top1_equal))
            for name, error in errors
        ),
    )
