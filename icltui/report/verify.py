"""A proof as text: JSON for scripts; for people each layer's errors, the logits, and the verdict last."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from rich.console import RenderableType
from rich.table import Table

from icltui.report.json_document import as_json, provenance
from icltui.report.kept_prefix import kept_json, kept_lines
from icltui.report.measures import LAYER_CHECKS
from icltui.report.model_notes import model_lines
from icltui.text.escape import visible
from icltui.text.tables import number, numbers, numbers_table, render, table, words, yes
from icltui.values import LayerCheck, LogitError, ModelInfo, Verification
from icltui.values.prompt import Prompt

_LAYER_ERRORS = {
    "mlp": ("MLP", "MLP under ΔW alone", "the MLP's output"),
    "identity": ("identity", "ΔW z", "W z"),
    "block": ("block", "block under ΔW and shift", "the block's output"),
}
"""The errors of a layer, by their names in ``LayerCheck.limits``: in short, in words, and what each is a share of."""


def verify_json(model: ModelInfo, prompt: Prompt, verification: Verification) -> str:
    """The proof, its controls, what it was held against, and how it was made."""
    kept = kept_json(model, verification.kept_prefix)
    return as_json({**provenance(model, prompt), **msgspec.structs.asdict(verification), **kept})


def verify_table(model: ModelInfo, verification: Verification, width: int = 110) -> str:
    """The proof for people; its last line is the verdict."""
    return render(verify_parts(model, verification), width)


def verify_parts(model: ModelInfo, verification: Verification) -> tuple[RenderableType, ...]:
    """The proof as sentences and tables, each table after its title."""
    return (
        *model_lines(model),
        *kept_lines(model, verification.ids, verification.kept_prefix),
        *proof_parts(verification),
    )


def proof_parts(verification: Verification) -> tuple[RenderableType, ...]:
    """The proof without the model's lines; the last one is the verdict."""
    titles = {field: check.header or check.symbol for field, check in LAYER_CHECKS.items()}
    controls = [(f"control: {name}", error) for name, error in verification.controls.items()]
    return (
        "Each layer, relative to the run with the context",
        numbers_table(verification.layers, {"layer": "layer", **titles}),
        "Logits after the query, against those with the context",
        logit_table([*verification.logits.items(), *controls]),
        *_held_table(verification),
        logits_line(verification),
        f"note: {visible(verification.note)}",
        verdict_line(verification),
    )


def verdict_line(verification: Verification) -> str:
    """Whether it holds, and what is to be known of that."""
    caveat = verification.caveat
    return f"{'ok' if verification.ok else 'FAILED'}{caveat and ': '}{visible(caveat)}"


@dataclass(frozen=True)
class HeldError:
    """One error of a proof beside what it is held to, all as shares of one thing."""

    short: str
    what: str
    share_of: str
    layer: int | None
    """The layer where the error takes up most of what is allowed; None for the logits."""
    error: float | None
    floor: float | None
    allowed: float | None
    effect: float | None
    """The error without the patch."""


def held_errors(verification: Verification) -> list[HeldError]:
    """The errors that decide, of each kind the one nearest to what is allowed; older or edited proofs have fewer."""
    held = {name: [check for check in verification.layers if name in check.limits] for name in _LAYER_ERRORS}
    found = [_nearest(checks, name, *_LAYER_ERRORS[name]) for name, checks in held.items() if checks]
    if verification.logit_scale is not None:
        plain = verification.logits["plain"].linf if "plain" in verification.logits else None
        effect = None if plain is None or not verification.logit_scale else plain / verification.logit_scale
        of = f"the largest logit, {number(verification.logit_scale)}"
        limits = verification.noise_share, verification.allowed, effect
        found.append(HeldError("logits", "logits", of, None, verification.patched_share, *limits))
    return found


def _nearest(checks: Sequence[LayerCheck], name: str, short: str, what: str, share_of: str) -> HeldError:
    def used(check: LayerCheck) -> float:
        error, allowed = getattr(check, f"{name}_error"), check.limits[name].allowed
        return math.inf if error is None or not allowed else error / allowed

    check = max(checks, key=used)
    limits = check.limits[name]
    error = getattr(check, f"{name}_error")
    return HeldError(short, what, share_of, check.layer, error, limits.floor, limits.allowed, limits.effect)


def _held_table(verification: Verification) -> Iterator[RenderableType]:
    held = held_errors(verification)
    if not held:
        return
    yield (
        "What decides, in shares: each error at its worst layer, what rounding makes of right runs (noise floor), and "
        "what is allowed: twice that, or twice the arithmetic's own rounding where that is more, but at most the "
        f"tolerance, {number(verification.tolerance)}"
    )
    yield table(
        [words("error"), words("share of"), *numbers("layer", "error", "noise floor", "allowed", "no patch")],
        (
            (
                *(one.what, one.share_of, "·" if one.layer is None else str(one.layer)),
                *map(number, (one.error, one.floor, one.allowed, one.effect)),
            )
            for one in held
        ),
    )


def logits_line(verification: Verification) -> str:
    """The noise floor in logits, and whether the patch was undone."""
    unit = "logits" if verification.logit_scale is None else "logits, L∞"
    tolerance = number(verification.tolerance)
    held_to = f"   tolerance {tolerance} (a share)" if verification.logit_scale is None else ""
    return (
        f"noise floor {number(verification.noise_floor)} ({unit}){held_to}   "
        f"removed without a trace: {yes(verification.undone)}"
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
