"""Another model from inside: the dialog, the estimate before, and what becomes of what was there."""

from pathlib import Path

import msgspec
import pytest
from textual.widgets import Input, OptionList

from icltui.api.messages import (
    EngineAwaited,
    EstimateModel,
    Generate,
    JobCancelled,
    JobEnded,
    JobFailed,
    LoadModel,
    Measure,
    ModelEstimated,
    ModelLoaded,
    Progress,
)
from icltui.storage.recent_models import recent_models, remember_model
from icltui.tui.dialogs.load_model import LoadModelDialog
from icltui.tui.state.engine_status import model_facts
from icltui.tui.state.model_form import FIELDS, blank, choices_text, load_of, texts_of
from icltui.tui.state.staleness import numbers_note
from icltui.tui.widgets.status_line import state_text
from icltui.values.errors import BadInput
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.state.test_explorer import Ear, idle

GPT2 = LoadModel(model="gpt2", dtype="bfloat16", device="cuda:1")
OTHER = msgspec.structs.replace(samples.MODEL, name="gpt2", fingerprint="1" * 16, n_layers=3)
ESTIMATED = ModelEstimated(estimate=samples.ESTIMATE)
BAD = JobFailed(kind="ModelError", message="model 'gpt2' has no weights", exit_code=3)


# Without a screen.


async def test_another_model_stops_the_run_and_marks_its_numbers_as_the_others() -> None:
    ear = await idle()
    await ear.explorer.run()
    await ear.explorer.load_model(GPT2)
    assert ear.client.cancelled == [ear.client.job]
    ear.client.give_way()
    assert ear.client.request == GPT2
    assert not ear.explorer.jobs.plan
    ear.client.finish(ModelLoaded(model=OTHER))
    assert ear.explorer.models.load == GPT2
    assert numbers_note(ear.explorer.results, ear.explorer.settings).startswith(
        "measured on demo, ^r measures on gpt2"
    )
    assert ear.explorer.ticked == (0, 1, 2)
    ear.client.die("gone")
    await ear.explorer.run()
    assert ear.client.request == GPT2, "the engine that was started anew gets the model that was loaded last"


async def test_the_newest_load_wins_and_a_run_waits_for_it() -> None:
    ear = await idle()
    await ear.explorer.load_model(LoadModel(model="a"))
    first = ear.client.job
    await ear.explorer.load_model(LoadModel(model="b"))
    await ear.explorer.load_model(GPT2)
    await ear.explorer.run()
    assert ear.client.cancelled == [first]
    ear.client.give_way(first)
    assert ear.lines == [], "whoever asked for another model need not be told that this one did not come"
    assert ear.client.request == GPT2
    assert [type(r) for r in ear.explorer.jobs.plan] == [Measure, Generate]


async def test_a_model_that_came_before_its_cancel_is_the_engines() -> None:
    ear = await idle()
    await ear.explorer.load_model(GPT2)
    first = ear.client.job
    await ear.explorer.load_model(LoadModel(model="b"))
    ear.client.send(first, ModelLoaded(model=OTHER), JobEnded())
    ear.client.send(ear.client.job, msgspec.structs.replace(BAD, message="no b"))
    assert ear.lines == ["no b; gpt2 stays the model"]
    assert ear.explorer.model == OTHER


@pytest.mark.parametrize(
    ("end", "line"),
    [
        (BAD, "model 'gpt2' has no weights; demo stays the model"),
        (JobCancelled(), "gpt2 was not loaded; demo stays the model"),
    ],
)
async def test_a_load_that_does_not_come_about_says_what_stays(
    end: JobFailed | JobCancelled, line: str
) -> None:
    ear = await idle()
    await ear.explorer.load_model(GPT2)
    ear.client.send(ear.client.job, end)
    assert ear.lines == [line]
    assert not numbers_note(ear.explorer.results, ear.explorer.settings)
    await ear.explorer.run()
    assert isinstance(ear.client.request, Measure)
    ear.client.send(ear.client.job, Progress(stage="loading demo", done=10**9, total=4 * 10**9))
    assert "loading demo 1 GB of 4 GB" in state_text(ear.explorer)


async def test_a_dead_engine_is_started_for_it() -> None:
    ear = await idle()
    ear.client.die("gone")
    await ear.explorer.load_model(GPT2)
    assert (ear.client.n_starts, ear.client.request) == (2, GPT2)


async def test_the_newest_question_counts_and_gives_way_to_anything() -> None:
    ear = await idle()
    model_estimate = ear.explorer.models.model_estimate
    model_estimate.ask(LoadModel(model="a"))
    model_estimate.ask(GPT2)
    ear.client.send(ear.client.job, ESTIMATED)
    assert model_estimate.estimate is None, "that was of the other"
    ear.client.give_way()
    assert ear.client.request == EstimateModel(load=GPT2)
    assert not ear.explorer.jobs.is_busy
    ear.client.finish(ESTIMATED)
    size, fits = model_estimate.lines()
    assert "parameters" in size
    assert fits.startswith("✓ fits")
    model_estimate.ask(GPT2)
    await ear.explorer.run()
    ear.client.give_way()
    assert isinstance(ear.client.request, Measure)
    assert ear.lines == []


async def test_a_question_waits_for_a_run_and_costs_it_nothing() -> None:
    ear = await idle()
    await ear.explorer.run()
    model_estimate = ear.explorer.models.model_estimate
    model_estimate.ask(GPT2)
    assert ear.client.cancelled == []
    assert model_estimate.lines() == ["the estimate comes once the engine is free; enter stops it and loads"]
    ear.client.finish(*samples.MEASURE)
    ear.client.finish(*samples.generate(("context", "plain")))
    assert model_estimate.lines() == ["reading its files …"]
    ear.client.send(ear.client.job, ESTIMATED, BAD)
    assert model_estimate.lines()[1:] == ["✗ model 'gpt2' has no weights"]
    assert ear.lines == []
    assert BAD.message not in ear.explorer.engine_status.lines
    model_estimate.ask(GPT2)
    ear.client.finish()
    assert model_estimate.lines() == ["its size is not known: its files do not give it"]
    ear.client.die("gone")
    assert model_estimate.lines() == ["the engine is not running: enter starts it and loads"]


async def test_silence_at_the_start_is_told() -> None:
    ear = Ear(samples.session())
    ear.client.start = lambda listener: _never(ear, listener)  # type: ignore[method-assign]
    await ear.explorer.start()
    ear.client.send(0, EngineAwaited(seconds=10, log_tail=("ssh: dialing",)))
    ear.client.send(0, EngineAwaited(seconds=20, log_tail=("ssh: dialing",)))
    assert state_text(ear.explorer) == "◌ no answer for 20 s, esc ends it"
    assert ear.explorer.engine_status.lines == [
        "the engine has not answered yet: waiting for it",
        "ssh: dialing",
    ]


async def _never(ear: Ear, listener: object) -> None:
    ear.client._listener = listener  # type: ignore[assignment]


def test_fields_and_requests_say_the_same() -> None:
    everything = LoadModel(
        model="a/b",
        revision="main",
        dtype="float16",
        device_map="auto",
        quantize="4bit",
        allow_pickle=True,
        trust_remote_code=True,
        sites={"mlp": "x.{layer}"},
    )
    for load in (LoadModel(), GPT2, everything):
        assert load_of(load.model, texts_of(load), load.sites) == load
    assert load_of(" gpt2 ", {field.name: " " for field in FIELDS}, {}) == LoadModel(model="gpt2")
    assert choices_text(everything) == "float16 · 4bit · auto · main · trusts pickles, code"
    assert choices_text(LoadModel()) == "the embedded model"
    assert blank(everything) == LoadModel(model="", device_map="auto")


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("quantize", "3bit", "quantize: '3bit' not known: use none, 8bit, 4bit"),
        ("device_map", "wide", "spread: 'wide' not known: use none, auto"),
        ("trust", "everyone", "trust: 'everyone' not known: use nothing, pickles, code"),
    ],
)
def test_an_unknown_word_is_refused(field: str, text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        load_of("gpt2", {**texts_of(LoadModel()), field: text}, {})
    with pytest.raises(BadInput, match="no model"):
        load_of(" ", texts_of(LoadModel()), {})


# On the screen.


async def opened(desk: Desk) -> LoadModelDialog:
    await desk.press("4", "L")
    await desk.until(lambda: isinstance(desk.app.screen, LoadModelDialog) and "embedded model" in desk.text())
    assert isinstance(desk.app.screen, LoadModelDialog)
    return desk.app.screen


def field(desk: Desk, name: str = "model") -> str:
    return desk.app.screen.query_one(f"#{name}", Input).value


async def test_models_of_ollama_follow_the_recent_ones(tmp_path: Path) -> None:
    manifests = tmp_path / "home/.ollama/models/manifests/registry.ollama.ai/library/smollm2"
    manifests.mkdir(parents=True)
    (manifests / "135m").write_text("{}")
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await opened(desk)
        await desk.until(lambda: "ollama:smollm2:135m" in desk.text())
        await desk.press("down", "down")
        await desk.until(lambda: field(desk) == "ollama:smollm2:135m")
        await desk.until(
            lambda: desk.client.request == EstimateModel(load=LoadModel(model="ollama:smollm2:135m"))
        )


async def test_a_gguf_file_is_listed_and_chosen(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").touch()
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await opened(desk)
        await desk.press(*"./t")
        await desk.until(lambda: "● ./tiny.gguf  model" in desk.text())
        await desk.press("tab")
        await desk.until(lambda: field(desk) == "./tiny.gguf")
        await desk.press("enter")
        await desk.until(lambda: desk.client.request == LoadModel(model="./tiny.gguf"))


async def test_one_of_the_last_is_chosen_with_its_choices_and_its_size_told() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.until(lambda: recent_models()[0] == LoadModel())
        remember_model(GPT2)
        await opened(desk)
        await desk.press("down", "down")
        assert (field(desk), field(desk, "dtype"), field(desk, "device")) == ("demo", "auto", "auto")
        await desk.press("up")
        assert (field(desk), field(desk, "dtype"), field(desk, "device")) == ("gpt2", "bfloat16", "cuda:1")
        await desk.until(lambda: desk.client.request == EstimateModel(load=GPT2))
        desk.client.finish(ESTIMATED)
        await desk.until(lambda: "✓ fits: " in desk.text())
        await desk.press("enter")
        await desk.until(lambda: desk.client.request == GPT2)
        desk.client.finish(ModelLoaded(model=OTHER))
        await desk.until(lambda: "gpt2 · Qwen3" in desk.text() and "measured on demo" in desk.text())
        await desk.until(lambda: recent_models()[0] == GPT2)


async def test_a_typed_name_is_asked_about_by_a_key_and_loaded_by_another(desk: Desk) -> None:
    await opened(desk)
    await desk.press(*"a/b", "f2")
    await desk.until(lambda: desk.client.request == EstimateModel(load=LoadModel(model="a/b")))
    desk.client.send(desk.client.job, BAD)
    await desk.until(lambda: "✗ model 'gpt2' has no weights" in desk.text())
    await desk.press("c")
    await desk.until(lambda: "has no weights" not in desk.text())
    await desk.press("enter")
    await desk.until(lambda: desk.client.request == LoadModel(model="a/bc"))
    assert len(desk.app.screen_stack) == 1


async def test_a_path_is_completed_and_a_folder_looked_into(desk: Desk, tmp_path: Path) -> None:
    model = tmp_path / "home" / "models" / "tiny"
    model.mkdir(parents=True)
    (model / "config.json").touch()
    (tmp_path / "home" / "models" / "notes").mkdir()
    await opened(desk)
    await desk.press(*"~/mo", "tab")
    await desk.until(lambda: field(desk) == "~/models/" and "● ~/models/tiny" in desk.text())
    await desk.press(*"ti", "tab")
    await desk.until(lambda: field(desk) == "~/models/tiny/")
    load = LoadModel(model="~/models/tiny/")
    await desk.until(lambda: desk.client.request == EstimateModel(load=load))
    assert "no such folder" not in desk.text(), "it has no folders in it, and is one"
    await desk.press(*["backspace"] * 6)
    await desk.until(lambda: desk.app.screen.query_one(OptionList).option_count == 1)
    await desk.press("down", "enter")
    await desk.until(lambda: field(desk) == "~/models/" and "● ~/models/tiny" in desk.text())
    await desk.press("down", "down", "enter")
    await desk.until(lambda: desk.client.cancelled)
    desk.client.give_way()
    await desk.until(lambda: desk.client.request == LoadModel(model="~/models/tiny"))


async def test_where_the_engine_is_elsewhere_no_folder_of_this_machine_is_offered() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        desk.explorer.models.place = "ssh gpubox icltui engine"
        await opened(desk)
        await desk.press("/")
        await desk.until(
            lambda: "the engine runs on another machine: its folders are not known here" in desk.text()
        )
        await desk.press("tab")
        assert desk.app.focused is not desk.app.screen.query_one("#model")


async def test_errors_stay_in_the_dialog_and_escape_keeps_everything(desk: Desk) -> None:
    screen = await opened(desk)
    n_asked = len(desk.client.requests)
    await desk.press("enter")
    await desk.until(lambda: "no model: type" in desk.text())
    screen.query_one("#quantize", Input).value = "3bit"
    await desk.press(*"gpt2", "enter")
    await desk.until(lambda: "quantize: '3bit' not known" in desk.text())
    await desk.press("escape")
    await desk.until(lambda: len(desk.app.screen_stack) == 1)
    assert len(desk.client.requests) == n_asked


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (60, 18), (80, 24), (300, 100)])
async def test_the_dialog_opens_at_every_size(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        await desk.press("f2")
        await desk.until(lambda: isinstance(desk.app.screen, LoadModelDialog))
        await desk.press("down", "down", "escape")
        await desk.until(lambda: len(desk.app.screen_stack) == 1)


async def test_text_of_any_kind_is_shown_and_kept(desk: Desk) -> None:
    remember_model(LoadModel(model="[/INST]\x1b[31m", revision="[/]"))
    await opened(desk)
    await desk.until(lambda: "[/INST]␛[31m" in desk.text())
    await desk.press("down", "enter")
    await desk.until(lambda: desk.client.request == LoadModel(model="[/INST]\x1b[31m", revision="[/]"))


def test_the_log_says_what_is_out_of_the_ordinary_about_a_model() -> None:
    model = msgspec.structs.replace(samples.MODEL, notes=("an adapter lies beside it",))
    assert model_facts(model)[-1] == ("model", "an adapter lies beside it")
    assert len(model_facts(model)) == len(model_facts(samples.MODEL)) + 1


async def test_recent_models_tell_what_they_were_and_are_found_by_it(desk: Desk, tmp_path: Path) -> None:
    remember_model(
        LoadModel(model="some/large"),
        "",
        msgspec.structs.replace(samples.MODEL, n_layers=28, n_parameters=600_000_000),
    )
    remember_model(LoadModel(model="some/small"))
    (tmp_path / "here.gguf").write_bytes(b"GGUF")
    await desk.press("L")
    await desk.until(lambda: "some/small" in desk.text())
    assert "600 M parameters · 28 layers · float32 · today" in desk.text()
    assert "./here.gguf" in desk.text()
    desk.app.screen.query_one("#model", Input).value = "28 layers"
    await desk.until(lambda: "some/large" in desk.text() and "some/small" not in desk.text())
