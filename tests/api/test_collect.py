"""A job's events add up to one result, whoever listens: the command line at once, the explorer as they come."""

from collections.abc import Callable, Iterator

import msgspec
import pytest

from icltui.api import run_to_result
from icltui.api.collect import Collected
from icltui.api.messages import (
    Event,
    Export,
    Generate,
    GenerateEach,
    GenerationEnded,
    LoadModel,
    Measure,
    MeasureCurves,
    MeasureHeads,
    PatchTested,
    Request,
    UnitsMeasured,
    Verify,
)
from icltui.tui.state.results import Results
from icltui.values import LANES
from icltui.values.errors import EngineError
from tests.tui import samples

MEASURE = Measure(prompt=samples.PROMPT)


class Script:
    """An engine that says the same whatever it is asked."""

    def __init__(self, *events: Event) -> None:
        self._events = events

    def run(self, _request: Request, _should_stop: Callable[[], bool]) -> Iterator[Event]:
        yield from self._events


def test_both_listeners_measure_the_same() -> None:
    at_once, results = run_to_result.measure(Script(*samples.MEASURE), MEASURE), Results()
    for event in samples.MEASURE:
        results.take(MEASURE, event)
    assert at_once == results.measurement == samples.MEASUREMENT
    assert results.measured.units == set(range(samples.N_UNITS + 1))


def test_a_later_prediction_counts() -> None:
    later = msgspec.structs.replace(samples.prediction(1), kl_to_full=0.5)
    collected = Collected(MEASURE)
    for event in (
        samples.TOKENIZED,
        samples.chunk(0, samples.N_UNITS),
        UnitsMeasured(rows=(), predictions=(later,)),
    ):
        collected.take(event)
    assert collected.measurement is None, "it has not ended"
    collected.take(samples.MEASURED)
    assert collected.measurement
    assert [p for p in collected.measurement.predictions if p.unit == 1] == [later]


def test_each_generation_gets_its_own_report() -> None:
    request = GenerateEach(prompt=samples.PROMPT, queries=("a", "b"))
    bare = msgspec.structs.replace(samples.generation(LANES), patch=None)
    events = (
        GenerationEnded(generation=bare),
        PatchTested(patch=samples.PATCH),
        GenerationEnded(generation=bare),
    )
    first, second = run_to_result.generate_each(Script(*events), request)
    assert (first.patch, second.patch) == (samples.PATCH, None)


@pytest.mark.parametrize(
    ("job", "request_", "what"),
    [
        (run_to_result.load, LoadModel(), "a model"),
        (run_to_result.measure, MEASURE, "a measurement"),
        (run_to_result.generate, Generate(prompt=samples.PROMPT), "a generation"),
        (run_to_result.verify, Verify(prompt=samples.PROMPT), "a verification"),
        (run_to_result.curves, MeasureCurves(prompt=samples.PROMPT), "loss curves"),
        (run_to_result.heads, MeasureHeads(prompt=samples.PROMPT), "scores of heads"),
        (run_to_result.export, Export(prompt=samples.PROMPT), "an export"),
    ],
)
def test_an_engine_that_ends_without_a_result_is_told(
    job: Callable[..., object], request_: Request, what: str
) -> None:
    with pytest.raises(EngineError, match=f"the engine ended without {what}: report this"):
        job(Script(samples.MEASURED), request_)
