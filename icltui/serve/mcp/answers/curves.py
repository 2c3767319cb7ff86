"""The loss by position for an agent: the curve in a few steps, against the loss without the context."""

from collections.abc import Iterator

from icltui.serve.mcp.answers.answer import (
    AgentAnswer,
    Asked,
    Brief,
    Compose,
    Cut,
    KeptTokens,
    kept_tokens,
    name_of,
    rounded,
    words,
)
from icltui.values import IntervalEstimate, LossCurves
from icltui.values.curves import PositionRange
from icltui.values.errors import EngineError

EVIDENCE = (
    "By itself no evidence of learning: the loss falls with the position in almost any text, as words recur and the "
    "topic narrows. Evidence: a gain (loss of the query without the context less with it) or a score whose 95 % "
    "interval leaves 0 out; and a loss that falls further than on texts that the model wrote itself (own_texts)."
)


class BriefInterval(Brief, frozen=True):
    """A figure and its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None
    excludes_zero: bool | None
    """null: too little to tell."""


class PositionLoss(Brief, frozen=True):
    """The smoothed loss at one position, in nats."""

    position: int
    loss: float | None
    loss_without: float | None
    """Given only the earlier tokens of its own unit."""


class CurvesBrief(Brief, frozen=True):
    """The loss curve in short."""

    model: str
    n_positions: int
    level: BriefInterval
    """Mean loss in nats."""
    slope: BriefInterval
    """Of the loss in ln position."""
    icl_score: BriefInterval | None
    """Mean loss at late positions less that at early ones, in nats; null: the text is too short."""
    positions: str
    """The early and the late ones."""
    losses: tuple[PositionLoss, ...]
    notes: tuple[str, ...] = ()


class CurvesControls(Brief, frozen=True):
    """What the loss is to be held against."""

    gain: BriefInterval
    """Loss of the query's tokens without the context less with it, in nats."""
    level_above_own_text: BriefInterval | None
    """The given text's mean loss less that of texts that the model wrote itself; null unless own_texts is given."""
    slope_above_own_text: BriefInterval | None
    kept: KeptTokens


async def curves(asked: Asked) -> Compose:
    """The curves, whose controls are their own."""
    found = (await asked.ask(asked.request)).curves
    if found is None:
        raise EngineError("the engine ended without loss curves: ask again")

    def compose(cut: Cut) -> AgentAnswer[CurvesBrief, CurvesControls]:
        brief = _brief(asked, found, cut)
        own = found.own
        controls = CurvesControls(
            gain=_interval(found.gain),
            level_above_own_text=_interval(own.difference.level) if own else None,
            slope_above_own_text=_interval(own.difference.slope) if own else None,
            kept=kept_tokens(asked.model, found.tokens.prefix, found.tokens.ids),
        )
        return AgentAnswer(
            summary=_words(brief, controls),
            result=brief,
            controls=controls,
            evidence=EVIDENCE,
            left_out=cut.left_out,
        )

    return compose


def _brief(asked: Asked, found: LossCurves, cut: Cut) -> CurvesBrief:
    score = found.icl_score
    return CurvesBrief(
        model=name_of(asked.model),
        n_positions=len(found.loss),
        level=_interval(found.shape.level),
        slope=_interval(found.shape.slope),
        icl_score=_interval(score.nats) if score else None,
        positions=f"early {_range(score.early)}, late {_range(score.late)}" if score else "",
        losses=tuple(_losses(found, cut)),
        notes=cut.rows("notes", (*found.tokens.notes, *found.notes)),
    )


def _losses(found: LossCurves, cut: Cut) -> Iterator[PositionLoss]:
    """So many positions as there is room for, evenly spaced and with the last one."""
    n = len(found.smooth)
    n_shown = min(n, cut.most)
    if n > n_shown:
        cut.left_out["losses"] = n - n_shown
    for index in range(1, n_shown + 1):
        at = index * n // n_shown - 1
        yield PositionLoss(
            position=at + 1, loss=rounded(found.smooth[at]), loss_without=rounded(found.smooth_without[at])
        )


def _interval(estimate: IntervalEstimate) -> BriefInterval:
    low, high = estimate.low, estimate.high
    return BriefInterval(
        value=rounded(estimate.value),
        low=rounded(low),
        high=rounded(high),
        excludes_zero=None if low is None or high is None else low > 0 or high < 0,
    )


def _range(positions: PositionRange) -> str:
    return f"{positions.first}-{positions.last}"


def _words(brief: CurvesBrief, controls: CurvesControls) -> str:
    score = (
        f"ICL score {_said(brief.icl_score)}" if brief.icl_score else "the text is too short for an ICL score"
    )
    return (
        f"Mean loss {words(brief.level.value)} nats over {brief.n_positions} positions; {score}. The context lowers "
        f"the loss of the query by {_said(controls.gain)}."
    )


def _said(found: BriefInterval) -> str:
    held = {True: "0 is outside", False: "0 is inside: no evidence", None: "too little to tell"}
    interval = "" if found.low is None else f"{words(found.low)} to {words(found.high)}, "
    return f"{words(found.value)} nats ({interval}{held[found.excludes_zero]})"
