"""A compilation as the engine gives it, for tests of what carries, shows and keeps one."""

from icltui.values import (
    CalibrationSummary,
    ChoicePoint,
    CollateralSummary,
    Compilation,
    CompiledQuery,
    LeaveOneOut,
    PatchChoice,
    PromptIds,
    Unseen,
)
from icltui.values.recipe import Recipe

CHOICE_POINT = ChoicePoint(
    step="epsilon",
    metric="ordinary",
    epsilon=0.01,
    ridge=0.01,
    layers=(0, 1, 3),
    components="both",
    alpha=1.0,
    r_median=0.91,
    kl=0.21,
    collateral=0.15,
    seconds=0.5,
    chosen=True,
)
SEEN, UNSEEN = (
    CompiledQuery(
        query=text,
        role=role,
        context=" Rome",
        patched=patched,
        plain=" Paris [/INST]",
        n_tokens=2,
        kl=0.1,
        kl_plain=2.0,
        r=0.95,
        equal=equal,
        equal_plain=0,
        agrees=agrees,
        agrees_plain=False,
    )
    for text, role, patched, equal, agrees in (
        ("The capital of France is", "calibration", " Rome", 2, True),
        ("[/INST]\x1b[2J is", "unseen", " Cairo", 1, False),
    )
)
COMPILATION = Compilation(
    refused=None,
    chosen=PatchChoice(
        metric="ordinary", epsilon=0.01, ridge=0.01, layers=(0, 1, 3), components="both", alpha=1.0, rank=14
    ),
    calibration=CalibrationSummary(kind="user", n_queries=1, n_tokens=14, queries=(SEEN.query,)),
    unseen=Unseen(
        n_queries=1,
        n_tokens=2,
        kl=0.1,
        kl_plain=2.0,
        r_median=0.95,
        r_mean=0.95,
        equal=1,
        equal_plain=0,
        n_agreeing=0,
        n_agreeing_plain=0,
    ),
    collateral=CollateralSummary(kl=0.15, n_tokens=512, predicted=0.2),
    leave_one_out=LeaveOneOut(
        r_median=0.91,
        n_queries=1,
        kl=0.21,
        kl_plain=2.0,
        curve=(CHOICE_POINT,),
        n_refits=1,
        refit_difference=0.02,
    ),
    seconds=2.5,
    recipe=Recipe(mode="compiled", ridge=0.01, queries=(SEEN.query,)),
    query=UNSEEN.query,
    sentence="speaks for the context on 0 of 1 unseen queries (0 without it); changes other text by 0.15 nats",
    files=("adapter/adapter_model.safetensors",),
    queries=(UNSEEN, SEEN),
    notes=("1 of the unseen queries is fitted too: it was left out",),
    ids=PromptIds(prefix=(1,), context=(2, 3), query=(4,)),
)
