"""The explorer without a screen: which request follows from what, and what is dropped."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from icltui.api.messages import (
    CountTokens,
    Generate,
    JobFailed,
    LaneAdvanced,
    LoadModel,
    Measure,
    PatchTested,
    Progress,
    PromptTokenized,
    VerificationEnded,
    Verify,
)
from icltui.storage.sessions import write_session
from icltui.tui.state.explorer import Change, Explorer
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.session_conversion import left_out
from icltui.tui.state.staleness import any_note, lane_note, numbers_note, proof_note
from icltui.tui.state.wanted_model import TOY, toy_note
from icltui.tui.widgets.status_line import state_text
from icltui.values import LANES, CurvePoint, Curves, Session
from icltui.values.recipe import Recipe
from tests.tui import samples
from tests.tui.fake_client import FakeClient


class Ear:
    """An explorer with what it told."""

    def __init__(self, session: Session | None = None) -> None:
        self.client = FakeClient()
        self.explorer = Explorer(self.client, LoadModel(), session, None)
        self.parts: list[Change] = []
        self.lines: list[str] = []
        self.explorer.listen(self.parts.append, lambda text, _is_error: self.lines.append(text))

    def kinds(self) -> list[str]:
        """What was asked so far."""
        return [type(request).__name__ for request in self.client.requests]


@pytest.fixture
def fresh() -> Ear:
    """An example without numbers, its engine not started."""
    return Ear(samples.session(is_measured=False))


async def idle() -> Ear:
    """An example, measured and generated."""
    ear = Ear(samples.session(is_measured=False))
    await ear.explorer.start()
    ear.client.finish(samples.LOADED)
    ear.client.finish(*samples.MEASURE)
    ear.client.finish(*samples.generate(LANES[:2]))
    return ear


async def test_start_loads_then_measures_then_generates_two_lanes(fresh: Ear) -> None:
    await fresh.explorer.start()
    assert fresh.kinds() == ["LoadModel"]
    fresh.client.finish(samples.LOADED)
    assert fresh.kinds() == ["LoadModel", "Measure"]
    fresh.client.finish(*samples.MEASURE)
    assert fresh.client.request == RunSettings(prompt=samples.PROMPT).generate()
    assert fresh.client.request.lanes == LANES[:2]


async def test_a_prompt_that_is_another_one_than_before_is_said_once() -> None:
    """As that of a chat template that writes the date, when a session's run is computed again."""
    ear = Ear(samples.session())
    await ear.explorer.start()
    ear.client.finish(samples.LOADED)
    ear.client.finish(*samples.MEASURE)
    ear.client.finish(*samples.generate(LANES[:2]))
    assert ear.lines == []
    tokens = msgspec.structs.replace(
        samples.TOKENS, prefix=(*samples.TOKENS.prefix, samples.TOKENS.context[0])
    )
    for _ in range(2):
        await ear.explorer.run()
        ear.client.finish(PromptTokenized(tokens=tokens), *samples.MEASURE[1:])
        ear.client.finish(*samples.generate(LANES[:2]))
        ear.explorer.results.measurement = samples.MEASUREMENT  # as if the template wrote another time again
    (line,) = ear.lines
    assert line.startswith("the prompt is not the one that was run before: ")
    assert line in ear.explorer.engine_status.lines
    assert "other tokens before the text" in line


async def test_an_export_is_of_the_prompt_that_was_run() -> None:
    ear = await idle()
    ear.explorer.export_patch("factors", "/there")
    assert ear.client.request.ids == samples.TOKENS.ids
    ear.client.finish()
    ear.explorer.edit("never run", samples.QUERY)
    ear.client.finish()
    ear.explorer.export_patch("factors", "/there")
    assert ear.client.request.ids is None


async def test_what_came_by_itself_is_not_unsaved_work() -> None:
    ear = await idle()
    assert not ear.explorer.is_unsaved
    await ear.explorer.run()
    ear.client.finish(*samples.MEASURE)
    assert not ear.explorer.is_unsaved, "the same again is no work"
    ear.explorer.edit("other", samples.QUERY)
    assert ear.explorer.is_unsaved


async def test_results_are_the_sum_of_the_events() -> None:
    ear = await idle()
    results = ear.explorer.results
    assert results.measurement == samples.MEASUREMENT
    assert results.generation == samples.generation(LANES[:2])
    assert results.measured.n_measured == samples.N_UNITS + 1


async def test_saved_numbers_show_before_anything_runs() -> None:
    ear = Ear(samples.session())
    assert ear.explorer.results.measured.n_measured == samples.N_UNITS + 1
    assert ear.explorer.n_layers == samples.N_LAYERS
    assert ear.client.requests == []


async def test_events_of_other_jobs_are_dropped(fresh: Ear) -> None:
    await fresh.explorer.start()
    fresh.client.finish(samples.LOADED)
    fresh.client.send(1, *samples.MEASURE)
    fresh.client.send(99, *samples.MEASURE)
    assert fresh.explorer.results.measurement is None


async def test_newest_run_wins_after_the_old_one_has_stopped() -> None:
    ear = await idle()
    await ear.explorer.run()
    job = ear.client.job
    ear.client.send(job, samples.TOKENIZED, samples.chunk(0, 3))
    ear.explorer.edit("other context", samples.QUERY)
    await ear.explorer.run()
    await ear.explorer.run()
    assert ear.client.cancelled == [job]
    assert ear.client.job == job, "nothing new before the old one has ended"
    ear.client.send(job, samples.chunk(4, 5))
    assert ear.explorer.results.measured.n_measured == 4, "an outdated job adds nothing"
    ear.client.give_way(job)
    assert ear.client.request == ear.explorer.settings.measure()
    assert ear.client.request.prompt.context == "other context"


async def test_a_superseded_job_that_fails_is_not_reported() -> None:
    ear = await idle()
    await ear.explorer.run()
    job = ear.client.job
    await ear.explorer.run()
    ear.client.send(job, JobFailed(kind="BadInput", message="too long"))
    assert ear.lines == []
    assert ear.client.job == job + 1


async def test_stop_cancels_and_stop_again_kills() -> None:
    ear = await idle()
    await ear.explorer.run()
    assert await ear.explorer.stop()
    assert ear.client.cancelled == [ear.client.job]
    assert ear.client.n_kills == 0
    assert await ear.explorer.stop()
    assert ear.client.n_kills == 1
    assert ear.explorer.jobs.engine == "dead"


async def test_stop_forgets_what_was_planned() -> None:
    ear = await idle()
    await ear.explorer.run()
    await ear.explorer.stop()
    ear.client.give_way()
    assert ear.kinds()[-1] == "Measure"
    assert not await ear.explorer.stop()


async def test_a_run_that_ends_before_its_first_number_costs_nothing() -> None:
    ear = await idle()
    await ear.explorer.run()
    ear.client.send(ear.client.job, samples.TOKENIZED)
    ear.client.die("gone")
    assert ear.explorer.results.measurement == samples.MEASUREMENT
    assert ear.explorer.results.measured.n_measured == samples.N_UNITS + 1


@pytest.mark.parametrize("end", ["cancelled", "failed", "died"])
async def test_a_run_that_does_not_end_takes_nothing_away(end: str) -> None:
    ear = await idle()
    whole = ear.explorer.results.measured
    await ear.explorer.run()
    ear.client.send(ear.client.job, samples.TOKENIZED, samples.chunk(0, 3))
    assert ear.explorer.session("a").measurement == samples.MEASUREMENT, "kept until the new one is whole"
    await over(ear, end)
    assert ear.explorer.results.measured is whole
    assert ear.explorer.results.is_numbers_fresh(ear.explorer.settings)
    assert any("complete results before it" in line for line in ear.lines)
    assert Change.NUMBERS in ear.parts


async def over(ear: Ear, end: str) -> None:
    """Let the current job be over before its end."""
    if end == "cancelled":
        await ear.explorer.stop()
        ear.client.give_way()
    elif end == "failed":
        ear.client.send(ear.client.job, JobFailed(kind="EngineError", message="out of memory"))
    else:
        ear.client.die("the engine was ended by signal 9")


@pytest.mark.parametrize("end", ["cancelled", "failed", "died"])
async def test_a_first_run_that_does_not_end_is_kept_and_marked(fresh: Ear, end: str, tmp_path: Path) -> None:
    await fresh.explorer.start()
    fresh.client.finish(samples.LOADED)
    fresh.client.send(fresh.client.job, samples.TOKENIZED, samples.chunk(0, 3))
    await over(fresh, end)
    explorer = fresh.explorer
    assert explorer.results.measured.n_measured == 4
    assert not explorer.results.is_numbers_fresh(explorer.settings)
    assert numbers_note(explorer.results, explorer.settings) == f"stopped at 3/{samples.N_UNITS}, ^r runs"
    assert explorer.session("a").measurement is None
    assert explorer.saved(tmp_path / "a.json", explorer.session("a")) == ("numbers",)
    assert explorer.is_unsaved, "the numbers on the screen are in no file"


async def test_a_stopped_generation_gives_the_lanes_back_and_marks_the_new_one(tmp_path: Path) -> None:
    ear = await idle()
    explorer, before = ear.explorer, ear.explorer.results.texts.steps
    explorer.switch_delta()
    ear.client.send(ear.client.job, *samples.generate(LANES)[: 3 * 4])
    await over(ear, "cancelled")
    assert {lane: explorer.results.texts.steps[lane] for lane in before} == before
    assert lane_note(explorer.results, explorer.settings, "context") == ""
    assert lane_note(explorer.results, explorer.settings, "patched") == "stopped at 4/12, ^r runs"
    session = explorer.session("a")
    assert session.generation == samples.generation(LANES[:2])
    assert explorer.saved(tmp_path / "a.json", session) == ("lanes",)
    await explorer.run()
    ear.client.finish(*samples.MEASURE)
    ear.client.finish(*samples.generate(LANES))
    assert any_note(explorer.results, explorer.settings) == ""
    assert explorer.saved(tmp_path / "a.json", explorer.session("a")) == ()
    assert not explorer.is_unsaved


async def test_failure_is_told_and_ends_the_plan(fresh: Ear) -> None:
    await fresh.explorer.start()
    fresh.client.send(1, JobFailed(kind="ModelError", message="no model 'x'", exit_code=3))
    assert fresh.lines == ["no model 'x'; no model is loaded: L loads one, ctrl+r loads demo"]
    assert fresh.kinds() == ["LoadModel"]
    await fresh.explorer.run()
    assert fresh.kinds() == ["LoadModel", "LoadModel"]
    fresh.client.finish(samples.LOADED)
    assert fresh.kinds()[-1] == "Measure"


async def test_death_keeps_everything_and_run_starts_anew() -> None:
    ear = await idle()
    await ear.explorer.run()
    ear.client.send(ear.client.job, samples.TOKENIZED, samples.chunk(0, 3))
    ear.client.die("the engine was ended by signal 9", "CUDA error")
    assert ear.explorer.engine_status.death == "the engine was ended by signal 9"
    assert "CUDA error" in ear.explorer.engine_status.lines
    assert ear.explorer.results.measured.n_measured == samples.N_UNITS + 1
    assert not ear.explorer.jobs.is_busy
    await ear.explorer.run()
    assert ear.client.n_starts == 2
    assert ear.explorer.engine_status.death == ""
    assert ear.client.request == LoadModel()
    ear.client.finish(samples.LOADED)
    assert isinstance(ear.client.request, Measure)


async def test_a_death_during_a_job_is_logged_once() -> None:
    ear = await idle()
    await ear.explorer.run()
    ear.client.send(ear.client.job, JobFailed(kind="EngineError", message="gone"))
    ear.client.die("gone", "the tail")
    assert ear.explorer.engine_status.lines[-2:] == ["gone", "the tail"]
    assert ear.explorer.engine_status.lines.count("gone") == 1
    await ear.explorer.run()
    ear.client.die("gone")
    assert ear.explorer.engine_status.lines.count("gone") == 2, "another death is told again"


async def test_an_engine_that_cannot_start_is_dead() -> None:
    client = FakeClient(is_startable=False)
    explorer = Explorer(client, LoadModel(), samples.session())
    await explorer.start()
    assert explorer.engine_status.death == "not found: engine"
    assert client.requests == []


async def test_delta_regenerates_with_three_lanes_and_back_with_two() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    assert ear.client.request.lanes == LANES
    job = ear.client.job
    ear.explorer.switch_delta()
    assert ear.client.cancelled == [job]
    ear.client.give_way(job)
    assert ear.client.request.lanes == LANES[:2]


async def test_delta_during_a_measurement_waits_for_it() -> None:
    ear = await idle()
    await ear.explorer.run()
    ear.explorer.switch_delta()
    assert ear.client.cancelled == []
    ear.client.finish(*samples.MEASURE)
    assert ear.client.request.lanes == LANES
    ear.client.finish(*samples.generate(LANES))
    assert ear.kinds()[-2:] == ["Measure", "Generate"], "generated once, not twice"


async def test_mode_and_components_regenerate_only_with_delta_on() -> None:
    ear = await idle()
    n_jobs = ear.client.job
    ear.explorer.next_choice("mode")
    ear.explorer.next_choice("components")
    assert ear.client.job == n_jobs
    ear.explorer.switch_delta()
    assert (ear.client.request.recipe.mode, ear.client.request.recipe.components) == ("frozen", "weights")
    ear.client.finish(*samples.generate(LANES))
    ear.explorer.next_choice("mode")
    ear.client.finish(*samples.generate(LANES))
    ear.explorer.next_choice("components")
    assert (ear.client.request.recipe.mode, ear.client.request.recipe.components) == ("compiled", "shift")


async def test_a_patch_that_nobody_sees_is_told() -> None:
    ear = await idle()
    ear.explorer.next_choice("mode")
    ear.explorer.next_choice("components")
    assert ear.lines == [
        "patch: frozen, ΔW and Δb; ^t turns ΔW on",
        "patch: frozen, ΔW alone; ^t turns ΔW on",
    ]
    ear.explorer.switch_delta()
    ear.explorer.next_choice("components")
    assert len(ear.lines) == 2


async def test_a_choice_that_does_nothing_in_this_mode_is_told_and_costs_nothing() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    ear.client.finish(*samples.generate(LANES))
    n_jobs = ear.client.job
    ear.explorer.next_choice("carrier")
    assert (ear.client.job, ear.lines[-1]) == (
        n_jobs,
        "carrier: bias, which has no effect in this patch mode (p)",
    )
    assert ear.explorer.results.is_lane_fresh("patched", ear.explorer.settings)
    assert ear.explorer.session("a").recipe.carrier == "bias"


async def test_what_is_known_of_the_patch_comes_behind_its_lane_and_is_saved() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    assert ear.explorer.results.patch is None
    ear.client.send(ear.client.job, *samples.generate(LANES), PatchTested(patch=samples.PATCH))
    ear.client.finish()
    assert ear.explorer.results.patch == samples.PATCH
    assert ear.explorer.engine_status.lines[-2:] == [samples.PATCH.verdict, *samples.PATCH.notes]
    saved = ear.explorer.session("a").generation
    assert saved is not None
    assert saved.patch == samples.PATCH
    ear.explorer.next_choice("mode")
    ear.client.send(ear.client.job, *samples.generate(LANES)[:1])
    assert ear.explorer.results.patch == samples.PATCH
    ear.client.send(ear.client.job, *samples.generate(LANES)[1:3])
    assert ear.explorer.results.patch is None, "the lane on the screen is another patch's"


async def test_a_run_that_is_stopped_before_its_patch_is_tested_keeps_what_was_known_of_it() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    known = msgspec.structs.replace(
        samples.PATCH, curves=Curves(alpha=(CurvePoint(x=1.0, kl=0.5, mse=None),))
    )
    ear.client.finish(*samples.generate(LANES), PatchTested(patch=known))
    await ear.explorer.run()
    ear.client.finish(*samples.MEASURE)
    ear.client.send(ear.client.job, *samples.generate(LANES))
    await ear.explorer.stop()
    ear.client.give_way()
    assert ear.explorer.results.patch == known
    saved = ear.explorer.session("a").generation
    assert saved is not None
    assert saved.patch == known
    await ear.explorer.run()
    ear.client.finish(*samples.MEASURE)
    ear.client.finish(*samples.generate(LANES), PatchTested(patch=samples.PATCH))
    assert ear.explorer.results.patch == known, "the curves are the same patch's"
    ear.explorer.next_choice("mode")
    ear.client.send(ear.client.job, *samples.generate(LANES))
    assert ear.explorer.results.patch is None, "and are no other's"


async def test_what_the_patch_is_at_is_told() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    ear.client.send(ear.client.job, Progress(stage="making the patch", done=0, total=1))
    assert state_text(ear.explorer) == "● making the patch 0/1"
    ear.client.send(ear.client.job, *samples.generate(LANES)[:2])
    assert state_text(ear.explorer) == "● 2/36 tokens"
    ear.client.send(ear.client.job, *samples.generate(LANES)[2:])
    ear.client.send(ear.client.job, Progress(stage="testing the patch", done=3, total=9))
    assert state_text(ear.explorer) == "● testing the patch 3/9"


async def test_layers_need_a_run_and_go_into_it() -> None:
    ear = await idle()
    ear.explorer.choose_layers({0, 1, 5})
    assert not ear.explorer.results.is_numbers_fresh(ear.explorer.settings)
    await ear.explorer.run()
    assert ear.client.request.layers == "0-1,5"
    ear.explorer.choose_layers(set(range(samples.N_LAYERS)))
    assert ear.explorer.settings.layers == "all"


async def test_layers_that_the_model_does_not_have_become_all() -> None:
    ear = Ear(replace_layers(samples.session(is_measured=False), "0-23"))
    await ear.explorer.start()
    ear.client.finish(samples.LOADED)
    assert ear.client.request.layers == "all"


def replace_layers(session: Session, layers: str) -> Session:
    """The same session with other layers."""
    return Session(title=session.title, created=session.created, prompt=session.prompt, layers=layers)


async def test_verify_comes_behind_what_runs() -> None:
    ear = await idle()
    await ear.explorer.run()
    ear.explorer.verify()
    ear.client.finish(*samples.MEASURE)
    ear.client.finish(*samples.generate(LANES[:2]))
    assert isinstance(ear.client.request, Verify)
    ear.client.finish(
        Progress(stage="checking", done=1, total=2), VerificationEnded(verification=samples.VERIFICATION)
    )
    assert ear.explorer.results.verification == samples.VERIFICATION
    assert ear.explorer.results.is_proof_fresh(ear.explorer.settings)


async def test_tokens_are_counted_when_nothing_else_goes_on_and_once() -> None:
    ear = await idle()
    ear.explorer.count()
    assert not isinstance(ear.client.request, CountTokens), "the measurement has counted this prompt"
    ear.explorer.edit("new", "query")
    ear.explorer.count()
    assert isinstance(ear.client.request, CountTokens)
    assert not ear.explorer.jobs.is_busy
    ear.client.send(ear.client.job, JobFailed(kind="BadInput", message="cannot"))
    assert ear.lines == [], "nobody asked for it"
    n_jobs = ear.client.job
    ear.explorer.count()
    assert ear.client.job == n_jobs, "never twice in vain"


async def test_edits_during_a_run_are_counted_behind_it() -> None:
    ear = await idle()
    await ear.explorer.run()
    ear.explorer.edit("new", "query")
    ear.explorer.count()
    ear.client.finish(*samples.MEASURE)
    assert not ear.explorer.results.is_numbers_fresh(ear.explorer.settings)
    ear.client.finish(*samples.generate(LANES[:2]))
    assert ear.client.request == ear.explorer.settings.count()


async def test_a_run_interrupts_counting() -> None:
    ear = await idle()
    ear.explorer.edit("new", "query")
    ear.explorer.count()
    job = ear.client.job
    await ear.explorer.run()
    assert ear.client.cancelled == [job]
    ear.client.give_way(job)
    assert isinstance(ear.client.request, Measure)


async def test_an_empty_query_is_refused_in_words() -> None:
    ear = await idle()
    ear.explorer.edit("context", "  ")
    n_jobs = ear.client.job
    await ear.explorer.run()
    ear.explorer.verify()
    assert ear.client.job == n_jobs
    assert len(ear.lines) == 2
    assert all("query is empty" in line for line in ear.lines)


async def test_open_drops_what_runs_for_the_old_session() -> None:
    ear = await idle()
    await ear.explorer.run()
    job = ear.client.job
    ear.explorer.open(samples.session(), Path("other.json"))
    assert ear.client.cancelled == [job]
    ear.client.send(job, samples.TOKENIZED, samples.chunk(0, 1))
    ear.client.give_way(job)
    assert ear.explorer.results.measured.n_measured == samples.N_UNITS + 1
    assert ear.client.job == job, "saved numbers need no run"
    ear.explorer.open(samples.session(is_measured=False), None)
    assert isinstance(ear.client.request, Measure)


async def test_close_leaves_an_empty_prompt() -> None:
    ear = await idle()
    ear.explorer.close()
    assert ear.explorer.settings.prompt.context == ""
    assert ear.explorer.results.texts.steps == {}
    assert ear.explorer.document.title == "untitled"


async def test_only_numbers_of_the_prompt_as_it_stands_are_saved() -> None:
    ear = await idle()
    session = ear.explorer.session("a")
    assert session.measurement is not None
    assert session.generation is not None
    assert session.model == samples.MODEL
    ear.explorer.edit("edited", samples.QUERY)
    edited = ear.explorer.session("a")
    assert (edited.measurement, edited.generation) == (None, None)
    assert edited.prompt.context == "edited"
    ear.explorer.edit(samples.CONTEXT, samples.QUERY)
    assert ear.explorer.session("a") == session


async def test_a_mode_that_no_lane_used_does_not_cost_the_lanes() -> None:
    ear = await idle()
    ear.explorer.next_choice("mode")
    assert ear.explorer.session("a").generation is not None
    assert not ear.explorer.results.is_lane_fresh("plain", replace(ear.explorer.settings, n_tokens=99))


async def test_a_lane_keeps_its_text_until_the_new_one_begins() -> None:
    ear = await idle()
    before = ear.explorer.results.texts.steps["context"]
    ear.explorer.switch_delta()
    assert ear.explorer.results.texts.steps["context"] == before
    first = samples.lane_steps("context")[0]
    ear.client.send(ear.client.job, LaneAdvanced(step=first))
    assert ear.explorer.results.texts.steps["context"] == before, "the same token: nothing to draw anew"
    other = msgspec.structs.replace(first, token=samples.tokens_of(" elsewhere")[0])
    ear.client.send(ear.client.job, LaneAdvanced(step=other))
    assert ear.explorer.results.texts.steps["context"] == (other,)


async def test_another_strength_says_only_the_patched_lane_anew() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    ear.client.finish(*samples.generate(LANES))
    before = dict(ear.explorer.results.texts.steps)
    ear.explorer.change_alpha(-0.05)
    request = ear.client.request
    assert (request.recipe.alpha, request.lanes) == (0.95, LANES)
    ear.client.send(ear.client.job, *samples.generate(LANES)[:3])
    now = ear.explorer.results.texts.steps
    assert (now["context"], now["plain"]) == (before["context"], before["plain"])
    assert len(now["patched"]) == 1


async def test_turning_delta_off_takes_its_text_from_no_file() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    ear.client.finish(*samples.generate(LANES), PatchTested(patch=samples.PATCH))
    whole = ear.explorer.session("a").generation
    ear.explorer.switch_delta()
    ear.client.finish(*samples.generate(LANES[:2]))
    assert whole is not None
    assert whole.patch == samples.PATCH
    assert ear.explorer.session("a").generation == whole
    ear.explorer.switch_delta()
    ear.client.finish(*samples.generate(LANES))
    assert ear.explorer.session("a").generation == whole


async def test_the_newest_strength_wins_and_stays_in_its_bounds() -> None:
    ear = await idle()
    ear.explorer.change_alpha(0.5)
    assert (ear.explorer.settings.recipe.alpha, ear.lines[-1]) == (
        1.5,
        "patch: per-step, ΔW and Δb, α 1.5; ^t turns ΔW on",
    )
    ear.explorer.switch_delta()
    for _ in range(3):
        ear.explorer.change_alpha(0.5)
    assert ear.lines[-1] == "α is 2: it goes from 0 to 2"
    ear.client.give_way()
    assert ear.client.request.recipe.alpha == 2.0


async def test_a_strength_that_was_searched_for_is_where_the_keys_go_on_from() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    ear.client.finish(
        *samples.generate(LANES), PatchTested(patch=msgspec.structs.replace(samples.PATCH, alpha=0.8))
    )
    ear.explorer.change_settings(replace(ear.explorer.settings, recipe=Recipe(alpha="search")))
    ear.client.finish(
        *samples.generate(LANES), PatchTested(patch=msgspec.structs.replace(samples.PATCH, alpha=0.8))
    )
    ear.explorer.change_alpha(0.05)
    assert ear.explorer.settings.recipe.alpha == 0.85


async def test_agreement_is_counted_while_it_streams() -> None:
    ear = await idle()
    agreement = ear.explorer.results.texts.agreement("plain")
    assert agreement is not None
    assert agreement.first_difference == 0
    assert agreement.total == len(samples.lane_steps("plain"))
    assert 0 < agreement.equal < agreement.total


def test_requests_carry_every_choice() -> None:
    recipe = Recipe(mode="frozen", components="shift")
    settings = RunSettings(prompt=samples.PROMPT, layers="0", recipe=recipe, n_tokens=3, is_delta_on=True)
    assert settings.generate() == Generate(
        prompt=samples.PROMPT, layers="0", recipe=recipe, n_tokens=3, lanes=LANES
    )
    assert settings.verify() == Verify(prompt=samples.PROMPT, layers="0")
    assert settings.measure() == Measure(prompt=samples.PROMPT, layers="0")


OTHER = msgspec.structs.replace(samples.MODEL, name="org/Other-1B", fingerprint="f" * 16, n_layers=24)


def of_other(**changes: object) -> Session:
    """The example as another model measured it, on the first half of its layers."""
    session = msgspec.structs.replace(samples.session(), model=OTHER, layers="0-11", title="other")
    return msgspec.structs.replace(session, verification=samples.VERIFICATION, **changes)


async def test_a_session_of_another_model_is_shown_as_older_and_saved_as_its_own(tmp_path: Path) -> None:
    ear = await idle()
    explorer, opened = ear.explorer, of_other()
    explorer.open(opened, tmp_path / "other.json")
    results, settings = explorer.results, explorer.settings
    assert explorer.model == samples.MODEL
    assert not results.is_numbers_fresh(settings)
    assert not results.is_lane_fresh("context", settings)
    assert not results.is_proof_fresh(settings)
    assert numbers_note(results, settings) == "measured on Other-1B, ^r measures on demo"
    assert lane_note(results, settings, "plain") == "generated on Other-1B, ^r generates on demo"
    assert proof_note(results, settings) == "verified on Other-1B, v verifies on demo"
    assert explorer.session("other") == opened
    write_session(tmp_path / "other.json", explorer.session("other"))
    assert explorer.saved(tmp_path / "other.json", opened) == ()


async def test_results_of_two_models_are_never_in_one_file() -> None:
    ear = await idle()
    explorer = ear.explorer
    explorer.open(of_other(), None)
    await explorer.run()
    assert ear.client.request == Measure(prompt=samples.PROMPT, layers="all"), "in the loaded model's terms"
    ear.client.finish(*samples.MEASURE)
    session = explorer.session("a")
    assert session.model == samples.MODEL
    assert session.measurement == samples.MEASUREMENT
    assert (session.generation, session.verification) == (None, None), "these are of the other model"
    assert left_out(session.alone, explorer.settings, explorer.results) == ("lanes", "verification")
    assert left_out(session, explorer.settings, explorer.results) == (), "the run before has them"


async def test_saved_numbers_of_other_weights_are_stale_once_the_model_is_there() -> None:
    weights = msgspec.structs.replace(samples.MODEL, fingerprint="f" * 16)
    saved = msgspec.structs.replace(samples.session(), model=weights, verification=samples.VERIFICATION)
    ear = Ear(saved)
    assert any_note(ear.explorer.results, ear.explorer.settings) == ""
    await ear.explorer.start()
    ear.client.finish(samples.LOADED)
    results, settings = ear.explorer.results, ear.explorer.settings
    assert numbers_note(results, settings) == "measured on other weights of demo, ^r measures on demo"
    assert not results.is_proof_fresh(settings)
    ear.client.finish(*samples.MEASURE)
    assert results.is_numbers_fresh(settings)
    assert ear.explorer.session("a").verification is None


async def test_a_session_of_the_loaded_model_is_fresh() -> None:
    ear = await idle()
    ear.explorer.open(samples.session(), None)
    assert any_note(ear.explorer.results, ear.explorer.settings) == ""
    assert left_out(ear.explorer.session("a"), ear.explorer.settings, ear.explorer.results) == ()


async def test_an_edited_session_of_another_model_fits_the_loaded_one() -> None:
    ear = await idle()
    ear.explorer.open(of_other(), None)
    ear.explorer.edit("edited", samples.QUERY)
    session = ear.explorer.session("a")
    assert (session.model, session.layers, session.measurement) == (samples.MODEL, "all", None)


async def test_a_proof_of_the_run_before_is_saved_with_it(tmp_path: Path) -> None:
    ear = await idle()
    explorer = ear.explorer
    explorer.verify()
    ear.client.finish(VerificationEnded(verification=samples.VERIFICATION))
    explorer.edit("other context", samples.QUERY)
    await explorer.run()
    ear.client.finish(*samples.MEASURE)
    ear.client.finish(*samples.generate(LANES[:2]))
    session = explorer.session("a")
    assert session.verification is None
    assert explorer.saved(tmp_path / "a.json", session) == ()
    assert not explorer.is_unsaved


async def test_a_prompt_that_was_not_run_is_counted_and_keeps_the_third_lane() -> None:
    ear = await idle()
    explorer = ear.explorer
    explorer.switch_delta()
    ear.client.finish(*samples.generate(LANES))
    explorer.edit("other context", samples.QUERY)
    explorer.count()
    ear.client.finish(samples.TOKENIZED)
    explorer.step_run(-1)
    explorer.step_run(1)
    assert explorer.settings.prompt.context == "other context"
    assert explorer.settings.is_delta_on
    assert ear.client.request == CountTokens(prompt=explorer.settings.prompt)
    assert any_note(explorer.results, explorer.settings) == "not run, ^r runs"


async def test_a_proof_that_waits_is_told_of() -> None:
    ear = await idle()
    await ear.explorer.run()
    ear.explorer.verify()
    assert state_text(ear.explorer) == "● measuring, then verify"
    ear.client.finish(*samples.MEASURE)
    ear.client.finish(*samples.generate(LANES[:2]))
    assert state_text(ear.explorer) == "● verifying"


async def test_a_page_on_the_embedded_model_is_said_to_be_no_fair_test() -> None:
    ear = await idle()
    page = msgspec.structs.replace(samples.TOKENS, context=samples.TOKENS.context * 20)
    for tokens, n in ((samples.TOKENS, 0), (page, 1), (page, 1)):
        await ear.explorer.run()
        ear.client.finish(PromptTokenized(tokens=tokens), *samples.MEASURE[1:])
        ear.client.finish(*samples.generate(LANES[:2]))
        assert ear.lines.count(TOY) == n
    assert TOY in ear.explorer.engine_status.lines
    assert toy_note(LoadModel(model="gpt2"), PromptTokenized(tokens=page)) == ""
