"""Values that leave the engine: frozen, torch-free, and at once the wire format and the session format.

Norms are Euclidean or Frobenius; probabilities are in [0, 1]; entropies and divergences in nats. A number
that is undefined or not finite is ``None``. Symbols refer to the papers named in ``icltui.engine``.
"""

from icltui.values.base import Candidate, LogitError, PromptIds, Record, Token
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
    "FORMAT",
    "LANES",
    "LANE_TITLES",
    "Agreement",
    "Candidate",
    "CurvePoint",
    "Curves",
    "Difference",
    "DifferenceKind",
    "Dynamics",
    "ErrorLimits",
    "Estimate",
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
    "PromptIds",
    "Quantize",
    "Record",
    "Reference",
    "RefusedLayer",
    "Replay",
    "Row",
    "Run",
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
