"""Loss curves, attention heads and patch effects made by hand, with a hostile token."""

from icltui.values import (
    AttentionHeads,
    CurveShape,
    HeadContributions,
    HeadIndex,
    HeadScore,
    IclScore,
    IntervalEstimate,
    LossCurves,
    OwnTextComparison,
    PatchEffects,
    PositionRange,
    Token,
    TokenizedPrompt,
    Unit,
    UnitEffects,
    UnreadableLayer,
    WrittenCurve,
)
from tests.sessions import PARIS, ROME

HOSTILE = "\x1b[2J[/INST]\x9b31m\u202eabc\u2067\n"
"""A token that clears the screen and breaks markup."""

TOKENS = TokenizedPrompt(
    prefix=(),
    context=(ROME, Token(id=9, text=HOSTILE)),
    query=(PARIS, ROME),
    units=(Unit(index=1, text=" Rome", tokens=1), Unit(index=2, text=HOSTILE, tokens=1)),
)
SURE, BARE = IntervalEstimate(value=-1.5, low=-2.0, high=-1.0), IntervalEstimate(value=None)
SHAPE = CurveShape(level=SURE, slope=BARE)
SCORE = IclScore(
    nats=SURE,
    bits=IntervalEstimate(value=-2.164, low=-2.885, high=-1.443),
    early=PositionRange(first=1, last=2),
    late=PositionRange(first=3, last=4),
)
LOSS = (None, 2.0, 1.5, 0.5)
CURVES = LossCurves(
    tokens=TOKENS,
    loss=LOSS,
    loss_without=(None, 4.0, 3.5, 1.5),
    smooth=LOSS,
    smooth_without=LOSS,
    window=3,
    derivative=(None, None, -0.25, None),
    derivative_low=LOSS,
    derivative_high=LOSS,
    icl_score=SCORE,
    shape=SHAPE,
    gain=SURE,
    own=OwnTextComparison(
        n_tokens=3,
        given=SHAPE,
        own=SHAPE,
        difference=SHAPE,
        texts=(WrittenCurve(seed=7, text=f"so {HOSTILE}", loss=LOSS[:3]),),
    ),
    notes=("a note",),
    seconds=0.5,
)
SPLIT = HeadContributions(
    layer=1,
    delta_norm=3.0,
    share=((0.75, -0.125), (0.375, None)),
    norm=((2.0, 0.5), (1.0, None)),
    attention=((0.5, 0.25), (0.125, 0.0625)),
    head_share=(0.625, 0.375),
    sum_error=1e-7,
)
HEADS = AttentionHeads(
    tokens=TOKENS,
    heads=(
        HeadScore(layer=0, head=0, induction=0.01, previous=0.9, previous_low=0.85, previous_high=0.95),
        HeadScore(layer=1, head=1, induction=0.8, previous=None, induction_low=0.75, induction_null=0.02),
    ),
    contributions=(SPLIT,),
    induction_heads=(HeadIndex(layer=1, head=1),),
    previous_heads=(HeadIndex(layer=0, head=0),),
    chance=0.0125,
    n_random=50,
    n_seeds=8,
    seed=0,
    unreadable=(),
    not_linear=(UnreadableLayer(layer=0, reason="a norm follows"),),
    seconds=0.25,
)
EFFECTS = PatchEffects(
    tokens=TOKENS,
    layers=(0, 1),
    units=(
        UnitEffects(unit=1, kl=(1.75, 1.25), all_layers=1.25, prefix=1.25),
        UnitEffects(unit=2, kl=(2.5, None), all_layers=1e-7, prefix=0.0),
    ),
    plain=2.0,
    random=(2.25, 2.0),
    n_random=8,
    noise=1e-7,
    seed=3,
    seconds=0.5,
)
"""At layer 0 the second unit is worse than no patch, and the full context at layer 1 has no number."""
