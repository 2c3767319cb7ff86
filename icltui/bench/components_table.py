"""A comparison of a patch's parts as text: medians with quartiles over all prompts, then medians of each kind."""

from collections.abc import Iterable
from statistics import median

from rich.console import RenderableType

from icltui.bench.components import PARTS, Comparison, quartiles
from icltui.text.escape import visible
from icltui.text.tables import number, numbers, render, table, words

_OF_KINDS = ("plain", "weights", "shift")


def components_table(found: Comparison, width: int) -> str:
    """The results as text."""
    return render(_parts(found), width)


def _parts(found: Comparison) -> Iterable[RenderableType]:
    n, kept = len(found.prompts), sorted({scores.n_kept for scores in found.prompts})
    yield (
        f"{visible(found.model)}, {found.dtype}, --bos {found.bos} ({', '.join(map(str, kept))} kept); "
        f"{n} prompts. KL(with context ‖ …) of the next token after the query, in nats, over the prompts."
    )
    yield table(
        [words(""), *numbers("median", "quartiles", "same top token", "nearer than no patch")],
        (_row(found, part, n) for part in PARTS),
    )
    yield "Medians of each kind of prompt"
    kinds = dict.fromkeys(scores.kind for scores in found.prompts)
    yield table(
        [words(""), *numbers("prompts", *(PARTS[part] for part in _OF_KINDS))],
        ((kind, *_kind(found, kind)) for kind in kinds),
    )
    yield (
        f"Largest logit error, as a share of the largest logit, median: {PARTS['patched']} "
        f"{number(median(scores.patched_share for scores in found.prompts))}, noise floor "
        f"{number(median(scores.noise_share for scores in found.prompts))}. Proof on all layers: "
        f"{sum(scores.ok for scores in found.prompts)} of {n} prompts ok."
    )


def _row(found: Comparison, part: str, n: int) -> tuple[str, ...]:
    low, middle, high = map(number, quartiles(found.kls(part)))
    nearer = "·" if part == "plain" else f"{found.better(part)} of {n}"
    return PARTS[part], middle, f"{low} to {high}", f"{found.equals(part)} of {n}", nearer


def _kind(found: Comparison, kind: str) -> Iterable[str]:
    columns = [found.kls(part, kind) for part in _OF_KINDS]
    return str(len(columns[0])), *(number(median(column)) for column in columns)
