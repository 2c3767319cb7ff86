"""The engine's face: which events a job sends, in which order, and how it stops."""

import gc
import weakref

import pytest
import torch

from icltui.api import (
    CountTokens,
    Generate,
    GenerationEnded,
    LaneAdvanced,
    LoadModel,
    Measure,
    MeasureEnded,
    PromptTokenized,
    UnitsMeasured,
    VerificationEnded,
    Verify,
)
from icltui.engine.local import LocalEngine
from icltui.errors import BadInput
from icltui.prompt import Prompt
from tests.engine.models import make_tiny, make_tokenizer, tiny

PROMPT = Prompt(context="abc def ghi jkl mno pqr", query=" stu")


@pytest.fixture
def engine() -> LocalEngine:
    loaded = tiny("llama", torch.float32)
    return LocalEngine(loaded, loaded.describe("packed"))


def never() -> bool:
    return False


def test_measure_streams_units_in_order(engine):
    first, *middle, last = engine.run(Measure(prompt=PROMPT), never)
    assert isinstance(first, PromptTokenized)
    assert isinstance(last, MeasureEnded)
    assert all(isinstance(event, UnitsMeasured) for event in middle)
    units = list(range(len(PROMPT.context) + 1))
    last_told = {p.unit: p for event in middle for p in event.predictions}
    assert sorted(last_told) == units
    assert all(p.kl_to_full is not None for p in last_told.values())
    assert [(r.unit, r.layer) for e in middle for r in e.rows] == [(u, k) for u in units for k in range(3)]
    assert len(middle) > 1, "the first numbers must not wait for the last"


def test_layers_are_chosen_by_text(engine):
    *_, ended = engine.run(Measure(prompt=PROMPT, layers="0,2"), never)
    assert ended.layers == (0, 2)


def test_generate_streams_then_sums_up(engine):
    *steps, last = engine.run(Generate(prompt=PROMPT, n_tokens=3), never)
    assert [event.step.lane for event in steps] == ["context", "plain", "patched"] * 3
    assert all(isinstance(event, LaneAdvanced) for event in steps)
    assert isinstance(last, GenerationEnded)


def test_verify_and_count(engine):
    assert isinstance(list(engine.run(Verify(prompt=PROMPT), never))[-1], VerificationEnded)
    (only,) = engine.run(CountTokens(prompt=PROMPT), never)
    assert len(only.tokens.context) == len(PROMPT.context)


@pytest.mark.parametrize("request_", [Measure(prompt=PROMPT), Generate(prompt=PROMPT), Verify(prompt=PROMPT)])
def test_a_job_stops_when_asked(engine, request_):
    seen = []
    for event in engine.run(request_, lambda: len(seen) >= 1):
        seen.append(event)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Measure(prompt=Prompt(context="a", query="")), "the query is empty"),
        (Measure(prompt=PROMPT, layers="none"), "no layer is selected"),
        (Measure(prompt=PROMPT, layers="7"), "out of range"),
        (Measure(prompt=Prompt(context="a" * 80, query="b")), "shorten the context by 18 tokens"),
        (Generate(prompt=PROMPT, n_tokens=0), "at least 1"),
        (Generate(prompt=Prompt(context="a" * 60, query="b"), n_tokens=12), "12 to generate"),
    ],
)
def test_bad_input_is_refused_before_any_work(engine, request_, words):
    with pytest.raises(BadInput, match=words):
        list(engine.run(request_, never))


def test_without_a_model():
    with pytest.raises(BadInput, match="no model is loaded"):
        list(LocalEngine().run(Measure(prompt=PROMPT), never))


def test_a_replaced_model_is_freed(tmp_path):
    """On a GPU the second model would not fit beside the first."""
    make_tiny("llama", torch.float32).model.save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    local, load = LocalEngine(), LoadModel(model=str(tmp_path), device="cpu")
    list(local.run(load, never))
    list(local.run(Measure(prompt=PROMPT), never))
    first = weakref.ref(local.loaded.model)
    list(local.run(load, never))
    gc.collect()
    assert first() is None
