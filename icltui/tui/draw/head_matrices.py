"""Attention heads as matrices: their scores by layer and head, and δ of one layer by head and unit of the context."""

from dataclasses import dataclass
from typing import Literal

from icltui.text.escape import token_text
from icltui.text.spreadsheet import write_tsv
from icltui.tui.draw.safe_text import fit
from icltui.values import AttentionHeads
from icltui.values.heads import HeadContributions, HeadIndex, HeadScore

HeadView = Literal["induction", "previous", "share", "attention"]
HEAD_VIEWS: tuple[HeadView, ...] = ("induction", "previous", "share", "attention")
OF_LAYER: tuple[HeadView, ...] = ("share", "attention")
"""Those of one layer, by head and unit."""
NOTHING = (
    "No heads yet.\n\n"
    "K  scores every attention head on repeated random tokens,\n"
    "   and splits δ in the ticked layers by head and unit of the context."
)
_MOST_NAMED = 6


@dataclass(frozen=True)
class Matrix:
    """Numbers in rows and columns, what they are called, and what is said of one."""

    title: str
    rows: tuple[str, ...]
    """A label for each row."""
    cells: tuple[tuple[float | None, ...], ...]
    column_title: str
    row_title: str
    lines: tuple[str, ...] = ()
    """What is said above the cells."""
    empty: str = ""
    """Why there are none."""

    @property
    def n_columns(self) -> int:
        """The most cells of a row."""
        return max(map(len, self.cells), default=0)

    def at(self, row: int, column: int) -> float | None:
        """The number of a cell; None where there is none."""
        cells = self.cells[row] if 0 <= row < len(self.cells) else ()
        return cells[column] if 0 <= column < len(cells) else None


def head_matrix(heads: AttentionHeads, view: HeadView, layer: int) -> Matrix:
    """What a view shows; ``layer`` counts where the view is of one."""
    if view in OF_LAYER:
        return _of_layer(heads, "share" if view == "share" else "attention", layer)
    return _scores(heads, "induction" if view == "induction" else "previous")


def _scores(heads: AttentionHeads, name: Literal["induction", "previous"]) -> Matrix:
    by_layer: dict[int, dict[int, HeadScore]] = {}
    for score in heads.heads:
        by_layer.setdefault(score.layer, {})[score.head] = score
    layers = sorted(by_layer)
    n = max((head for row in by_layer.values() for head in row), default=-1) + 1
    cells = tuple(
        tuple(getattr(by_layer[layer][head], name) if head in by_layer[layer] else None for head in range(n))
        for layer in layers
    )
    words = {
        "induction": "attention to the token after a repeated one's first occurrence",
        "previous": "attention from each token to the one before",
    }[name]
    strongest = heads.induction_heads if name == "induction" else heads.previous_heads
    return Matrix(
        title=f"{name}: {words}",
        rows=tuple(map(str, layers)),
        cells=cells,
        column_title="head",
        row_title="layer",
        lines=(_strongest(heads, strongest, name), _made_from(heads)),
        empty="No layer has attention that can be read; the log (8) says why.",
    )


def _strongest(heads: AttentionHeads, found: tuple[HeadIndex, ...], name: str) -> str:
    scores = {(score.layer, score.head): getattr(score, name) for score in heads.heads}
    named = [
        f"L{one.layer} H{one.head} {_number(scores.get((one.layer, one.head)))}"
        for one in found[:_MOST_NAMED]
    ]
    if not named:
        return "no head is clearly above chance"
    more = f", and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"strongest: {' · '.join(named)}{more}"


def _made_from(heads: AttentionHeads) -> str:
    n = f"{heads.n_seeds} sequence{'' if heads.n_seeds == 1 else 's'} of {heads.n_random} random tokens, twice"
    return f"{n} · spread evenly {_number(heads.chance)}"


def _number(value: float | None) -> str:
    return "·" if value is None else f"{value:.2f}"


def _of_layer(heads: AttentionHeads, name: Literal["share", "attention"], layer: int) -> Matrix:
    held = next((one for one in heads.contributions if one.layer == layer), None)
    words = {
        "share": "share of δ by head and unit: ⟨c, δ⟩ / ‖δ‖²",
        "attention": "attention of the query's last token",
    }
    title = f"layer {layer}: {words[name]}"
    if held is None:
        return Matrix(title, (), (), "unit", "head", empty=_why_none(heads, layer))
    cells: tuple[tuple[float | None, ...], ...] = getattr(held, name)
    rows = tuple(map(str, range(len(cells))))
    return Matrix(title, rows, cells, "unit", "head", lines=(_sum_line(held), _head_line(held)))


def _why_none(heads: AttentionHeads, layer: int) -> str:
    others = (*heads.not_linear, *heads.unreadable)
    if reason := next((one.reason for one in others if one.layer == layer), ""):
        return f"layer {layer}: {reason}"
    if not heads.contributions:
        return "δ is not split: there is no context, or no ticked layer where it is a sum over heads."
    layers = ", ".join(str(one.layer) for one in heads.contributions)
    return f"δ was not split at layer {layer}, but at {layers}: 3 goes to the layers."


def _sum_line(held: HeadContributions) -> str:
    norm = "·" if held.delta_norm is None else f"{held.delta_norm:.3g}"
    error = "·" if held.sum_error is None else f"{held.sum_error:.0e}"
    return f"‖δ‖ {norm} at the query's last token, own attention · the sum is off it by {error}"


def _head_line(held: HeadContributions) -> str:
    known = [(share, head) for head, share in enumerate(held.head_share) if share is not None]
    first = sorted(known, reverse=True)[:_MOST_NAMED]
    return f"heads: {' · '.join(f'H{head} {share:.0%}' for share, head in first)}"


def readout(heads: AttentionHeads, view: HeadView, matrix: Matrix, row: int, column: int) -> str:
    """What the cursor is on, in words and numbers."""
    value = matrix.at(row, column)
    number = "·" if value is None else f"{value:.4g}"
    label = matrix.rows[row] if 0 <= row < len(matrix.rows) else "·"
    if view not in OF_LAYER:
        score = next((one for one in heads.heads if (str(one.layer), one.head) == (label, column)), None)
        return f"{number}{_around(score, view)}  layer {label} head {column}{_null(score, view)}"
    units = heads.tokens.units
    unit = f" {fit(units[column].text, 24).rstrip()}" if 0 <= column < len(units) else ""
    return f"{number}  head {label}  unit {column + 1}{unit}"


def _around(score: HeadScore | None, view: HeadView) -> str:
    low, high = (getattr(score, f"{view}_{end}", None) for end in ("low", "high"))
    return "" if low is None or high is None else f" ({low:.3g} to {high:.3g})"


def _null(score: HeadScore | None, view: HeadView) -> str:
    is_known = view == "induction" and score is not None and score.induction_null is not None
    return f"  nothing repeated {score.induction_null:.2g}" if is_known and score else ""


def scores_copy(heads: AttentionHeads) -> str:
    """Every head with its scores, tabs between."""
    names = HeadScore.__struct_fields__
    return write_tsv((names, *(tuple(getattr(score, name) for name in names) for score in heads.heads)))


def split_copy(heads: AttentionHeads, layer: int) -> str:
    """δ of a layer by head and unit, tabs between."""
    held = next((one for one in heads.contributions if one.layer == layer), None)
    if held is None:
        return ""
    units = [token_text(unit.text) for unit in heads.tokens.units]
    rows = (
        (layer, head, unit + 1, units[unit] if unit < len(units) else "", share, norm, attention)
        for head, three in enumerate(zip(held.share, held.norm, held.attention, strict=True))
        for unit, (share, norm, attention) in enumerate(zip(*three, strict=True))
    )
    return write_tsv((("layer", "head", "unit", "text", "share", "norm", "attention"), *rows))
