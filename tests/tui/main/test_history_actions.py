"""The runs of a session: what begins one, what adds to it, and that stepping between them loses nothing."""

from pathlib import Path

from msgspec.structs import replace

from icltui.api.messages import CountTokens, Generate, Measure, PatchTested, VerificationEnded
from icltui.storage.sessions import read_session, write_session
from icltui.tui.state import history as module
from icltui.tui.state.history import History
from icltui.tui.state.run_tree import tree_lines
from icltui.tui.state.session_conversion import left_out
from icltui.values import LANES, Run
from tests.tui import samples
from tests.tui.state.test_explorer import Ear, idle

A = samples.session()
OTHER_PROMPT = replace(samples.PROMPT, context="The capital of France is Lyon.\n")


def numbers(history: History) -> list[tuple[int, int | None]]:
    return [(run.number, run.parent) for run in history.runs]


async def ran(ear: Ear, context: str) -> None:
    """Another context typed and run."""
    ear.explorer.edit(context, samples.QUERY)
    await ear.explorer.run()
    answer(ear)


def answer(ear: Ear) -> None:
    """Whatever is asked is answered with the sample numbers."""
    while (request := ear.explorer.jobs.request) is not None:
        match request:
            case Measure():
                ear.client.finish(*samples.MEASURE)
            case Generate():
                ear.client.finish(*samples.generate(request.lanes))
            case _:
                ear.client.finish()


async def test_another_prompt_is_the_next_run_and_more_of_the_same_is_not() -> None:
    ear = await idle()
    assert numbers(ear.explorer.history) == [(1, None)]
    ear.explorer.switch_delta()
    answer(ear)
    ear.explorer.verify()
    ear.client.finish(VerificationEnded(verification=samples.VERIFICATION))
    assert numbers(ear.explorer.history) == [(1, None)]
    first = ear.explorer.history.runs[0].session
    assert first.generation is not None
    assert (first.generation.lanes.keys(), first.verification) == ({*LANES}, samples.VERIFICATION)
    await ran(ear, "elsewhere")
    assert numbers(ear.explorer.history) == [(1, None), (2, 1)]
    assert ear.explorer.history.runs[0].session == first


async def test_run_again_begins_a_run_only_where_something_else_is_asked() -> None:
    ear = await idle()
    await ear.explorer.run()
    answer(ear)
    assert numbers(ear.explorer.history) == [(1, None)]
    ear.explorer.next_choice("mode")
    await ear.explorer.run()
    answer(ear)
    assert numbers(ear.explorer.history) == [(1, None), (2, 1)]


async def test_a_run_that_ends_after_the_next_prompt_was_begun_is_kept() -> None:
    ear = await idle()
    await ear.explorer.run()
    ear.explorer.edit("typed meanwhile", samples.QUERY)
    answer(ear)
    assert [run.session.prompt for run in ear.explorer.history.runs] == [samples.PROMPT]
    assert ear.explorer.history.runs[0].session.generation is not None


async def test_stepping_back_shows_the_run_as_it_was_and_the_next_one_branches_there() -> None:
    ear = await idle()
    await ran(ear, "second")
    await ran(ear, "third")
    ear.explorer.step_run(-1)
    ear.explorer.step_run(-1)
    assert ear.explorer.settings.prompt == samples.PROMPT
    assert ear.explorer.results.measurement == ear.explorer.history.runs[0].session.measurement
    assert ear.lines[-1] == "run 1"
    ear.explorer.step_run(-1)
    assert ear.lines[-1] == "no earlier run"
    await ran(ear, "fourth")
    assert numbers(ear.explorer.history) == [(1, None), (2, 1), (3, 2), (4, 1)]
    assert [(line.guides, line.run.number) for line in tree_lines(ear.explorer.history.runs)] == [
        ("", 1),
        ("├─", 2),
        ("│ ", 3),
        ("└─", 4),
    ]


async def test_a_prompt_that_was_typed_and_not_run_is_put_down_before_one_steps_away() -> None:
    ear = await idle()
    await ran(ear, "second")
    ear.explorer.edit("hours of typing", "a query")
    ear.explorer.step_run(-1)
    assert ear.explorer.history.at == 1
    draft = ear.explorer.history.runs[-1]
    assert (draft.number, draft.parent, draft.session.prompt.context) == (3, 2, "hours of typing")
    assert draft.session.measurement is None
    ear.explorer.go_to_run(3)
    assert ear.explorer.settings.prompt.context == "hours of typing"
    await ear.explorer.run()
    answer(ear)
    assert numbers(ear.explorer.history) == [(1, None), (2, 1), (3, 2)], "it is run now, and no other one"
    assert ear.explorer.history.runs[-1].session.measurement is not None


async def test_no_stepping_while_a_run_goes_on() -> None:
    ear = await idle()
    await ran(ear, "second")
    await ear.explorer.run()
    ear.explorer.step_run(-1)
    assert ear.explorer.history.at == 2
    assert "stop it with esc" in ear.lines[-1]


async def test_no_stepping_while_a_run_waits_for_tokens_to_be_counted() -> None:
    ear = await idle()
    await ran(ear, "second")
    ear.explorer.edit("third", samples.QUERY)
    ear.explorer.count()
    await ear.explorer.run()
    assert isinstance(ear.explorer.jobs.request, CountTokens), "it is asked to stop, and has not yet"
    ear.explorer.step_run(-1)
    assert ear.explorer.history.at == 2
    assert await ear.explorer.stop(), "there is a run to stop"
    assert ear.explorer.jobs.plan == []


async def test_runs_and_their_notes_come_back_from_the_file(tmp_path: Path) -> None:
    ear = await idle()
    assert ear.explorer.session("one").runs == ()
    await ran(ear, "second")
    ear.explorer.annotate(1, "  the clear case ")
    session = ear.explorer.session("two")
    write_session(tmp_path / "s.json", session)
    again = Ear(read_session(tmp_path / "s.json")).explorer.history
    assert [run.note for run in again.runs] == ["the clear case", ""]
    assert again.at == 2
    assert again == ear.explorer.history


async def test_numbers_of_the_only_run_are_in_the_file_of_a_prompt_edited_since(tmp_path: Path) -> None:
    ear = await idle()
    explorer = ear.explorer
    explorer.edit("typed since", samples.QUERY)
    session = explorer.session("one")
    write_session(tmp_path / "s.json", session)
    assert explorer.saved(tmp_path / "s.json", session) == ()
    assert not explorer.is_unsaved
    again = Ear(read_session(tmp_path / "s.json")).explorer
    assert (again.settings.prompt.context, again.results.measurement) == ("typed since", None)
    again.go_to_run(1)
    assert again.results.measurement == samples.MEASUREMENT
    assert again.results.texts.steps == explorer.results.texts.steps


async def test_texts_without_a_patch_stay_when_another_patch_is_chosen() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    answer(ear)
    ear.explorer.switch_delta()
    answer(ear)
    ear.explorer.next_choice("mode")
    session = ear.explorer.session("a").alone
    assert session.generation is not None
    assert session.generation.lanes == samples.generation(LANES[:2]).lanes
    assert left_out(session, ear.explorer.settings, ear.explorer.results) == ()
    ear.explorer.verify()
    ear.client.finish(VerificationEnded(verification=samples.VERIFICATION))
    (run,) = ear.explorer.history.runs
    assert run.session.generation is not None
    assert run.session.generation.lanes.keys() == {*LANES}, "the run keeps what its own patch said"
    assert run.session.recipe.mode == "per-step"


async def test_another_strength_leaves_a_varied_patch_in_a_run_of_its_own() -> None:
    ear = await idle()
    ear.explorer.vary_patch()
    ear.client.send(ear.client.job, *samples.generate(LANES))
    ear.client.finish(PatchTested(patch=samples.VARIED))
    assert numbers(ear.explorer.history) == [(1, None)]
    for _ in range(2):
        ear.explorer.change_alpha(-0.05)
        ear.client.send(ear.client.job, *samples.generate(LANES))
        ear.client.finish(PatchTested(patch=samples.PATCH))
    assert numbers(ear.explorer.history) == [(1, None), (2, 1)]
    assert left_out(ear.explorer.session("a"), ear.explorer.settings, ear.explorer.results) == ()
    ear.explorer.step_run(-1)
    assert ear.explorer.results.varied == samples.VARIED
    assert ear.explorer.settings.recipe.alpha == 1.0


async def test_texts_stay_with_the_choices_that_they_answer() -> None:
    ear = await idle()
    ear.explorer.next_choice("mode")  # ΔW is off: nothing is generated anew
    ear.explorer.verify()
    ear.client.finish(VerificationEnded(verification=samples.VERIFICATION))
    run = ear.explorer.history.runs[0].session
    assert run.generation is not None
    assert run.verification == samples.VERIFICATION


def test_beyond_the_room_the_oldest_numbers_give_way(monkeypatch) -> None:
    n_rows = len(samples.MEASUREMENT.rows)
    monkeypatch.setattr(module, "MOST_ROWS", 2 * n_rows)
    history = History.of(A)
    for context in "bcd":
        prompt = replace(samples.PROMPT, context=context)
        history = history.recorded(replace(A, prompt=prompt, measurement=replace(samples.MEASUREMENT)))
    kept = [run.session.measurement is not None for run in history.runs]
    assert kept == [False, False, True, True]
    assert all(run.session.generation == A.generation for run in history.runs)


def test_runs_that_share_their_numbers_take_room_once(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", len(samples.MEASUREMENT.rows))
    history = History.of(A)
    for alpha in (0.25, 0.5):
        history = history.with_child(1, replace(A, recipe=replace(A.recipe, alpha=alpha)))
    assert [run.parent for run in history.runs] == [None, 1, 1]
    assert all(run.session.measurement is A.measurement for run in history.runs)


def test_a_run_is_never_numbered_twice() -> None:
    run = Run(number=7, session=A)
    assert History((run,), None).recorded(replace(A, prompt=OTHER_PROMPT)).at == 8
