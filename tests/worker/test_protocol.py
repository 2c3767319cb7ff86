"""The lines between the two processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icltui.api import messages
from icltui.values import Candidate, ExportReport, Prediction, Row, Token
from icltui.values.errors import BadInput, EngineError
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling
from icltui.worker.protocol import (
    Cancel,
    Happened,
    Hello,
    Submit,
    decode_client_message,
    decode_server_message,
    encode,
    job_of,
)
from tests.compilations import CHOICE_POINT, COMPILATION
from tests.curves_and_heads import CURVES, EFFECTS, HEADS
from tests.joined_patches import JOINED, SOURCE
from tests.tui.samples import PATCH

ROW = Row(unit=1, layer=0, z_norm=1.5, learning_rate=1e-300, net_patch_norm=None)
PREDICTION = Prediction(
    unit=1,
    top=(Candidate(token=Token(id=3, text="[/INST]\x1b[2J\n\0"), probability=0.25),),
    entropy=0.1,
    kl_to_full=None,
)


@pytest.mark.parametrize(
    "request_",
    [
        messages.LoadModel(model="demo", revision="main"),
        messages.EstimateModel(
            load=messages.LoadModel(model="a/b", quantize="4bit", sites={"mlp": "x.{layer}"})
        ),
        messages.CountTokens(prompt=Prompt(context="π ✨", unit="\n")),
        messages.Measure(prompt=Prompt(), layers="0,2-3"),
        messages.Generate(
            prompt=Prompt(), recipe=Recipe(mode="frozen", components="shift"), lanes=("patched",)
        ),
        messages.Generate(
            prompt=Prompt(),
            recipe=Recipe(mode="compiled", alpha="search", rank=3, ridge=1e-4, queries=("a", "[/INST]")),
            sampling=Sampling(temperature=0.5, top_k=4, seed=2**63 - 1),
            holdout=("b",),
            curves=True,
        ),
        messages.GenerateEach(prompt=Prompt(), queries=("a", "b\x1b[2J"), recipe=Recipe(alpha=0.5)),
        messages.GenerateAhead(
            generate=messages.Generate(prompt=Prompt(), forced={"plain": (3, 1)}), alphas=(0.5, 1.05)
        ),
        messages.Export(prompt=Prompt(), recipe=Recipe(mode="frozen"), path="out", fingerprint="f"),
        messages.Verify(prompt=Prompt(), seed=7),
        messages.MeasureCurves(prompt=Prompt(unit="line"), own_texts=3, own_tokens=9, seed=2),
        messages.MeasureHeads(prompt=Prompt(), layers="0,2", n_random=9, n_seeds=3, seed=1),
        messages.MeasureEffects(prompt=Prompt(), layers="0,2", seed=1),
        messages.Compile(
            prompt=Prompt(context="c"),
            recipe=Recipe(mode="compiled", queries=("a", "[/INST]"), ridge=0.01),
            pinned=("ridge",),
            holdout=("b",),
            calibrate="user",
            seed=2**63 - 1,
            format="gguf-lora",
            path="out",
        ),
        messages.JoinAdapters(contexts=(SOURCE, SOURCE), path="out"),
    ],
)
def test_an_order_comes_back_as_it_was(request_: messages.Request) -> None:
    line = encode(Submit(5, request_))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_client_message(line) == Submit(5, request_)


@pytest.mark.parametrize(
    "event",
    [
        messages.UnitsMeasured(rows=(ROW,), predictions=(PREDICTION,)),
        messages.JobEnded(),
        messages.JobFailed(kind="BadInput", message="no", exit_code=2),
        messages.Progress(stage="load", done=1, total=2),
        messages.PatchTested(patch=PATCH),
        messages.QueryWritten(query="[/INST]\x1b[2J", continuation="π", done=1, total=24),
        messages.ChoiceAdvanced(point=CHOICE_POINT),
        messages.CompileEnded(compilation=COMPILATION),
        messages.AdaptersJoined(joined=JOINED),
        messages.CurvesEnded(curves=CURVES),
        messages.HeadsEnded(heads=HEADS),
        messages.EffectsMeasured(layers=EFFECTS.layers, plain=2.0, units=EFFECTS.units),
        messages.EffectsEnded(effects=EFFECTS),
        messages.ExportEnded(report=ExportReport(format="peft", files=("a/b",), rank=4, n_tensors=36)),
    ],
)
def test_an_event_comes_back_as_it_was(event: messages.Event) -> None:
    assert decode_server_message(encode(Happened(5, event))) == Happened(5, event)


def test_greeting_and_cancel_come_back_as_they_were() -> None:
    assert decode_server_message(encode(Hello(1, "0.1.0"))) == Hello(1, "0.1.0")
    assert decode_client_message(encode(Cancel(4))) == Cancel(4)


def test_numbers_without_value_arrive_as_none() -> None:
    row = Row(unit=1, layer=0, z_norm=float("nan"), learning_rate=float("inf"), net_patch_norm=0.0)
    report = decode_server_message(encode(Happened(1, messages.UnitsMeasured(rows=(row,), predictions=()))))
    assert isinstance(report, Happened)
    assert isinstance(report.event, messages.UnitsMeasured)
    assert (report.event.rows[0].z_norm, report.event.rows[0].learning_rate) == (None, None)


@given(st.binary(max_size=400))
def test_any_other_line_is_one_plain_error(line: bytes) -> None:
    for decode in (decode_client_message, decode_server_message):
        with pytest.raises(EngineError, match=r"^line not understood: ") as caught:
            decode(line)
        assert str(caught.value).isprintable()


def test_a_long_line_is_cut_in_its_error() -> None:
    with pytest.raises(EngineError) as caught:
        decode_server_message(b"Welcome to gpubox! " * 1000)
    assert "Welcome to gpubox!" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_half_a_character_is_refused_in_words() -> None:
    with pytest.raises(BadInput, match=r"half a character \(U\+DC80 at character 3\)"):
        encode(Submit(1, messages.CountTokens(prompt=Prompt(context="ab\udc80"))))


def test_the_job_of_an_unknown_request_is_still_found() -> None:
    assert job_of(b'{"say":"Submit","job":9,"request":{"type":"Fly"}}') == 9
    assert job_of(b"[1]") is None
    assert job_of(b"\xff") is None
