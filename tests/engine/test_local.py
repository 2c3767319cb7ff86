"""The engine's face: which events a job sends, in which order, and how it stops."""

import gc
import threading
import weakref
from itertools import groupby

import pytest
import torch

from icltui.api.messages import (
    CountTokens,
    EstimateModel,
    Generate,
    GenerationEnded,
    LaneAdvanced,
    LoadModel,
    Measure,
    MeasureEnded,
    ModelEstimated,
    ModelLoaded,
    Progress,
    PromptTokenized,
    UnitsMeasured,
    VerificationEnded,
    Verify,
)
from icltui.engine import local
from icltui.engine.local import LocalEngine
from icltui.engine.models import load as load_module
from icltui.values.errors import BadInput, ModelError
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.generators import returning
from tests.engine.small_models import make_tiny, make_tokenizer, tiny

PROMPT = Prompt(context="abc def ghi jkl mno pqr", query=" stu")


@pytest.fixture
def engine() -> LocalEngine:
    loaded = tiny("llama", torch.float32)
    return LocalEngine(loaded, loaded.describe("packed"))


def never() -> bool:
    return False


def test_measure_streams_units_in_order(engine, monkeypatch):
    monkeypatch.setattr("icltui.engine.measure.run_prefixes.SHORT_RUN", 0)
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


def test_a_job_waits_until_one_that_was_given_up_has_left_the_model(engine):
    """Its hooks would act in the next job's runs."""
    recipe = Recipe(mode="compiled", n_fitted=2)
    alone = [*engine.run(Generate(prompt=PROMPT, n_tokens=3, lanes=("context", "plain")), never)][-1]
    for stage in ("reading the contextual text", "making the patch", "testing the patch", "KL against"):
        seen = []
        request = Generate(prompt=PROMPT, recipe=recipe, n_tokens=1, curves=True)
        for event in engine.run(request, lambda: bool(seen) and seen[-1].startswith(stage)):  # noqa: B023
            seen.append(event.stage if isinstance(event, Progress) else "")
        assert seen[-1].startswith(stage)
        *_, again = engine.run(Generate(prompt=PROMPT, n_tokens=3, lanes=("context", "plain")), never)
        assert again == alone


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Measure(prompt=Prompt(context="a", query="")), "the query is empty"),
        (Measure(prompt=PROMPT, layers="none"), "no layer is selected"),
        (Measure(prompt=PROMPT, layers="7"), "out of range"),
        (
            Measure(prompt=Prompt(context="a" * 80, query="b")),
            "1 before the text, 80 of context, 1 of query need 82 positions, the model has 64: shorten the context by "
            "18$",
        ),
        (Generate(prompt=PROMPT, n_tokens=0), "at least 1"),
        (Generate(prompt=Prompt(context="a" * 60, query="b"), n_tokens=12), "12 to generate"),
    ],
)
def test_bad_input_is_refused_before_any_work(engine, request_, words):
    with pytest.raises(BadInput, match=words):
        list(engine.run(request_, never))


@pytest.mark.parametrize(
    ("context", "seed", "words"),
    [
        ("", 0, "The context changes nothing, so nothing was proved. The identity holds"),
        ("a", 0, "The context shuffled is the context itself, so that control shows nothing. The identity"),
        ("aaa", 0, "The context shuffled is the context itself"),
        ("abc def", 0, "The identity holds"),
    ],
)
def test_a_verification_of_nothing_is_noted(engine, context, seed, words):
    *_, ended = engine.run(Verify(prompt=Prompt(context=context, query=" x"), seed=seed), never)
    assert ended.verification.ok
    assert ended.verification.note.startswith(words)


def trying_out(monkeypatch, model=None, **how):
    """An engine to which a tiny model comes, and the request that it comes by."""
    model = model or make_tiny("llama", torch.float32)
    monkeypatch.setattr(local, "load", lambda *_: returning(model))
    return LocalEngine(), LoadModel(model="x", **how)


def test_every_pass_of_the_load_check_is_reported(monkeypatch):
    engine, request = trying_out(monkeypatch)
    *told, loaded = engine.run(request, never)
    assert isinstance(loaded, ModelLoaded)
    stages: dict[str, list[tuple[int, int]]] = {}
    for event, _ in groupby(told):  # on a slow machine the last is told again while nothing happens
        stages.setdefault(event.stage, []).append((event.done, event.total))
    assert stages == {
        "trying its cache": [(done, 5) for done in range(5)],
        "proving the patch on it": [(done, 9) for done in range(9)],
        "trying the packed pass on it": [(done, 8) for done in range(8)],
        "taking its fingerprint": [(0, 0)],
    }


@pytest.mark.parametrize("n_told", [1, 3, 14])
def test_a_load_check_that_is_stopped_leaves_no_model(monkeypatch, n_told):
    engine, request = trying_out(monkeypatch)
    told = []
    for event in engine.run(request, lambda: len(told) >= n_told):
        told.append(event)
    assert len(told) == n_told
    assert engine.loaded is engine.info is None


def test_a_pass_that_takes_long_is_no_reason_to_go_on(monkeypatch):
    """Whoever waits is asked again and again, though the model is busy."""
    slow = make_tiny("llama", torch.float32)
    engine, request = trying_out(monkeypatch, slow)
    busy, free = threading.Event(), threading.Event()

    def pass_forever(*_):
        busy.set()
        free.wait()

    slow.model.model.register_forward_pre_hook(pass_forever)
    monkeypatch.setattr("icltui.engine.models.background_thread.HEARTBEAT", 0.01)
    try:
        told = list(engine.run(request, busy.is_set))
    finally:
        free.set()
    assert {event.done for event in told} <= {0}
    assert engine.loaded is None


def test_a_model_is_remembered_with_how_it_was_loaded(monkeypatch):
    engine, request = trying_out(monkeypatch, sites={"norm": "a.{layer}"}, quantize="8bit")
    *_, loaded = engine.run(request, never)
    assert (loaded.model.sites, loaded.model.quantize) == ({"norm": "a.{layer}"}, "8bit")


def test_a_model_that_gives_no_numbers_cannot_be_loaded(monkeypatch):
    spoiled = make_tiny("llama", torch.float32)
    spoiled.model.lm_head.weight.data.fill_(torch.nan)
    engine, request = trying_out(monkeypatch, spoiled)
    with pytest.raises(ModelError, match="cannot be explored: the model's logits are not numbers"):
        list(engine.run(request, never))


def test_a_load_that_fails_early_costs_no_model(engine, tmp_path):
    with pytest.raises(ModelError, match=r"has no config\.json"):
        list(engine.run(LoadModel(model=str(tmp_path)), never))
    assert engine.loaded is not None
    assert isinstance(list(engine.run(Measure(prompt=PROMPT), never))[-1], MeasureEnded)


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_load_that_fails_late_or_is_stopped_leaves_the_model_before_it(tmp_path, monkeypatch, is_stopped):
    """It had to make room, and the next job loads it anew."""
    for name in ("good", "bad"):
        make_tiny("llama", torch.float32).model.save_pretrained(tmp_path / name)
        make_tokenizer().save_pretrained(tmp_path / name)
    engine = LocalEngine()
    good, bad = (LoadModel(model=str(tmp_path / name), device="cpu") for name in ("good", "bad"))
    *_, loaded = engine.run(good, never)
    numbers = [e for e in engine.run(Measure(prompt=PROMPT), never) if isinstance(e, UnitsMeasured)]
    if is_stopped:
        list(engine.run(bad, lambda: engine.loaded is None))
    else:
        monkeypatch.setattr(load_module, "check_weights", fail)
        with pytest.raises(ModelError, match="spoiled"):
            list(engine.run(bad, never))
        monkeypatch.undo()
    assert engine.loaded is None, "two models would not fit beside each other"
    *_, ended = again = list(engine.run(Measure(prompt=PROMPT), never))
    assert Progress(stage=f"loading {good.model}", done=0, total=0) in again
    assert isinstance(ended, MeasureEnded)
    assert [event for event in again if isinstance(event, UnitsMeasured)] == numbers
    assert not any(isinstance(event, ModelLoaded) for event in again)
    assert engine.info.fingerprint == loaded.model.fingerprint


def fail(*_):
    raise ModelError("spoiled")


def test_an_estimate_loads_nothing_and_costs_nothing(engine, tmp_path, monkeypatch):
    make_tiny("gpt2", torch.float32).model.save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    monkeypatch.setattr(load_module, "_read", fail)
    before, load = engine.loaded, LoadModel(model=str(tmp_path), device="cpu")
    first, estimated = engine.run(EstimateModel(load=load), never)
    assert first == Progress(stage=f"looking at {tmp_path}", done=0, total=0)
    assert isinstance(estimated, ModelEstimated)
    *_, alone = LocalEngine().run(EstimateModel(load=load), never)
    assert alone.estimate.weight_bytes == estimated.estimate.weight_bytes > 0
    assert engine.loaded is before


def test_an_estimate_refuses_what_loading_would(tmp_path):
    load = LoadModel(model=str(tmp_path / "none"))
    with pytest.raises(ModelError, match="no folder"):
        list(LocalEngine().run(EstimateModel(load=load), never))


def test_what_the_present_model_would_leave_counts_as_free(engine, tmp_path, monkeypatch):
    make_tiny("llama", torch.float32).model.save_pretrained(tmp_path)
    monkeypatch.setattr(load_module, "free_bytes", lambda _device, _map: 2**40)
    monkeypatch.setattr(LocalEngine, "_held", lambda _engine, _device: 2**30)
    load = LoadModel(model=str(tmp_path), device="cpu")
    _, estimated = engine.run(EstimateModel(load=load), never)
    assert estimated.estimate.available_bytes == 2**40 + 2**30


def test_only_a_gpu_counts_what_it_holds():
    engine = LocalEngine(make_tiny("llama", torch.float32))
    assert engine._held(torch.device("cpu")) == 0
    engine.loaded.model.to("meta")  # stands for a device with memory of its own
    weights = sum(p.nbytes for p in engine.loaded.model.parameters())
    assert weights <= engine._held(torch.device("meta")) < weights + 2**16
    assert engine._held(torch.device("cuda")) == 0


def test_a_token_that_the_model_has_no_row_for_is_refused():
    loaded = make_tiny("llama", torch.float32)
    loaded.tokenizer.add_tokens(["ZZZ99"])
    id_ = loaded.tokenizer.convert_tokens_to_ids("ZZZ99")
    rows = loaded.model.get_input_embeddings()
    rows.weight = torch.nn.Parameter(rows.weight[:id_], requires_grad=False)
    engine = LocalEngine(loaded, loaded.describe("packed"))
    with pytest.raises(
        BadInput, match=f"token 'ZZZ99' has id {id_}, and this model embeds ids 0 to {id_ - 1}"
    ):
        list(engine.run(Measure(prompt=Prompt(context="a ZZZ99", query=" b")), never))


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
