"""What of the explorer changed, as far as a view draws it apart."""

from enum import Enum, auto

from icltui.api.messages import (
    ChoiceAdvanced,
    CompileEnded,
    CurvesEnded,
    EffectsEnded,
    EffectsMeasured,
    Event,
    ExamEnded,
    ExamRowEnded,
    ExamStarted,
    GenerationEnded,
    HeadsEnded,
    LaneAdvanced,
    MeasureEnded,
    PatchTested,
    PromptTokenized,
    UnitsMeasured,
    VerificationEnded,
)


class Change(Enum):
    """One thing that a view redraws."""

    STATUS = auto()
    """Engine, job, progress, title."""
    SETTINGS = auto()
    """The choices, or which results still belong to them."""
    DOCUMENT = auto()
    """Another session is on the screen."""
    COUNTS = auto()
    NUMBERS = auto()
    LANES = auto()
    PROOF = auto()
    TRIALS = auto()
    """The compilation, what it tries, and the exam."""
    INSPECTIONS = auto()
    """The loss at each position, the attention heads, and the patch effects."""
    STRENGTHS = auto()
    """What is known of the patch at other strengths."""
    LOG = auto()
    RESULT = auto()
    """A job gave all that it was asked for; nothing of it is drawn apart."""
    ESTIMATE = auto()
    """What is known of a model before it is loaded."""


CHANGES: dict[type[Event], tuple[Change, ...]] = {
    **dict.fromkeys((PromptTokenized, UnitsMeasured, MeasureEnded), (Change.COUNTS, Change.NUMBERS)),
    **dict.fromkeys((LaneAdvanced, GenerationEnded, PatchTested), (Change.LANES,)),
    VerificationEnded: (Change.PROOF,),
    **dict.fromkeys((CurvesEnded, HeadsEnded, EffectsMeasured, EffectsEnded), (Change.INSPECTIONS,)),
    **dict.fromkeys(
        (ChoiceAdvanced, CompileEnded, ExamStarted, ExamRowEnded, ExamEnded), (Change.TRIALS, Change.LANES)
    ),
}
"""What each event of the engine changes by itself."""
