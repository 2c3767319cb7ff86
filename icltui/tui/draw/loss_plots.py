"""The loss at each position of a text as plots: with and without the context, what it gains, its slope, own text."""

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from icltui.text.escape import token_text
from icltui.text.spreadsheet import write_tsv
from icltui.tui.draw.plot_figure import Figure, Series
from icltui.tui.draw.safe_text import display, fit
from icltui.values import LossCurves
from icltui.values.curves import IntervalEstimate, WrittenCurve

LossView = Literal["loss", "gain", "derivative", "own"]
LOSS_VIEWS: tuple[LossView, ...] = ("loss", "gain", "derivative", "own")
NOTHING = (
    "No loss curves yet.\n\n"
    "I  measures the loss at each position of this text,\n"
    "   with the context and without.\n"
    "O  does so beside four texts that the model writes itself."
)
_TOKEN_WIDTH = 16
Numbers = Sequence[float | None]


def loss_figure(curves: LossCurves, view: LossView, focus: int = 0) -> Figure:
    """One of the plots, the line number ``focus`` of it bright."""
    tokens = _tokens(curves)
    y_title, title, lines, below = _PARTS[view](curves)
    return Figure(
        y_title=y_title,
        title=title,
        series=[replace(line, depth=at / max(1, len(lines) - 1)) for at, line in enumerate(lines)],
        focus=min(focus, max(len(lines) - 1, 0)),
        place=lambda at: (
            f"position {at + 1} {fit(tokens[at], _TOKEN_WIDTH).rstrip()}" if at < len(tokens) else ""
        ),
        x_title="position",
        x_names=[str(position + 1) for position in range(len(curves.loss))],
        x_texts=tokens,
        below=lambda _at: below,
        empty=_empty(view),
    )


def _empty(view: LossView) -> str:
    if view == "own":
        return "No text of the model's own yet: O has it write four."
    return "The text has too few positions."


Parts = tuple[str, str, list[Series], list[str]]
"""The title of the y axis, what else there is to say, the lines, and what is below."""


def _loss(curves: LossCurves) -> Parts:
    window = curves.window
    smooth = [
        Series(f"with, mean of {window}", [*curves.smooth]),
        Series(f"without, mean of {window}", [*curves.smooth_without]),
    ]
    lines = [Series("with context", [*curves.loss]), Series("without", [*curves.loss_without])]
    return "loss, nats a token", "with the context and without", [*lines, *(smooth if window > 1 else [])], []


def _gain(curves: LossCurves) -> Parts:
    gain = [_less(without, with_) for without, with_ in zip(curves.loss_without, curves.loss, strict=True)]
    smooth = [_less(a, b) for a, b in zip(curves.smooth_without, curves.smooth, strict=True)]
    lines = [Series("ΔNLL", gain)]
    if curves.window > 1:
        lines.append(Series(f"mean of {curves.window}", smooth))
    words = f"on the query {interval(curves.gain)} nats a token"
    return "ΔNLL, nats a token", "loss without − with", lines, [words]


def _derivative(curves: LossCurves) -> Parts:
    lines = [
        Series("slope", [*curves.derivative]),
        Series("low", [*curves.derivative_low]),
        Series("high", [*curves.derivative_high]),
    ]
    words = f"over all positions {interval(curves.shape.slope)} nats in ln position"
    return "d loss / d ln position, nats", "slope of the loss, with its 95 % interval", lines, [words]


def _own(curves: LossCurves) -> Parts:
    own = curves.own
    if own is None:
        return "loss, nats a token", "given text against the model's own", [], []
    mean = [_mean([text.loss[at] for text in own.texts if at < len(text.loss)]) for at in range(own.n_tokens)]
    lines = [
        Series("given", [*curves.loss[: own.n_tokens]]),
        Series(f"own, mean of {len(own.texts)}", mean),
    ]
    below = [
        f"level: given {interval(own.given.level)}, own {interval(own.own.level)}",
        f"slope: given {interval(own.given.slope)}, own {interval(own.own.slope)}",
        f"given − own: level {interval(own.difference.level)}, slope {interval(own.difference.slope)}",
        *(_sample(text) for text in own.texts[:4]),
    ]
    return "loss, nats a token", f"first {own.n_tokens} tokens, given and the model's own", lines, below


def _sample(text: WrittenCurve) -> str:
    return f"seed {text.seed}: {fit(text.text, 400).rstrip()}"


_PARTS = {"loss": _loss, "gain": _gain, "derivative": _derivative, "own": _own}


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _mean(values: Numbers) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def interval(value: IntervalEstimate) -> str:
    """``−0.52 (−0.91 to −0.13)``; a dot where it is not known."""
    if value.value is None:
        return "·"
    if value.low is None or value.high is None:
        return signed(value.value)
    return f"{signed(value.value)} ({signed(value.low)} to {signed(value.high)})"


def signed(value: float) -> str:
    """Three digits, the sign a minus and no hyphen."""
    return f"{value:.3g}".replace("-", "−")


def score_lines(curves: LossCurves, width: int) -> list[str]:
    """The in-context-learning score in nats and in bits, and what it is of, wrapped."""
    return [line for text in _score(curves) for line in textwrap.wrap(text, max(width, 1))]


def _score(curves: LossCurves) -> tuple[str, str]:
    score = curves.icl_score
    if score is None:
        return "ICL score ·", "too few positions for a score"
    early, late = score.early, score.late
    places = f"loss at positions {late.first}–{late.last} less {early.first}–{early.last}"
    why = f"; {display(score.note)}" if score.note else ""
    return f"ICL score {interval(score.nats)} nats = {interval(score.bits)} bits", places + why


def losses_copy(curves: LossCurves) -> str:
    """Every position with its numbers, tabs between."""
    names = ("loss", "loss_without", "derivative", "derivative_low", "derivative_high")
    columns = [getattr(curves, name) for name in names]
    tokens = _tokens(curves)
    rows = (
        (at + 1, token_text(tokens[at]) if at < len(tokens) else "", *(column[at] for column in columns))
        for at in range(len(curves.loss))
    )
    return write_tsv((("position", "token", *names), *rows))


def _tokens(curves: LossCurves) -> list[str]:
    return [token.text for token in (*curves.tokens.context, *curves.tokens.query)]
