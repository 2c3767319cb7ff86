"""One job of an engine in this process, from its request to the record that it amounts to.

What the headless commands run on; the explorer sees the same events as a stream instead.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from icltui.api.messages import (
    Engine,
    Event,
    Export,
    ExportEnded,
    Generate,
    GenerateEach,
    GenerationEnded,
    LoadModel,
    Measure,
    MeasureEnded,
    ModelLoaded,
    PatchTested,
    PromptTokenized,
    Request,
    UnitsMeasured,
    VerificationEnded,
    Verify,
)
from icltui.values import ExportReport, Generation, Measurement, ModelInfo, Prediction, Row, Verification
from icltui.values.errors import EngineError

Kind = TypeVar("Kind")


def load(
    engine: Engine, request: LoadModel, tell: Callable[[Event], None] = lambda _event: None
) -> ModelInfo:
    """Load the model; its facts. ``tell`` hears every event as it comes."""
    events: list[Event] = []
    for event in engine.run(request, lambda: False):
        tell(event)
        events.append(event)
    return _last(events, ModelLoaded).model


def measure(engine: Engine, request: Measure) -> Measurement:
    """Every number of one measure."""
    rows: list[Row] = []
    predictions: dict[int, Prediction] = {}
    events = _events(engine, request)
    for event in events:
        if isinstance(event, UnitsMeasured):
            rows += event.rows
            predictions |= {prediction.unit: prediction for prediction in event.predictions}
    ended = _last(events, MeasureEnded)
    return Measurement(
        tokens=_last(events, PromptTokenized).tokens,
        layers=ended.layers,
        rows=tuple(rows),
        predictions=tuple(predictions.values()),
        path=ended.path,
        seconds=ended.seconds,
        dynamics=request.dynamics,
        reference=request.reference,
        precision=request.precision,
        pairs=ended.pairs,
    )


def generate(engine: Engine, request: Generate) -> Generation:
    """The lanes, and what is known of their patch."""
    return _generations(_events(engine, request))[-1]


def generate_each(engine: Engine, request: GenerateEach) -> tuple[Generation, ...]:
    """The lanes of each query."""
    return _generations(_events(engine, request))


def verify(engine: Engine, request: Verify) -> Verification:
    """The proof."""
    return _last(_events(engine, request), VerificationEnded).verification


def export(engine: Engine, request: Export) -> ExportReport:
    """The patch, written for another program."""
    return _last(_events(engine, request), ExportEnded).report


def _generations(events: list[Event]) -> tuple[Generation, ...]:
    """Each generation, with the report on its patch where one follows it."""
    found: list[Generation] = []
    for event in events:
        if isinstance(event, GenerationEnded):
            found.append(event.generation)
        elif isinstance(event, PatchTested):
            found[-1] = msgspec.structs.replace(found[-1], patch=event.patch)
    if not found:
        raise EngineError("the engine ended without a generation: report this with the command that you ran")
    return tuple(found)


def _events(engine: Engine, request: Request) -> list[Event]:
    return list(engine.run(request, lambda: False))


def _last(events: list[Event], kind: type[Kind]) -> Kind:
    for event in reversed(events):
        if isinstance(event, kind):
            return event
    raise EngineError(f"the engine ended without {kind.__name__}: report this with the command that you ran")
