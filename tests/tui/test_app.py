"""The explorer as the user meets it: start, streaming, stopping, death, files, sizes, hostile text."""

import os
import signal
from pathlib import Path
from time import monotonic

import pytest
from textual.widgets import Input

from icltui.api.messages import JobFailed, Measure
from icltui.storage.paths import sessions_folder, state_folder
from icltui.storage.sessions import read_session, write_session
from icltui.tui.dialogs.confirm import ConfirmDialog, UnsavedDialog
from icltui.tui.dialogs.open_session import OpenSessionDialog
from icltui.tui.dialogs.save_session import SaveSessionDialog
from icltui.tui.widgets.choice_list import ChoiceList
from icltui.tui.widgets.messages import Noticed
from icltui.values import LANES, Session
from icltui.values.prompt import Prompt
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.fake_client import FakeClient

HOSTILE = "[/INST] [/] [b [red]x[/red] \x1b[2J\x1b]0;t\x07 \u202eabc \ud800 \r\n\u2028 👩‍👩‍👧 ｗｉｄｅ \x00"


async def test_saved_numbers_are_on_the_screen_before_the_model_is() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.drawn()
        text = desk.text()
        assert "·Rome" in text
        assert "capital-conflict" in text
        assert "[x]❯5" in text
        assert "Madrid" in text


async def test_start_runs_by_itself_and_streams() -> None:
    async with open_desk(samples.session(is_measured=False)) as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        desk.client.send(2, samples.TOKENIZED, samples.chunk(0, 8))
        await desk.drawn()
        assert "8 of 19 units" in desk.text()
        assert desk.screen.unit == 8, "the cursor follows what streams in"
        assert desk.screen.layer_list.unit == 8
        assert "19 tok" in desk.text()


async def test_nothing_runs_without_a_session() -> None:
    async with open_desk() as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        await desk.drawn()
        assert desk.client.job == 1
        assert "ready" in desk.text()


async def test_notice_is_shown() -> None:
    async with open_desk(notice="[/INST] not found") as desk:
        await desk.pilot.pause()
        assert desk.toasts() == ["[/INST] not found"]


async def test_an_error_outlives_the_lines_behind_it(desk: Desk) -> None:
    for text, is_error, told in (
        ("first", False, ["first"]),
        ("second", False, ["second"]),
        ("what went wrong", True, ["what went wrong"]),
        ("third", False, ["what went wrong", "third"]),
    ):
        desk.screen.show_notice(Noticed(text, is_error))
        await desk.pilot.pause()
        assert desk.toasts() == told


async def test_drawing_is_gathered() -> None:
    async with open_desk(samples.session(is_measured=False)) as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        await desk.drawn()
        drawings: list[None] = []
        desk.screen.engine.remember_loaded = lambda: drawings.append(None)  # type: ignore[method-assign]
        desk.client.send(2, samples.TOKENIZED)
        began = monotonic()
        for unit in range(samples.N_UNITS + 1):
            desk.client.send(2, samples.chunk(unit, unit))
            await desk.pilot.pause(0.01)
        await desk.drawn()
        assert 0 < len(drawings) <= 2 + 8 * (monotonic() - began)
        assert desk.screen.unit == samples.N_UNITS


async def test_delta_fills_the_third_lane(desk: Desk) -> None:
    assert "turns it on" in desk.text()
    await desk.press("ctrl+t")
    desk.client.finish(*samples.generate(LANES))
    await desk.drawn()
    assert "turns it on" not in desk.text()
    assert "11/11 equal" in desk.text()
    assert "ΔW on" in desk.text()


async def test_editing_marks_what_is_older(desk: Desk) -> None:
    await desk.press("1", "i", "x")
    await desk.until(lambda: "edited" in desk.text())
    assert desk.explorer.settings.prompt.context == "x" + samples.CONTEXT
    assert "… tok" in desk.text()
    assert "capital-conflict*" in desk.text()
    await desk.until(lambda: desk.client.request == desk.explorer.settings.count())


async def test_tokens_are_not_promised_without_a_query() -> None:
    async with open_desk(samples.session(is_measured=False)) as desk:
        desk.explorer.edit(samples.CONTEXT, "")
        desk.screen.question.load_text("")
        await desk.until(lambda: "0 tok" in desk.text())
        assert "… tok" not in desk.text()
        assert "counted with a query" in desk.text()


async def test_a_link_that_leads_nowhere_is_listed_last_and_told_when_opened(desk: Desk) -> None:
    folder = sessions_folder()
    write_session(folder / "whole.json", samples.session())
    (folder / "gone.json").symlink_to(folder / "nowhere")
    (folder / "round.json").symlink_to(folder / "round.json")
    await desk.press("ctrl+l")
    await desk.until(lambda: isinstance(desk.app.screen, OpenSessionDialog) and desk.app.screen.is_running)
    await desk.press("down", "enter")
    await desk.until(lambda: "cannot be read" in desk.text())


async def test_numbers_that_were_not_written_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    async with open_desk(samples.session(is_measured=False)) as desk:
        await desk.until(lambda: desk.client.requests)
        desk.client.finish(samples.LOADED)
        desk.client.send(desk.client.job, samples.TOKENIZED, samples.chunk(0, 3))
        desk.client.send(desk.client.job, JobFailed(kind="EngineError", message="out of memory"))
        await desk.press("ctrl+s")
        await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
        desk.app.screen.query_one(Input).value = str(path)
        await desk.press("enter")
        await desk.until(path.exists)
        await desk.until(lambda: any("without the numbers on the" in line for line in desk.toasts()))
        assert desk.explorer.is_unsaved
        await desk.until(lambda: "mine*" in desk.text())


async def test_an_edit_since_the_run_costs_the_file_no_numbers(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    await desk.press("1", "i", "x", "ctrl+s")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    desk.app.screen.query_one(Input).value = str(path)
    await desk.press("enter")
    await desk.until(lambda: any("saved mine.json, " in line for line in desk.toasts()))
    assert not desk.explorer.is_unsaved
    assert read_session(path).runs[0].session.measurement == desk.explorer.results.measurement


async def test_a_stopped_run_is_marked_on_the_screen() -> None:
    async with open_desk(samples.session(is_measured=False)) as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        desk.client.send(2, samples.TOKENIZED, samples.chunk(0, 8))
        await desk.press("escape")
        desk.client.give_way(2)
        await desk.until(lambda: "stopped at 8/19, ^r runs" in desk.text())


async def test_selection_is_shared(desk: Desk) -> None:
    await desk.press("g", "j", "j")
    assert (
        desk.screen.numbers.heatmap.unit == desk.screen.numbers.plots.unit == desk.screen.layer_list.unit == 2
    )
    assert desk.screen.shown_layer == samples.N_LAYERS - 1, "a model begins at its last layer"
    await desk.press("3", "g", "j")
    assert desk.screen.numbers.stream.shown_layer == desk.screen.numbers.heatmap.shown_layer == 1
    await desk.press("6", "l", "j")
    await desk.until(lambda: desk.screen.numbers.stream.unit == 3 and desk.screen.layer_list.shown_layer == 2)


async def test_death_is_one_line_and_run_restarts(desk: Desk) -> None:
    desk.client.die("the engine was ended by signal 9 (SIGKILL)", "CUDA error: [/] assert")
    await desk.drawn()
    assert "signal 9 (SIGKILL) — press ctrl+r" in desk.text()
    assert "·Rome" in desk.text()
    await desk.press("8")
    await desk.until(lambda: "CUDA error: [/] assert" in desk.text())
    await desk.press("ctrl+r")
    await desk.settle()
    assert desk.client.n_starts == 2
    assert "press ctrl+r" not in desk.text()
    assert "ready" in desk.text()


async def test_failure_is_a_toast_and_stays_in_the_log(desk: Desk) -> None:
    await desk.press("ctrl+r")
    desk.client.send(desk.client.job, JobFailed(kind="BadInput", message="600 tokens [/]: window 512"))
    await desk.until(lambda: desk.toasts() == ["600 tokens [/]: window 512"])
    assert "600 tokens [/]: window 512" in desk.explorer.engine_status.lines


async def test_save_and_open_round_trip(desk: Desk, tmp_path: Path) -> None:
    await desk.press("ctrl+t")
    desk.client.finish(*samples.generate(LANES))
    await desk.press("ctrl+s")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    path = tmp_path / "new folder" / "mine.json"
    desk.app.screen.query_one(Input).value = str(path)
    await desk.press("enter")
    await desk.until(path.exists)
    await desk.until(lambda: not desk.explorer.is_unsaved)
    session = read_session(path)
    assert session.measurement == samples.MEASUREMENT
    assert session.generation == samples.generation(LANES)
    await desk.press("ctrl+n")
    await desk.until(lambda: desk.explorer.document.title == "untitled")
    assert desk.screen.context.text == ""
    await desk.press("ctrl+l")
    await desk.until(lambda: isinstance(desk.app.screen, OpenSessionDialog))
    desk.app.screen.query_one(Input).focus()
    desk.app.screen.query_one(Input).value = str(path)
    await desk.press("enter")
    await desk.until(lambda: desk.explorer.document.path == path)
    await desk.drawn()
    assert desk.explorer.session("mine") == session
    assert "11/11 equal" in desk.text()


async def test_saving_again_asks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    write_session(path, samples.session())
    async with open_desk(read_session(path), path) as desk:
        await desk.settle()
        await desk.press("1", "i", "x", "ctrl+s")
        await desk.until(lambda: read_session(path).prompt.context.startswith("x"))
        assert read_session(path).title == "capital-conflict"


async def test_examples_are_never_overwritten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "example.json"
    write_session(path, samples.session())
    for place in ("main.file_actions", "dialogs.save_session", "state.session_conversion"):
        monkeypatch.setattr(f"icltui.tui.{place}.is_example", lambda asked: asked == path)
    before = path.read_bytes()
    async with open_desk(read_session(path), path) as desk:
        await desk.settle()
        await desk.press("1", "i", "x", "ctrl+s")
        await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
        desk.app.screen.query_one(Input).value = str(path)
        await desk.press("enter")
        await desk.until(lambda: "one of the examples" in desk.text())
        assert path.read_bytes() == before


async def test_overwriting_is_asked(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "there.json"
    path.write_text("precious")
    await desk.press("1", "i", "x", "ctrl+s")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    desk.app.screen.query_one(Input).value = str(path)
    await desk.press("enter")
    await desk.until(lambda: isinstance(desk.app.screen, ConfirmDialog))
    await desk.press("c")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    assert path.read_text() == "precious"
    await desk.press("enter")
    await desk.until(lambda: isinstance(desk.app.screen, ConfirmDialog))
    await desk.press("o")
    await desk.until(lambda: path.read_text() != "precious")


async def test_errors_stay_in_the_dialog(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    await desk.press("ctrl+l")
    await desk.until(lambda: isinstance(desk.app.screen, OpenSessionDialog))
    field = desk.app.screen.query_one(Input)
    field.focus()
    field.value = str(tmp_path / "bad.json")
    await desk.press("enter")
    await desk.until(lambda: str(desk.app.screen.query_one(".error").render()))
    assert isinstance(desk.app.screen, OpenSessionDialog)
    await desk.press("escape")
    await desk.until(lambda: desk.app.screen is desk.screen)
    assert desk.explorer.settings.prompt == samples.PROMPT


async def test_listed_sessions_open_with_enter(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    session = samples.session(is_measured=False)
    write_session(tmp_path / "sessions" / "a.json", session)
    async with open_desk() as desk:
        await desk.settle()
        await desk.press("ctrl+l")
        await desk.until(lambda: isinstance(desk.app.screen, OpenSessionDialog))
        assert desk.app.screen.query_one(ChoiceList).n_lines >= 1
        await desk.press("enter")
        await desk.until(lambda: desk.explorer.settings.prompt == samples.PROMPT)
        await desk.until(lambda: desk.client.request == desk.explorer.settings.measure())


@pytest.mark.parametrize(("key", "is_left"), [("c", False), ("escape", False), ("d", True), ("ctrl+q", True)])
async def test_leaving_unsaved_work_asks(key: str, is_left: bool) -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("1", "i", "x", "ctrl+q")
        await desk.until(lambda: isinstance(desk.app.screen, UnsavedDialog))
        await desk.press(key)
        await desk.until(lambda: desk.app._exit if is_left else desk.app.screen is desk.screen)
        assert desk.app._exit is is_left


async def test_leaving_with_save_saves(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    write_session(path, samples.session())
    async with open_desk(read_session(path), path) as desk:
        await desk.settle()
        await desk.press("1", "i", "x", "ctrl+q")
        await desk.until(lambda: isinstance(desk.app.screen, UnsavedDialog))
        await desk.press("s")
        await desk.until(lambda: desk.app._exit)
    assert read_session(path).prompt.context == "x" + samples.CONTEXT
    assert desk.client.is_closed


async def test_leaving_saved_work_asks_nothing(desk: Desk) -> None:
    await desk.press("ctrl+q")
    await desk.until(lambda: desk.app._exit)


async def test_a_signal_leaves_in_order() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        os.kill(os.getpid(), signal.SIGTERM)
        await desk.until(lambda: desk.app._exit)
    assert desk.app.return_code == 128 + signal.SIGTERM
    assert desk.client.is_closed


async def test_a_signal_keeps_unsaved_work_and_says_where() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        desk.screen.question.text = " half a thought"
        await desk.until(lambda: desk.explorer.is_unsaved)
        os.kill(os.getpid(), signal.SIGTERM)
        await desk.until(lambda: desk.app._exit)
    (path,) = (state_folder() / "autosave").iterdir()
    assert read_session(path).prompt.query == " half a thought"
    assert desk.app.unsaved_work.farewell == f"unsaved work was kept, open it with:  icltui {path}"


async def test_leaving_twice_keeps_unsaved_work_and_says_where() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("1", "i", "x", "ctrl+q")
        await desk.until(lambda: isinstance(desk.app.screen, UnsavedDialog))
        await desk.press("ctrl+q")
        await desk.until(lambda: desk.app._exit)
    (path,) = (state_folder() / "autosave").iterdir()
    assert read_session(path).prompt.context == "x" + samples.CONTEXT
    assert desk.app.unsaved_work.farewell == f"unsaved work was kept, open it with:  icltui {path}"
    assert desk.app.return_code == 0


async def test_an_unforeseen_error_leaves_a_log_and_one_line(tmp_path: Path) -> None:
    async def divide() -> None:
        async with open_desk() as desk:
            desk.app.call_later(lambda: 1 / 0)
            await desk.until(lambda: desk.app._exit_renderables)

    with pytest.raises(ZeroDivisionError):
        await divide()
    logs = list(tmp_path.rglob("crash.log"))
    assert len(logs) == 1
    assert "ZeroDivisionError" in logs[0].read_text()
    assert logs[0].stat().st_mode & 0o77 == 0


SIZES = [(1, 1), (3, 3), (4, 60), (59, 18), (60, 18), (80, 24), (200, 60)]


async def test_every_size_is_survived(desk: Desk) -> None:
    for size in SIZES:
        await desk.pilot.resize_terminal(*size)
        await desk.press("1", "escape", "9", "6", "z")
        assert desk.screen.has_class("-tiny") is (size[0] < 60 or size[1] < 18)
    await desk.pilot.resize_terminal(120, 40)
    await desk.press("z", "4")  # the zoom lasts
    await desk.drawn()
    assert "9 With context" in desk.text()


@pytest.mark.parametrize("size", SIZES[:3])
async def test_every_size_is_a_size_to_start_at(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        await desk.press("question_mark", "escape")
        assert desk.screen.has_class("-tiny")


async def test_a_small_terminal_says_what_it_needs() -> None:
    async with open_desk(samples.session(), size=(50, 10)) as desk:
        await desk.pilot.pause()
        assert "terminal too small: 50×10, needs 60×18" in desk.text()


async def test_pages_follow_the_digits() -> None:
    async with open_desk(samples.session(), size=(80, 24)) as desk:
        await desk.settle()
        assert desk.screen.focused is desk.screen.numbers.stream
        assert "4 Stream" in desk.text()
        assert "1 Context" not in desk.text()
        await desk.press("3")
        assert "1 Context" in desk.text()
        assert "4 Stream" not in desk.text()
        await desk.press("9")
        assert "Query + ΔW" in desk.text()
        await desk.press("1", "escape")
        assert desk.screen.focused is desk.screen.numbers.stream


async def test_a_shrinking_terminal_keeps_the_page_of_the_focus(desk: Desk) -> None:
    await desk.press("tab")
    await desk.pilot.resize_terminal(80, 24)
    await desk.drawn()
    assert "Query + ΔW" in desk.text()
    assert "4 Stream" not in desk.text()


async def test_the_footer_fits_80_columns() -> None:
    async with open_desk(samples.session(), size=(80, 24)) as desk:
        await desk.settle()
        last = desk.text().splitlines()[-1]
        for label in ("Run", "ΔW", "Verify", "Save", "Open", "Help", "Quit", "palette"):
            assert label in last


async def test_hostile_text_is_shown_and_kept() -> None:
    prompt = Prompt(context=HOSTILE, query=HOSTILE)
    async with open_desk(Session(title=HOSTILE, created="", prompt=prompt)) as desk:
        await desk.settle()
        text = desk.text()
        assert "[/INST]" in text
        assert not any(character in text for character in "\x1b\x07\x00\u202e\ud800")
        assert desk.explorer.settings.prompt == prompt, "what is loaded and not edited stays as it was"
        assert not desk.explorer.is_unsaved
        await desk.press("ctrl+q")
        await desk.until(lambda: desk.app._exit)


async def test_an_engine_that_is_not_there_is_reported() -> None:
    async with open_desk(samples.session(), client=FakeClient(is_startable=False)) as desk:
        await desk.until(lambda: "not found: engine" in desk.text())
        assert "·Rome" in desk.text()


async def test_every_view_begins_at_the_last_unit_of_saved_numbers() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.until(lambda: desk.client.requests)
        await desk.until(lambda: desk.screen.unit == samples.N_UNITS)
        assert desk.screen.numbers.heatmap.unit == desk.screen.layer_list.unit == samples.N_UNITS


@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light"])
async def test_without_colours_an_ansi_theme_is_the_terminals_own_ink(
    monkeypatch: pytest.MonkeyPatch, theme: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_desk(samples.session()) as desk:
        desk.app.theme = theme
        await desk.drawn()
        strips = desk.app.screen._compositor.render_strips()
        colours = {
            colour.name
            for strip in strips
            for segment in strip
            if segment.style
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour
        }
        assert colours == {"default"}


async def test_a_run_of_the_same_tokens_leaves_the_cursor_where_it_was_put(desk: Desk) -> None:
    desk.screen.numbers.stream.unit = 6
    await desk.until(lambda: desk.screen.unit == 6)
    await desk.press("ctrl+r")
    await desk.until(lambda: isinstance(desk.client.request, Measure))
    desk.client.send(desk.client.job, samples.TOKENIZED, samples.chunk(0, 3))
    await desk.drawn()
    assert desk.screen.unit == 3
    desk.client.send(desk.client.job, samples.chunk(4, samples.N_UNITS), samples.MEASURED)
    await desk.drawn()
    assert desk.screen.unit == 6


async def test_a_cursor_that_is_moved_during_a_run_stays_the_users(desk: Desk) -> None:
    desk.screen.numbers.stream.unit = 9
    await desk.until(lambda: desk.screen.unit == 9)
    await desk.press("ctrl+r")
    await desk.until(lambda: isinstance(desk.client.request, Measure))
    desk.client.send(desk.client.job, samples.TOKENIZED, samples.chunk(0, 5))
    await desk.drawn()
    await desk.press("k", "k")
    desk.client.send(desk.client.job, samples.chunk(6, samples.N_UNITS), samples.MEASURED)
    await desk.drawn()
    assert desk.screen.unit == 3
