"""Attention heads as text: JSON and CSV for scripts; for people the strongest heads, and what each brings.

The keys of the JSON and the columns of the CSV are a promise to scripts.
"""

from collections.abc import Iterator, Sequence

import msgspec
from rich.console import RenderableType
from rich.table import Table

from icltui.report.json_document import as_json, provenance
from icltui.report.kept_prefix import kept_json, kept_lines
from icltui.report.model_notes import model_lines
from icltui.text.escape import token_text, visible
from icltui.text.spreadsheet import write_csv
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import AttentionHeads, HeadContributions, HeadIndex, ModelInfo, UnreadableLayer
from icltui.values.prompt import Prompt, layers_text

_MOST_HEADS, _MOST_UNITS = 8, 5
"""Heads and units in a table."""


def heads_json(model: ModelInfo, prompt: Prompt, heads: AttentionHeads) -> str:
    """Every score and contribution, and how they were made."""
    tokens = heads.tokens
    found = msgspec.structs.asdict(heads)
    del found["tokens"]
    return as_json(
        {
            **provenance(model, prompt),
            **kept_json(model, tokens.prefix),
            "context_tokens": tokens.context,
            "query_tokens": tokens.query,
            "units": tokens.units,
            **found,
            "notes": (*tokens.notes, *heads.notes),
        }
    )


def heads_csv(heads: AttentionHeads) -> str:
    """One line for each head, with its share of δ where that was split.

    :func:`icltui.text.spreadsheet.read_csv` reads it.
    """
    columns = heads.columns()
    cells = zip(*(cells for _, cells in columns.values()), strict=True)
    return write_csv([[*columns], *cells])


def heads_table(model: ModelInfo, heads: AttentionHeads, width: int = 110) -> str:
    """The heads for people."""
    return render(heads_parts(model, heads), width)


def heads_parts(model: ModelInfo, heads: AttentionHeads) -> list[RenderableType]:
    """The heads as sentences and tables, each table after its title."""
    tokens = heads.tokens
    return [
        *model_lines(model),
        *kept_lines(model, tokens.ids, tokens.prefix),
        *found_heads(heads, model.n_layers),
        f"{heads.seconds:.2f} s; every head, unit and layer: --format json",
    ]


def found_heads(heads: AttentionHeads, n_layers: int) -> list[RenderableType]:
    """The same without its model and the time that it took; ``n_layers`` of the model are all layers."""
    tokens = heads.tokens
    parts: list[RenderableType] = [f"note: {visible(note)}" for note in (*tokens.notes, *heads.notes)]
    parts += [f"not read: {line}" for line in _by_reason(heads.unreadable, n_layers)]
    if heads.heads:
        what = f"{heads.n_random} random tokens, repeated; {heads.n_seeds} sequences"
        parts += [
            f"Induction heads ({what}): {_names(heads.induction_heads)}",
            _score_table(heads, "induction"),
            f"Previous-token heads: {_names(heads.previous_heads)}",
            _score_table(heads, "previous"),
            f"Attention spread evenly would score {number(heads.chance)}; null: where nothing is repeated.",
        ]
    return [*parts, *_delta_parts(heads, n_layers)]


def _by_reason(layers: Sequence[UnreadableLayer], n_layers: int) -> Iterator[str]:
    for reason in dict.fromkeys(layer.reason for layer in layers):
        of = layers_text((layer.layer for layer in layers if layer.reason == reason), n_layers)
        yield f"layers {of}: {visible(reason)}"


def _names(heads: Sequence[HeadIndex]) -> str:
    """``layer.head`` of each, strongest first."""
    shown = ", ".join(f"{head.layer}.{head.head}" for head in heads[:_MOST_HEADS])
    more = len(heads) - _MOST_HEADS
    return (shown or "none") + (f" and {more} more" if more > 0 else "")


def _score_table(heads: AttentionHeads, name: str) -> Table:
    ranked = sorted(heads.heads, key=lambda head: -(getattr(head, name) or 0.0))[:_MOST_HEADS]
    beside = ("induction_null", "previous") if name == "induction" else ("induction",)
    fields = (name, f"{name}_low", f"{name}_high", *beside)
    rows = (
        (f"{head.layer}.{head.head}", *(number(getattr(head, field)) for field in fields)) for head in ranked
    )
    titles = ["null" if field == "induction_null" else field for field in beside]
    return table(numbers("head", name, "low", "high", *titles), rows)


def _delta_parts(heads: AttentionHeads, n_layers: int) -> Iterator[RenderableType]:
    yield from (f"δ is not split: {line}" for line in _by_reason(heads.not_linear, n_layers))
    if not heads.contributions:
        return
    yield (
        "δ at the query's last token, layer by layer: the head with the largest share, and its unit (reference local; "
        "shares sum to 1, and may be below 0)"
    )
    yield _layer_table(heads)
    largest = max(heads.contributions, key=lambda part: part.delta_norm or 0.0)
    yield f"Layer {largest.layer}, where ‖δ‖ is largest: shares of δ by head, and by its largest units"
    yield _unit_table(heads, largest)
    if any(part.before_norm for part in heads.contributions):
        yield "A norm follows the attention: δ is of its output before that norm, and the check of its image after it."


def _layer_table(heads: AttentionHeads) -> Table:
    rows = []
    for part in heads.contributions:
        head = _largest(part.head_share)
        unit = _largest(part.share[head])
        rows.append(
            (
                *(str(part.layer), number(part.delta_norm), str(head), number(part.head_share[head])),
                *(number(part.share[head][unit]), number(part.attention[head][unit])),
                *(number(part.sum_error), _unit(heads, unit)),
            )
        )
    titles = numbers("layer", "‖δ‖", "head", "share", "of unit", "attention", "sum misses")
    return table([*titles, words("unit")], rows)


def _unit_table(heads: AttentionHeads, part: HeadContributions) -> Table:
    n_units = len(part.share[0])
    total = [sum(row[unit] or 0.0 for row in part.share) for unit in range(n_units)]
    units = sorted(sorted(range(n_units), key=lambda unit: -abs(total[unit]))[:_MOST_UNITS])
    order = sorted(range(len(part.share)), key=lambda head: -(part.head_share[head] or 0.0))[:_MOST_HEADS]
    rows = [
        (f"{part.layer}.{head}", number(part.head_share[head]), *(number(part.share[head][u]) for u in units))
        for head in order
    ]
    rows.append(("all", number(sum(total)), *(number(total[unit]) for unit in units)))
    return table(numbers("head", "share", *(_unit(heads, unit)[:12] for unit in units)), rows)


def _largest(values: Sequence[float | None]) -> int:
    return max(range(len(values)), key=lambda index: values[index] or 0.0)


def _unit(heads: AttentionHeads, unit: int) -> str:
    return f"{unit + 1} {token_text(heads.tokens.units[unit].text)}"
