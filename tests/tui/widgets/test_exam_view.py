"""Compile and exam on the screen: asked for, followed as they come, kept, shown again; and their tables and plot."""

from pathlib import Path

import pytest
from msgspec.structs import replace as with_changes

from icltui.api.messages import (
    ChoiceAdvanced,
    Compile,
    CompileEnded,
    ExamEnded,
    Examine,
    ExamRowEnded,
    ExamStarted,
    Generate,
    Measure,
    Progress,
)
from icltui.storage.sessions import read_session, write_session
from icltui.tui.draw.exam_lines import answer_columns, fit_end, header, patch_columns
from icltui.values import LANES, Session
from icltui.values.exam import USUAL_ROWS
from icltui.values.recipe import COMPILED, Recipe
from tests.hostile import TOKENS, poisoned
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.screen_checks import check_screen

ASKED = with_changes(
    samples.session(),
    recipe=Recipe(mode="compiled", queries=samples.QUERIES[:2]),
    holdout=samples.QUERIES[2:],
)


async def begun(desk: Desk, session: Session = ASKED) -> None:
    desk.explorer.open(session, None)
    await desk.drawn()


async def compiled(desk: Desk) -> None:
    """A context that was compiled, and the lanes that follow."""
    await begun(desk)
    await desk.press("W")
    desk.client.finish(CompileEnded(compilation=samples.COMPILATION))
    await desk.settle()


def said(desk: Desk) -> str:
    """The line under the lanes; empty where it is hidden."""
    line = desk.screen.promise
    return str(line.render()) if line.display and line.size.height else ""


async def examined(desk: Desk) -> None:
    await begun(desk)
    await desk.press("X")
    desk.client.finish(ExamEnded(exam=samples.exam()))
    await desk.drawn()


# Compile.


async def test_compile_streams_and_its_patch_speaks(desk: Desk) -> None:
    await begun(desk)
    await desk.press("W")
    request = desk.client.request
    assert isinstance(request, Compile)
    assert (request.calibrate, request.holdout, request.recipe.queries) == (
        "user",
        samples.QUERIES[2:],
        samples.QUERIES[:2],
    )
    assert (desk.screen.numbers.current, desk.screen.numbers.plots.view) == ("plots", "choice")
    desk.client.send(desk.client.job, Progress(stage="choosing ε", done=1, total=8))
    points = samples.COMPILATION.leave_one_out.curve
    desk.client.send(desk.client.job, *(ChoiceAdvanced(point=point) for point in points[:3]))
    await desk.until(lambda: "choosing ε 1/8, 3 ways tried" in desk.text())
    await desk.until(lambda: "metric: plain R 0.850 · ▸ordinary R 0.950" in desk.text())
    desk.client.finish(CompileEnded(compilation=samples.COMPILATION))
    assert isinstance(desk.client.request, Generate), "the layers are as they were: nothing is measured again"
    assert desk.client.request.recipe == samples.COMPILATION.recipe
    assert desk.client.request.lanes == LANES
    await desk.settle()
    assert said(desk) == samples.COMPILATION.sentence
    assert samples.COMPILATION.sentence in desk.toasts()[-1]


async def test_a_choice_of_layers_is_measured_too_and_the_next_compile_chooses_among_all(desk: Desk) -> None:
    await begun(desk)
    await desk.press("W")
    first = desk.client.request
    chosen = with_changes(samples.COMPILATION.chosen, layers=(2, 3))
    desk.client.finish(CompileEnded(compilation=with_changes(samples.COMPILATION, chosen=chosen)))
    request = desk.client.request
    assert isinstance(request, Measure)
    assert request.layers == "2-3"
    await desk.settle()
    await desk.press("W")
    assert desk.client.request == first
    desk.client.finish()


async def test_without_queries_the_model_writes_them_and_nothing_can_be_examined(desk: Desk) -> None:
    await begun(desk, samples.session())
    n_asked = desk.client.job
    await desk.press("X")
    await desk.until(lambda: "Q writes some, held out" in desk.toasts()[-1])
    assert desk.client.job == n_asked
    await desk.press("W")
    assert desk.client.request.calibrate == "self"
    desk.client.finish()
    await begun(desk, with_changes(ASKED, recipe=with_changes(ASKED.recipe, rank=4, ridge=0.5)))
    await desk.press("W")
    assert (desk.client.request.pinned, desk.client.request.recipe.rank) == (("rank",), 4)
    assert desk.client.request.recipe.ridge == COMPILED.ridge, "where the choice begins"


async def test_a_refused_patch_is_told_and_changes_nothing(desk: Desk) -> None:
    await begun(desk)
    before, n_asked = desk.explorer.settings, desk.client.job
    await desk.press("W")
    refused = with_changes(samples.COMPILATION, refused="it harms 2 of 2 queries: give more of them")
    desk.client.finish(CompileEnded(compilation=refused))
    await desk.drawn()
    assert (desk.explorer.settings, desk.client.job) == (before, n_asked + 1)
    assert "refused: it harms 2 of 2 queries" in desk.toasts()[-1]
    await desk.press("x")
    await desk.until(lambda: "refused, compiled" in desk.text())
    await desk.screen.run_action("compile_context(True)")
    assert desk.client.request.force
    desk.client.finish(CompileEnded(compilation=with_changes(refused, forced=True)))
    await desk.settle()
    assert said(desk).startswith("made although it would harm: speaks for")


async def test_the_sentence_goes_with_another_patch(desk: Desk) -> None:
    await compiled(desk)
    assert said(desk) == samples.COMPILATION.sentence
    await desk.press("d")
    await desk.settle()
    assert not said(desk)
    await desk.press("d")
    await desk.settle()
    assert said(desk) == samples.COMPILATION.sentence
    await desk.press("right")
    await desk.settle()
    assert not said(desk)


async def test_edited_queries_mark_it(desk: Desk) -> None:
    await compiled(desk)
    await desk.press("x")
    assert "edited, W compiles" not in desk.text()
    await desk.press("Q")
    await desk.until(lambda: desk.app.screen is not desk.screen)
    await desk.press("enter", *"more", "ctrl+s")
    await desk.settle()
    assert "edited, W compiles" in desk.text()


async def test_an_adapter_is_asked_for_in_the_export_dialog(desk: Desk) -> None:
    await begun(desk)
    await desk.press("e")
    await desk.until(lambda: desk.app.screen is not desk.screen)
    await desk.press("end", "up", "enter")
    await desk.until(lambda: desk.app.screen is desk.screen)
    request = desk.client.request
    assert isinstance(request, Compile)
    assert request.format == "peft"
    assert request.path.endswith("-compiled")
    desk.client.finish(CompileEnded(compilation=samples.COMPILATION))
    await desk.settle()
    assert f"written to {request.path}" in desk.toasts()[-1]


# Exam.


async def test_an_exam_streams_row_by_row(desk: Desk) -> None:
    await begun(desk)
    await desk.press("x")
    await desk.until(lambda: "No exam yet." in desk.text())
    await desk.press("X")
    request = desk.client.request
    assert isinstance(request, Examine)
    assert (request.rows, request.holdout) == (USUAL_ROWS, samples.QUERIES[2:])
    job = desk.client.job
    desk.client.send(job, Progress(stage="examining per step", done=1, total=7))
    desk.client.send(job, ExamStarted(exam=samples.exam(0)))
    desk.client.send(job, *(ExamRowEnded(row=samples.exam_row(patch)) for patch in USUAL_ROWS[:3]))
    await desk.until(lambda: "examining per step 1/7, 3/7 rows" in desk.text())
    await desk.until(lambda: "compiled, ordinary" in desk.text() and "frozen" not in desk.text())
    await desk.press("escape")
    await desk.until(lambda: desk.client.cancelled == [job])
    desk.client.give_way()
    await desk.until(lambda: "stopped at 3/7, X examines" in desk.text())
    await desk.press("X")
    desk.client.finish(ExamStarted(exam=samples.exam(0)), ExamEnded(exam=samples.exam()))
    await desk.until(lambda: "the down projections are quantized" in desk.text())
    assert "stopped" not in desk.text()
    assert "2 unseen queries, 2 fitted · right with context 2, without 0" in desk.text()
    assert desk.explorer.is_unsaved


async def test_a_cut_exam_takes_a_whole_one_away_from_nobody(desk: Desk) -> None:
    await examined(desk)
    whole = desk.explorer.results.trials.exam
    await desk.press("X")
    desk.client.send(desk.client.job, ExamStarted(exam=samples.exam(0)))
    desk.client.give_way()
    assert desk.explorer.results.trials.exam is whole


async def test_the_cursor_of_the_patches_chooses_the_answers(desk: Desk) -> None:
    await examined(desk)
    exam = desk.screen.numbers.exam
    await desk.press("G")
    await desk.until(lambda: exam.patches.row == 6)
    await desk.until(lambda: exam.answers.lines[1].patched == " Lima.")
    assert "✗ Lima." in desk.text()
    await desk.press("g", "j")
    await desk.until(lambda: exam.answers.lines[1].patched == " Oslo.")
    await desk.press("tab", "j")
    assert (desk.screen.focused, exam.answers.row) == (exam.answers, 1)
    await desk.press("4", "x")
    assert desk.screen.focused is exam.answers, "where it was left"


async def test_find_and_copy_and_zoom(desk: Desk) -> None:
    await examined(desk)
    exam = desk.screen.numbers.exam
    await desk.press("slash", *"mali", "enter")
    await desk.until(lambda: exam.answers.row == 1)
    await desk.press("N", "ctrl+g")
    await desk.until(lambda: "of the exam sent" in desk.toasts()[-1])
    copied = desk.app.clipboard
    assert copied.startswith("patch\tr_median\tr_low")
    assert "compiled, ordinary\t0.7" in copied
    await desk.press("tab", "ctrl+g")
    await desk.until(lambda: "of the exam's answers sent" in desk.toasts()[-1])
    assert "The capital of Mali is\tunseen" in desk.app.clipboard
    await desk.press("z")
    assert desk.screen.maximized is desk.screen.numbers
    await desk.press("slash", *"nowhere")
    await desk.until(lambda: "not found in queries and answers" in desk.text())


async def test_both_are_saved_and_shown_again(desk: Desk, tmp_path: Path) -> None:
    await compiled(desk)
    await desk.press("X")
    desk.client.finish(ExamEnded(exam=samples.exam()))
    await desk.drawn()
    session = desk.explorer.session("kept")
    assert (session.compilation, session.exam) == (samples.COMPILATION, samples.exam())
    write_session(tmp_path / "kept.json", session)
    async with open_desk(read_session(tmp_path / "kept.json"), tmp_path / "kept.json") as again:
        await again.press("x")
        await again.until(lambda: "compiled, chosen" in again.text() and "random, equal norm" in again.text())
        assert said(again) == samples.COMPILATION.sentence
        assert "edited" not in again.text()
        await again.press("5", "w", "w", "w", "w")
        await again.until(lambda: "leave-one-out R of what was tried" in again.text())


async def test_after_an_edit_both_are_kept_and_marked_when_they_come_back(desk: Desk, tmp_path: Path) -> None:
    await compiled(desk)
    await desk.press("X")
    desk.client.finish(ExamEnded(exam=samples.exam()))
    await desk.press("Q")
    await desk.until(lambda: desk.app.screen is not desk.screen)
    await desk.press("tab", "enter", *"more", "ctrl+s")
    await desk.settle()
    write_session(tmp_path / "kept.json", desk.explorer.session("kept"))
    async with open_desk(read_session(tmp_path / "kept.json"), tmp_path / "kept.json") as again:
        await again.press("x")
        await again.until(lambda: "compiled, chosen" in again.text() and "random, equal norm" in again.text())
        assert "edited, X examines" in again.text()
        assert not again.explorer.results.trials.is_compiled_for(again.explorer.settings)


async def test_an_earlier_run_keeps_its_own(desk: Desk) -> None:
    await compiled(desk)
    await desk.press("D", "ctrl+r")
    await desk.settle()
    await desk.press("comma")
    assert desk.explorer.results.trials.compilation == samples.COMPILATION


# Any text, any room.


@pytest.mark.parametrize("size", [(120, 40), (60, 18)], ids=str)
async def test_any_text_in_little_room(size: tuple[int, int]) -> None:
    texts = list(TOKENS)
    async with open_desk(ASKED, size=size) as desk:
        await desk.settle()
        await desk.press("W")
        desk.client.finish(poisoned(CompileEnded(compilation=samples.COMPILATION), texts))
        await desk.settle()
        check_screen(desk.app)
        await desk.press("X")
        desk.client.finish(poisoned(ExamEnded(exam=samples.exam()), texts))
        await desk.drawn()
        for keys in (("x",), ("tab", "G"), ("z",), ("z", "9"), ("5",)):
            await desk.press(*keys)
            await desk.drawn()
            check_screen(desk.app)
        desk.explorer.is_unsaved = False


@pytest.mark.parametrize("width", [20, 40, 56, 58, 69, 70, 76, 87, 88, 100, 160])
def test_columns_fill_their_width(width: int) -> None:
    for columns, widest in ((patch_columns(width), 104), (answer_columns(width, True, True), 160)):
        room = sum(column.width for column in columns) + len(columns) - 1
        assert room == min(width, widest) or width < 40
        assert len(header(columns)) == room


def test_a_query_is_cut_at_its_beginning() -> None:
    assert fit_end("漢字漢字 is", 8) == "…漢字 is"
    assert [len(fit_end("abcdef", n)) for n in (1, 3, 6, 9)] == [1, 3, 6, 9]
