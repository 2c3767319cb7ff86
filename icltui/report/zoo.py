"""The table of families as text: JSON for scripts, a table for people."""

from collections.abc import Sequence

from icltui.report.json_document import as_json
from icltui.text.escape import visible
from icltui.text.tables import numbers, render, table, words, yes
from icltui.values import ZooRow


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
    """Each note once, after the families that it is true of."""
    families: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            families.setdefault(note, []).append(row.family)
    return "\n".join(f"{visible(', '.join(names))}: {visible(note)}" for note, names in families.items())


def _zoo_summary(rows: Sequence[ZooRow]) -> str:
    families = [row for row in rows if not row.is_real]
    whole = sum(0 < row.n_exact == row.n_layers for row in families)
    refused = sum(row.n_exact == 0 for row in families)
    counts = (
        f"{len(families)} families: exact on every layer {whole}, on some {len(families) - whole - refused}, "
        f"on none {refused}; packed {sum(row.path == 'packed' for row in families)}"
    )
    real = [f"{visible(row.family)}: {row.n_exact} of {row.n_layers} layers" for row in rows if row.is_real]
    return "; ".join([*([counts] if families else []), *real])
