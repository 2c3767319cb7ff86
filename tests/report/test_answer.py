"""What came of a request is one document, whichever door it leaves by: that of the command of its name."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from icltui.api.collect import Collected
from icltui.api.messages import (
    Compile,
    CompileEnded,
    CurvesEnded,
    Event,
    ExamEnded,
    Examine,
    Generate,
    GenerateEach,
    GenerationEnded,
    HeadsEnded,
    Measure,
    MeasureCurves,
    MeasureHeads,
    Request,
    VerificationEnded,
    Verify,
)
from icltui.api.operation import OPERATIONS
from icltui.report.answer import answer_figure, answer_json, result_json
from icltui.report.compilation import compile_json
from icltui.report.curves import curves_json
from icltui.report.exam import exam_json
from icltui.report.generate import generate_each_json, generate_json
from icltui.report.heads import heads_json
from icltui.report.measure_json_csv import measure_json
from icltui.report.verify import verify_json
from icltui.values import Exam, ExamRow
from icltui.values.errors import BadInput, EngineError
from icltui.values.prompt import Prompt
from tests.compilations import COMPILATION
from tests.curves_and_heads import CURVES, HEADS
from tests.sessions import A_GENERATION, A_VERIFICATION, REFUSING
from tests.tui import samples

PROMPT = Prompt(context="a", query="b", positions="keep", chat=True)
EXAM = Exam(rows=(ExamRow(patch="plain"),), queries=(), calibration=("a",))
OTHER = msgspec.structs.replace(A_GENERATION, lanes={"plain": A_GENERATION.lanes["plain"]})
CASES: dict[str, tuple[Request, tuple[Event, ...], Callable[[], str]]] = {
    "measure": (
        Measure(prompt=PROMPT),
        samples.MEASURE,
        lambda: measure_json(REFUSING, PROMPT, samples.MEASUREMENT),
    ),
    "generate": (
        Generate(prompt=PROMPT),
        (GenerationEnded(generation=A_GENERATION),),
        lambda: generate_json(REFUSING, PROMPT, A_GENERATION),
    ),
    "generate --each": (
        GenerateEach(prompt=PROMPT, queries=("c", "d")),
        (GenerationEnded(generation=A_GENERATION), GenerationEnded(generation=OTHER)),
        lambda: generate_each_json(REFUSING, PROMPT, ("c", "d"), (A_GENERATION, OTHER)),
    ),
    "verify": (
        Verify(prompt=PROMPT),
        (VerificationEnded(verification=A_VERIFICATION),),
        lambda: verify_json(REFUSING, PROMPT, A_VERIFICATION),
    ),
    "curves": (
        MeasureCurves(prompt=PROMPT),
        (CurvesEnded(curves=CURVES),),
        lambda: curves_json(REFUSING, PROMPT, CURVES),
    ),
    "heads": (
        MeasureHeads(prompt=PROMPT),
        (HeadsEnded(heads=HEADS),),
        lambda: heads_json(REFUSING, PROMPT, HEADS),
    ),
    "compile": (
        Compile(prompt=PROMPT),
        (CompileEnded(compilation=COMPILATION),),
        lambda: compile_json(REFUSING, PROMPT, COMPILATION),
    ),
    "exam": (
        Examine(prompt=PROMPT),
        (ExamEnded(exam=EXAM),),
        lambda: exam_json(REFUSING, PROMPT, EXAM),
    ),
}


def collect(request: Request, events: tuple[Event, ...]) -> Collected:
    collected = Collected(request)
    for event in events:
        collected.take(event)
    return collected


def test_every_operation_has_an_answer() -> None:
    assert {operation.name for operation in OPERATIONS} == set(CASES) - {"generate --each"}


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_the_document_of_its_command(name: str) -> None:
    request, events, document = CASES[name]
    collected = collect(request, events)
    text = answer_json(REFUSING, request, collected)
    assert text == document() == result_json(REFUSING, request, collected.result)
    made_of = json.loads(text)
    assert (made_of["positions"], made_of["chat"]) == ("keep", True)


def test_of_several_generations_the_last_is_the_answer_to_one_query() -> None:
    _, events, _ = CASES["generate --each"]
    assert collect(Generate(prompt=PROMPT), events).result == OTHER


@pytest.mark.parametrize("name", CASES)
def test_an_answer_that_did_not_come_is_an_error(name: str) -> None:
    request, _, _ = CASES[name]
    with pytest.raises(EngineError, match=f"the engine ended without an answer to {type(request).__name__}"):
        answer_json(REFUSING, request, Collected(request))


def test_a_measurement_is_drawn_and_nothing_else() -> None:
    measured: Any = collect(Measure(prompt=PROMPT), samples.MEASURE)
    drawn = answer_figure(samples.MODEL, measured.request, measured)
    assert drawn.startswith("<?xml")
    assert "</svg>" in drawn
    for request in (Measure(prompt=PROMPT), Verify(prompt=PROMPT)):
        with pytest.raises(BadInput, match="a figure is drawn of a measurement with one unit or more"):
            answer_figure(samples.MODEL, request, collect(request, CASES["verify"][1]))
