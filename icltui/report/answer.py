"""The answer to a request as every door gives it: the JSON of its command's ``--format json``, and its figure."""

from collections.abc import Callable
from typing import Any

from icltui.api.collect import Collected
from icltui.api.messages import (
    Compile,
    Examine,
    Generate,
    GenerateEach,
    Measure,
    MeasureCurves,
    MeasureHeads,
    Request,
    Verify,
)
from icltui.report.compilation import compile_json
from icltui.report.curves import curves_json
from icltui.report.exam import exam_json
from icltui.report.generate import generate_each_json, generate_json
from icltui.report.heads import heads_json
from icltui.report.measure_json_csv import measure_json
from icltui.report.verify import verify_json
from icltui.values import ModelInfo, Session
from icltui.values.errors import BadInput, EngineError
from icltui.values.prompt import Prompt

_DOCUMENTS: dict[type, Callable[[ModelInfo, Prompt, Any], str]] = {
    Measure: measure_json,
    Generate: generate_json,
    Verify: verify_json,
    MeasureCurves: curves_json,
    MeasureHeads: heads_json,
    Compile: compile_json,
    Examine: exam_json,
}


def answer_json(model: ModelInfo, request: Request, collected: Collected) -> str:
    """What came of ``request``, as the command of its name prints it with ``--format json``.

    Raises:
        EngineError: the job ended without a result, or a number in it is not finite.
    """
    result = collected.result
    if not result:
        raise EngineError(
            f"the engine ended without an answer to {type(request).__name__}: ask again, or restart the engine"
        )
    return result_json(model, request, result)


def result_json(model: ModelInfo, request: Request, result: Any) -> str:
    """A result, as :attr:`.Collected.result` has it, in the JSON of its command.

    Raises:
        EngineError: a number in it is not finite.
    """
    if isinstance(request, GenerateEach):
        return generate_each_json(model, request.prompt, request.queries, result)
    prompt: Prompt = request.prompt  # type: ignore[union-attr]  # as every request in the table has
    return _DOCUMENTS[type(request)](model, prompt, result)


def answer_figure(model: ModelInfo, request: Request, collected: Collected) -> str:
    """The figure of a measurement, as SVG.

    Raises:
        BadInput: the answer is no measurement, or has no row to draw; or Matplotlib is not installed.
    """
    from icltui.report.figure import figure

    measurement = collected.measurement
    if not isinstance(request, Measure) or measurement is None or not measurement.rows:
        raise BadInput("there is nothing to draw: a figure is drawn of a measurement with one unit or more")
    session = Session(prompt=request.prompt, layers=request.layers, model=model, measurement=measurement)
    return figure(session, "svg").decode()
