"""One job of an engine in this process, from its request to its result; the explorer sees the events as a stream."""

from collections.abc import Callable
from typing import Any, TypeVar

from icltui.api.collect import Collected
from icltui.api.engine import Engine
from icltui.api.messages import (
    Compile,
    Event,
    Examine,
    Export,
    Generate,
    GenerateEach,
    JoinAdapters,
    LoadModel,
    Measure,
    MeasureCurves,
    MeasureHeads,
    Request,
    Verify,
)
from icltui.values import (
    AttentionHeads,
    Compilation,
    Exam,
    ExportReport,
    Generation,
    JoinedPatch,
    LossCurves,
    Measurement,
    ModelInfo,
    Verification,
)
from icltui.values.errors import EngineError

Result = TypeVar("Result")


def load(
    engine: Engine, request: LoadModel, on_event: Callable[[Event], object] = lambda _event: None
) -> ModelInfo:
    """Load a model; ``on_event`` hears every event as it comes."""
    return _given(_run(engine, request, on_event).model, "a model")


def answer(
    engine: Engine, request: Request, on_event: Callable[[Event], object] = lambda _event: None
) -> Any:
    """What any request asks for, as :attr:`.Collected.result` has it; ``on_event`` hears every event as it comes."""
    return _given(_run(engine, request, on_event).result, "an answer")


def measure(engine: Engine, request: Measure) -> Measurement:
    """Measure every unit at every layer."""
    return _given(_run(engine, request).measurement, "a measurement")


def generate(engine: Engine, request: Generate) -> Generation:
    """Generate the lanes, and test their patch."""
    return _given(_run(engine, request).generations, "a generation")[-1]


def generate_each(engine: Engine, request: GenerateEach) -> tuple[Generation, ...]:
    """Generate the lanes of each query."""
    return tuple(_given(_run(engine, request).generations, "a generation"))


def verify(engine: Engine, request: Verify) -> Verification:
    """Prove the patch."""
    return _given(_run(engine, request).verification, "a verification")


def curves(
    engine: Engine, request: MeasureCurves, on_event: Callable[[Event], object] = lambda _event: None
) -> LossCurves:
    """Measure the loss at every position; ``on_event`` hears every event as it comes."""
    return _given(_run(engine, request, on_event).curves, "loss curves")


def heads(
    engine: Engine, request: MeasureHeads, on_event: Callable[[Event], object] = lambda _event: None
) -> AttentionHeads:
    """Score every attention head; ``on_event`` hears every event as it comes."""
    return _given(_run(engine, request, on_event).heads, "scores of heads")


def export(engine: Engine, request: Export) -> ExportReport:
    """Write the patch for another program."""
    return _given(_run(engine, request).export, "an export")


def compile(
    engine: Engine, request: Compile, on_event: Callable[[Event], object] = lambda _event: None
) -> Compilation:
    """Make one patch of the context; ``on_event`` hears every event as it comes."""
    return _given(_run(engine, request, on_event).compilation, "a compilation")


def join(
    engine: Engine, request: JoinAdapters, on_event: Callable[[Event], object] = lambda _event: None
) -> JoinedPatch:
    """Write the adapter of several contexts; ``on_event`` hears every event as it comes."""
    return _given(_run(engine, request, on_event).joined, "a joined patch")


def exam(engine: Engine, request: Examine, on_event: Callable[[Event], object] = lambda _event: None) -> Exam:
    """Put every patch to the test; ``on_event`` hears every event as it comes."""
    return _given(_run(engine, request, on_event).exam, "an exam")


def _run(
    engine: Engine, request: Request, on_event: Callable[[Event], object] = lambda _event: None
) -> Collected:
    collected = Collected(request)
    for event in engine.run(request, lambda: False):
        on_event(event)
        collected.take(event)
    return collected


def _given(result: Result | None, what: str) -> Result:
    """``result``, unless it is none or empty.

    Raises:
        EngineError: the engine ended without it.
    """
    if not result:
        raise EngineError(f"the engine ended without {what}: report this with the command that you ran")
    return result
