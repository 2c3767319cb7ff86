"""Loss curves, attention heads and patch effects of the sample prompt, made up but of plausible shape."""

import math

from icltui.api.messages import PromptTokenized
from icltui.values import AttentionHeads, LossCurves, PatchEffects, UnitEffects
from icltui.values.curves import (
    CurveShape,
    IclScore,
    IntervalEstimate,
    OwnTextComparison,
    PositionRange,
    WrittenCurve,
)
from icltui.values.heads import HeadContributions, HeadIndex, HeadScore
from tests.hostile import TOKENS
from tests.tui import samples

assert isinstance(samples.TOKENIZED, PromptTokenized)
TEXT = samples.TOKENIZED.tokens
N = len(TEXT.context) + len(TEXT.query)
N_UNITS = len(TEXT.units)


def estimate(value: float) -> IntervalEstimate:
    """A figure with an interval around it."""
    return IntervalEstimate(value=value, low=value - 0.25, high=value + 0.5)


def curves(n_own: int = 2) -> LossCurves:
    """Curves of the sample prompt, beside so many texts of the model's own."""
    loss = tuple(4 / (1 + at / 3) + math.sin(at) ** 2 for at in range(N))
    without = tuple(value + at / 10 for at, value in enumerate(loss))
    shape = CurveShape(level=estimate(1.5), slope=estimate(-0.75))
    texts = tuple(
        WrittenCurve(seed=seed, text=f"{TOKENS[seed]} Oslo.\n", loss=tuple(value / 2 for value in loss))
        for seed in range(n_own)
    )
    own = (
        OwnTextComparison(n_tokens=N, given=shape, own=shape, difference=shape, texts=texts)
        if n_own
        else None
    )
    derivative = tuple(None if at < 6 else -1 / at for at in range(N))
    return LossCurves(
        tokens=TEXT,
        loss=loss,
        loss_without=without,
        smooth=loss,
        smooth_without=without,
        window=3,
        derivative=derivative,
        derivative_low=tuple(None if value is None else value - 0.5 for value in derivative),
        derivative_high=tuple(None if value is None else value + 0.5 for value in derivative),
        icl_score=IclScore(
            nats=estimate(-0.5),
            bits=estimate(-0.72),
            early=PositionRange(first=1, last=2),
            late=PositionRange(first=N - 1, last=N),
        ),
        shape=shape,
        gain=estimate(2.25),
        own=own,
        seconds=0.25,
    )


def heads(n_heads: int = 4) -> AttentionHeads:
    """Scores of every layer's heads, and δ split in the last two layers."""
    scores = tuple(
        HeadScore(
            layer=layer,
            head=head,
            induction=0.9 if (layer, head) == (3, 1) else (layer * n_heads + head) / 60,
            previous=0.8 if (layer, head) == (1, 2) else 0.05,
            induction_low=0.1,
            induction_high=0.95,
            induction_null=0.02,
        )
        for layer in range(samples.N_LAYERS)
        for head in range(n_heads)
    )
    row = tuple((unit - 3) / 40 for unit in range(N_UNITS))
    split = tuple(
        HeadContributions(
            layer=layer,
            delta_norm=2.5,
            share=(row,) * n_heads,
            norm=(row,) * n_heads,
            attention=(row,) * n_heads,
            head_share=(0.75, 0.25, -0.1, 0.1)[:n_heads],
            sum_error=3e-8,
        )
        for layer in (4, 5)
    )
    return AttentionHeads(
        tokens=TEXT,
        heads=scores,
        contributions=split,
        induction_heads=(HeadIndex(layer=3, head=1),),
        previous_heads=(HeadIndex(layer=1, head=2),),
        chance=0.02,
        n_random=50,
        seed=0,
        n_seeds=8,
        seconds=0.5,
    )


def effects(units: range = range(1, N_UNITS + 1)) -> PatchEffects:
    """What each layer's patch does alone: nothing at first, nearly all at last, and once the contrary."""
    layers = range(samples.N_LAYERS)
    return PatchEffects(
        tokens=TEXT,
        layers=tuple(layers),
        units=tuple(
            UnitEffects(
                unit=unit,
                kl=tuple(2.0 - 2.0 * layer * unit / (N_UNITS * layers[-1]) for layer in layers)
                if unit != 3
                else (3.5,) * len(layers),
                all_layers=2.0 - 2.0 * unit / N_UNITS,
                prefix=2.0 - 2.0 * unit / N_UNITS,
            )
            for unit in units
        ),
        plain=2.0,
        random=(2.25,) * len(layers),
        n_random=8,
        noise=2e-7,
        seconds=0.75,
    )
