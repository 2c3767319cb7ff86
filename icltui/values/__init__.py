"""Values that leave the engine: frozen, torch-free, and at once the wire format and the session format.

Norms are Euclidean or Frobenius; probabilities are in [0, 1]; entropies and divergences in nats. A number
that is undefined or not finite is ``None``. Symbols refer to the papers named in ``icltui.engine``.
"""

from icltui.values.base import Candidate, LogitError, PromptIds, Record, Token
from icltui.values.exam import (
    EXAM_PATCHES,
    EXAM_TITLES,
    AnswersFrom,
    Exam,
    ExamAnswer,
    ExamPatch,
    ExamQuery,
    ExamRow,
    PriorGroup,
    RankPoint,
    ScoresOnOther,
)
from icltui.values.export import ExportFormat, ExportReport
from icltui.values.generation import LANE_TITLES, LANES, Agreement, Generation, Lane, LaneStep, LaneText
from icltui.values.measurement import (
    Dynamics,
    Measurement,
    Pairs,
    Precision,
    Prediction,
    Reference,
    Row,
    TokenizedPrompt,
    Unit,
)
from icltui.values.model import Estimate, ModelInfo, Path, Quantize, RefusedLayer, Sink, ZooRow
from icltui.values.patch import CurvePoint, Curves, LayerFit, PatchReport, PatchTest, Tested
from icltui.values.replay import (
    Difference,
    DifferenceKind,
    FieldReplay,
    Replay,
    Section,
    SectionReplay,
)
from icltui.values.session import FORMAT, Run, Session
from icltui.values.verification import ErrorLimits, LayerCheck, Verification

__all__ = [
    "EXAM_PATCHES",
    "EXAM_TITLES",
    "FORMAT",
    "LANES",
    "LANE_TITLES",
    "Agreement",
    "AnswersFrom",
    "Candidate",
    "CurvePoint",
    "Curves",
    "Difference",
    "DifferenceKind",
    "Dynamics",
    "ErrorLimits",
    "Estimate",
    "Exam",
    "ExamAnswer",
    "ExamPatch",
    "ExamQuery",
    "ExamRow",
    "ExportFormat",
    "ExportReport",
    "FieldReplay",
    "Generation",
    "Lane",
    "LaneStep",
    "LaneText",
    "LayerCheck",
    "LayerFit",
    "LogitError",
    "Measurement",
    "ModelInfo",
    "Pairs",
    "PatchReport",
    "PatchTest",
    "Path",
    "Precision",
    "Prediction",
    "PriorGroup",
    "PromptIds",
    "Quantize",
    "RankPoint",
    "Record",
    "Reference",
    "RefusedLayer",
    "Replay",
    "Row",
    "Run",
    "ScoresOnOther",
    "Section",
    "SectionReplay",
    "Session",
    "Sink",
    "Tested",
    "Token",
    "TokenizedPrompt",
    "Unit",
    "Verification",
    "ZooRow",
]
