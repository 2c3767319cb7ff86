"""What the engine says of itself: progress in bytes, what a model will take, what its check found, the log."""

import msgspec
import pytest

from icltui.api.messages import JobFailed, LoadModel, ModelEstimated, ModelLoaded, Progress, PromptTokenized
from icltui.tui.dialogs.help import help_sections
from icltui.tui.state.engine_status import EngineStatus, estimate_line, model_facts
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.widgets.status_line import loading_text, model_text, progress_text
from icltui.values import ModelInfo
from tests.tui import samples
from tests.tui.conftest import open_desk

LOAD = LoadModel(model="gpt2")
LOADING = Progress(stage="loading gpt2", done=312_000_000, total=548_105_171)
ESTIMATED = "124 M parameters, 548 MB of weights; a measure adds up to 96 MB; 6.2 GB are free"


def test_the_estimate_is_one_line_and_shown_until_loading_begins() -> None:
    engine_status = EngineStatus()
    assert estimate_line(samples.ESTIMATE) == ESTIMATED
    engine_status.take(LOAD, Progress(stage="reading gpt2", done=0, total=0))
    assert loading_text(engine_status, LOAD.model) == "reading gpt2"
    engine_status.take(LOAD, ModelEstimated(estimate=samples.ESTIMATE))
    assert engine_status.lines == [f"gpt2: {ESTIMATED}"]
    assert loading_text(engine_status, LOAD.model) == "needs 644 MB of 6.2 GB free"
    engine_status.take(LOAD, LOADING)
    assert loading_text(engine_status, LOAD.model) == "loading gpt2 312 MB of 548 MB ████░░░░"
    engine_status.take(LOAD, ModelLoaded(model=samples.MODEL))
    assert (engine_status.estimate, engine_status.progress) == (None, None)


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (0, 0, "at work"),
        (1, 6, "at work 1/6"),
        (0, 10_000, "at work 0 B of 10 kB ░░░░░░░░"),
        (16_060_000_000, 16_060_000_000, "at work 16.1 GB of 16.1 GB ████████"),
        (17_000_000_000, 16_060_000_000, "at work 17 GB of 16.1 GB ████████"),
    ],
)
def test_progress_is_a_count_or_sizes(done: int, total: int, text: str) -> None:
    assert progress_text(Progress(stage="at work", done=done, total=total), "") == text


def test_a_long_name_leaves_room_for_the_numbers() -> None:
    stage = "loading " + "/very/long/folder" * 9
    text = progress_text(Progress(stage=stage, done=1, total=20_000), "")
    assert len(text) < 60
    assert text.endswith("1 B of 20 kB ░░░░░░░░")


def test_facts_of_a_model_name_the_loop_and_what_is_refused() -> None:
    assert [name for name, _ in model_facts(samples.MODEL)] == ["packed"]
    (loop, why), refused = model_facts(samples.ODD_MODEL)
    assert loop == "loop"
    assert samples.ODD_MODEL.path_reason in why
    assert refused == ("layer 3", f"refused: {samples.REFUSED.reason}")


def test_numbers_that_auto_chose_are_in_the_status_line_and_among_the_facts() -> None:
    model = msgspec.structs.replace(samples.MODEL, dtype="float32", stored_dtype="bfloat16")
    assert " · float32 · cpu" in model_text(model), "--dtype float32 needs no saying"
    chosen = msgspec.structs.replace(model, dtype_reason="this CPU has no instructions")
    assert " · float32 for bfloat16 · cpu" in model_text(chosen)
    assert model_facts(chosen)[0] == ("float32", "this CPU has no instructions")
    slow = msgspec.structs.replace(chosen, dtype="bfloat16")
    assert " · bfloat16 · cpu" in model_text(slow)
    assert model_facts(slow)[0][0] == "bfloat16"


def test_help_tells_them_and_the_formulas_of_the_dynamics() -> None:
    sections = help_sections("drop", model_facts(samples.ODD_MODEL))
    assert any(samples.ODD_MODEL.path_reason in fact for _, fact in sections["This model"])
    numbers = dict(sections["Numbers, under drop"])
    assert "‖A − A_without‖" in numbers["‖δ‖"]
    assert numbers["Σ‖ΔW‖"].startswith("undefined")
    assert "This model" not in help_sections()


async def test_loading_streams_into_the_status_line_and_the_log() -> None:
    for size in ((120, 40), (80, 24), (60, 18)):
        async with open_desk(samples.session(), size=size) as desk:
            await desk.until(lambda: desk.client.job == 1)
            desk.client.send(1, ModelEstimated(estimate=samples.ESTIMATE))
            await desk.until(lambda: "needs 644 MB of 6.2 GB free" in desk.text())
            desk.client.send(1, LOADING)
            await desk.until(lambda: "◌ loading gpt2 312 MB of 548 MB ████░░░░" in desk.text())
            await desk.press("8")
            await desk.drawn()
            assert "demo: 124 M parameters, 548 MB of weights" in desk.text()
            desk.client.finish(ModelLoaded(model=samples.ODD_MODEL))
            await desk.until(lambda: "demo: loop: each unit takes a pass of its own" in desk.text())
            await desk.press("question_mark", "G", "end")
            await desk.until(lambda: "ALiBi" in desk.text())


def test_notes_on_the_tokens_are_logged_once() -> None:
    engine_status, request = EngineStatus(), RunSettings(prompt=samples.PROMPT).measure()
    event = PromptTokenized(tokens=msgspec.structs.replace(samples.TOKENS, notes=("one token straddles",)))
    for _ in range(2):
        engine_status.take(request, event)
    assert engine_status.lines == ["one token straddles"]


@pytest.mark.parametrize(
    ("model", "why"), [(samples.MODEL, "changes with what is missing"), (samples.ODD_MODEL, "ALiBi")]
)
def test_the_loop_says_why_once_a_method(model: ModelInfo, why: str) -> None:
    engine_status, settings = EngineStatus(), RunSettings(prompt=samples.PROMPT, dynamics="drop")
    engine_status.take(LOAD, ModelLoaded(model=model))
    del engine_status.lines[:]
    looped = msgspec.structs.replace(samples.MEASURED, path="loop")
    for asked in (settings, settings, settings.with_next("reference")):
        engine_status.take(asked.measure(), looped)
    first, second = engine_status.lines
    assert first.startswith("drop · free · reset · loop: ")
    assert second.startswith("drop · local · reset · loop: ")
    assert why in first
    engine_status.take(settings.measure(), samples.MEASURED)
    assert len(engine_status.lines) == 2, "packed needs no reason"


def test_a_folder_is_called_by_its_last_name() -> None:
    engine_status, folder = EngineStatus(), "/a/very/long/way/to/the/models/stories260K/"
    assert loading_text(engine_status, folder) == "loading stories260K"
    engine_status.take(LoadModel(model=folder), Progress(stage=f"loading {folder}", done=1, total=20_000))
    assert loading_text(engine_status, folder) == "loading stories260K 1 B of 20 kB ░░░░░░░░"


def test_a_failed_count_is_nobodys_business() -> None:
    engine_status, settings = EngineStatus(), RunSettings(prompt=samples.PROMPT)
    failure = JobFailed(kind="BadInput", message="too long")
    engine_status.take(settings.count(), failure)
    assert engine_status.lines == []
    engine_status.take(settings.measure(), failure)
    assert engine_status.lines == ["too long"]


def test_what_the_engine_logs_while_it_works_is_kept_and_is_no_progress() -> None:
    engine_status = EngineStatus()
    line = "the memory does not suffice for 64 copies of the query at once: going on with 32"
    engine_status.take(LOAD, Progress(stage="measuring", done=1, total=2))
    engine_status.take(LOAD, Progress(stage=line, done=0, total=0, logged=True))
    assert engine_status.lines[-1:] == [line]
    assert engine_status.progress == Progress(stage="measuring", done=1, total=2)
