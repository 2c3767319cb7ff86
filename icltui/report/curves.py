"""Loss curves as text: JSON and CSV for scripts; for people the losses in steps of position, and what they add up to.

The keys of the JSON and the columns of the CSV are a promise to scripts.
"""

import math
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table

from icltui.report.json_document import as_json, provenance
from icltui.report.kept_prefix import kept_json, kept_lines
from icltui.report.model_notes import model_lines
from icltui.text.escape import token_text, visible
from icltui.text.spreadsheet import Cell, write_csv
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import CurveShape, IntervalEstimate, LossCurves, ModelInfo, Token
from icltui.values.curves import BY_POSITION
from icltui.values.prompt import Prompt

_STEPS = 12
"""The most lines of the table of positions."""


def curves_json(model: ModelInfo, prompt: Prompt, curves: LossCurves) -> str:
    """Every number, position by position, and what they add up to; ``icl_score`` is in nats."""
    tokens, score = curves.tokens, curves.icl_score
    return as_json(
        {
            **provenance(model, prompt),
            **kept_json(model, tokens.prefix),
            "context_tokens": tokens.context,
            "query_tokens": tokens.query,
            "units": tokens.units,
            **{name: getattr(curves, name) for name in BY_POSITION},
            "window": curves.window,
            "icl_score": score and score.nats.value,
            "icl_score_bits": score and score.bits.value,
            "icl_score_of": score,
            "shape": curves.shape,
            "gain": curves.gain,
            "own": curves.own,
            "notes": (*tokens.notes, *curves.notes),
            "seconds": curves.seconds,
        }
    )


def curves_csv(curves: LossCurves) -> str:
    """One line for each position, from 1.

    :func:`icltui.text.spreadsheet.read_csv` reads it.
    """
    lines: list[Sequence[Cell]] = [["position", "part", "token", *BY_POSITION]]
    columns = zip(*(getattr(curves, name) for name in BY_POSITION), strict=True)
    for position, ((part, token), values) in enumerate(zip(_tokens(curves), columns, strict=True), start=1):
        lines.append([position, part, token_text(token.text), *values])
    return write_csv(lines)


def _tokens(curves: LossCurves) -> Iterator[tuple[str, Token]]:
    yield from (("context", token) for token in curves.tokens.context)
    yield from (("query", token) for token in curves.tokens.query)


def curves_table(model: ModelInfo, curves: LossCurves, width: int = 110) -> str:
    """The curves for people, all losses in nats."""
    return render(curves_parts(model, curves), width)


def curves_parts(model: ModelInfo, curves: LossCurves) -> list[RenderableType]:
    """The curves as sentences and tables, each table after its title."""
    tokens = curves.tokens
    return [
        *model_lines(model),
        *kept_lines(model, tokens.ids, tokens.prefix),
        *found_losses(curves),
        f"{curves.seconds:.2f} s; every position: --format json or csv",
    ]


def found_losses(curves: LossCurves) -> list[RenderableType]:
    """The same without its model and the time that it took."""
    tokens = curves.tokens
    n_context, n_query = len(tokens.context), len(tokens.query)
    parts: list[RenderableType] = [f"note: {visible(note)}" for note in (*tokens.notes, *curves.notes)]
    parts += [
        f"Loss by position in nats, means over positions: {n_context} of context, then {n_query} of query; "
        "without: given its own unit alone",
        _position_table(curves),
        "What it adds up to, with 95 % intervals",
        _sum_table(curves),
    ]
    if curves.own is not None:
        n_texts = len(curves.own.texts)
        of = f"{n_texts} text{'s' * (n_texts != 1)} that the model wrote itself"
        parts += [f"The first {curves.own.n_tokens} tokens against {of}", _own_table(curves)]
        parts += [f"it wrote (seed {text.seed}): {_start(text.text)}" for text in curves.own.texts]
    return parts


def _start(text: str) -> str:
    return visible(text[:60]) + ("…" if len(text) > 60 else "")


def _position_table(curves: LossCurves) -> Table:
    rows = []
    for first, last in _steps(len(curves.loss), len(curves.tokens.context)):
        at = slice(first - 1, last)
        loss, without = _mean(curves.loss[at]), _mean(curves.loss_without[at])
        both = [
            b - a
            for a, b in zip(curves.loss[at], curves.loss_without[at], strict=True)
            if a is not None and b is not None
        ]
        middle = round(math.sqrt(first * last)) - 1
        part = "query" if first > len(curves.tokens.context) else "context"
        values = (loss, without, _mean(both), curves.derivative[middle])
        rows.append((f"{first}–{last}" if last > first else f"{first}", part, *map(number, values)))
    titles = numbers("loss", "without", "gain", "d loss/d ln t")
    return table([*numbers("positions"), words("of"), *titles], rows)


def _steps(n: int, n_context: int) -> Iterator[tuple[int, int]]:
    """First and last positions of about equal ratio, the query's apart."""
    n_steps = min(_STEPS, n_context)
    edges = sorted({round(n_context ** (k / n_steps)) for k in range(1, n_steps + 1)}) if n_steps else []
    begin = 1
    for edge in (*edges, n):
        if edge >= begin:
            yield begin, edge
            begin = edge + 1


def _mean(losses: Sequence[float | None]) -> float | None:
    known = [loss for loss in losses if loss is not None]
    return sum(known) / len(known) if known else None


def _sum_table(curves: LossCurves) -> Table:
    rows = []
    if (score := curves.icl_score) is not None:
        early, late = score.early, score.late
        what = f"ICL score: loss at {late.first}–{late.last} less that at {early.first}–{early.last}"
        rows += [(what, "nats", *_cells(score.nats)), ("the same", "bits", *_cells(score.bits))]
    rows += [
        ("mean loss", "nats", *_cells(curves.shape.level)),
        ("slope in ln position", "nats", *_cells(curves.shape.slope)),
        ("what the context gives the query, a token", "nats", *_cells(curves.gain)),
    ]
    return table([words("figure"), words("in"), *numbers("value", "low", "high")], rows)


def _own_table(curves: LossCurves) -> Table:
    assert curves.own is not None
    shapes: dict[str, CurveShape] = {
        "given": curves.own.given,
        "the model's own": curves.own.own,
        "given less own": curves.own.difference,
    }
    rows = ((name, *_cells(shape.level), *_cells(shape.slope)) for name, shape in shapes.items())
    return table([words("text"), *numbers("mean loss", "low", "high", "slope", "low", "high")], rows)


def _cells(estimate: IntervalEstimate) -> tuple[str, str, str]:
    return number(estimate.value), number(estimate.low), number(estimate.high)
