"""A fan: runs in one choice, one after the other, which lose nothing and take nothing from what the user does."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as with_changes

from icltui.api.messages import CountTokens, Generate, JobFailed, LoadModel, Measure, PatchTested
from icltui.storage.sessions import read_session, write_session
from icltui.tui.state.fan import on_layers
from icltui.tui.state.fan_line import MOST_RUNS, variations
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.run_words import RunNumbers, changed_fields, changes
from icltui.values import LANES, LogitError
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe
from tests.tui import samples
from tests.tui.state.test_explorer import Ear, idle


def asked(line: str, settings: RunSettings | None = None) -> list[str]:
    return [one.words for one in variations(line, settings or RunSettings(), 4, {1: "odd"})]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seed 999999:1000001:1", ["seed 999999", "seed 1000000", "seed 1000001"]),
        ("alpha 0 0.5 1", ["α 0", "α 0.5", "α 1"]),
        ("α 0:1:0.25", ["α 0", "α 0.25", "α 0.5", "α 0.75", "α 1"]),
        ("alpha search 1 1", ["α search", "α 1"]),
        ("--mode", ["mode per-step", "mode frozen", "mode compiled"]),
        ("layers each", ["layers 0", "layers 2", "layers 3"]),
        ("layers 0,2 3", ["layers 0,2", "layers 3"]),
        ("unit token line", ["unit token", "unit line"]),
        ("chat", ["chat off", "chat on"]),
        ("seed 1:3:1", ["seed 1", "seed 2", "seed 3"]),
    ],
)
def test_a_line_says_which_runs(line: str, words: list[str]) -> None:
    assert asked(line) == words


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "missing"),
        ("context x", "cannot be varied"),
        ("alpha", "no value"),
        ("alpha 3", "out of range"),
        ("alpha nan", "out of range"),
        ("alpha 0:1:0", "three numbers"),
        ("alpha 0:nan:1", "three numbers"),
        ("alpha 0:1e300:1e-300", "three numbers"),
        ("alpha 0:2:0.001", "too many"),
        ("layers 1", "cannot be used"),
        ("mode sideways", "not known"),
        ("seed " + " ".join(map(str, range(MOST_RUNS + 1))), "fewer"),
    ],
)
def test_a_line_that_asks_for_nothing_that_can_be_is_refused_in_words(line: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        asked(line)


def answer(ear: Ear) -> None:
    """The job is answered with the sample's numbers, its patch with those of a test."""
    match ear.explorer.jobs.request:
        case Measure():
            ear.client.finish(*samples.MEASURE)
        case Generate() as request:
            made = samples.generate(request.lanes)
            ear.client.finish(
                *made, PatchTested(patch=with_changes(samples.PATCH, alpha=request.recipe.alpha))
            )
        case _:
            ear.client.finish()


def alphas(ear: Ear) -> list[tuple[int, int | None, float]]:
    return [(run.number, run.parent, run.session.recipe.alpha) for run in ear.explorer.history.runs]


async def test_a_fan_makes_children_of_the_present_run_and_leaves_the_screen_alone() -> None:
    ear = await idle()
    explorer = ear.explorer
    shown, settings = explorer.results.texts.steps, explorer.settings
    assert explorer.fan_out("alpha 0 0.5 1") is explorer.fan
    seen = []
    while explorer.jobs.request:
        assert isinstance(explorer.jobs.request, Generate), "the numbers are those of the parent"
        seen.append((explorer.fan.place, explorer.fan.current.variation.words, explorer.jobs.request.lanes))
        explorer.edit(f"typed meanwhile {len(seen)}", samples.QUERY)
        answer(ear)
        while isinstance(explorer.jobs.request, CountTokens):
            answer(ear)
    assert seen == [(1, "α 0", LANES), (2, "α 0.5", LANES), (3, "α 1", LANES)]
    assert alphas(ear) == [(1, None, 1.0), (2, 1, 0.0), (3, 1, 0.5), (4, 1, 1.0)]
    assert explorer.history.at == 1
    assert explorer.results.texts.steps == shown
    assert explorer.settings.recipe == settings.recipe
    assert explorer.settings.prompt.context == "typed meanwhile 3"
    assert explorer.fan.state == "over"
    assert "3 of 3 runs are there" in ear.lines[-1]
    runs = explorer.history.runs
    assert all(run.session.measurement is runs[0].session.measurement for run in runs[1:])
    assert {run.session.prompt for run in runs} == {samples.PROMPT}
    assert [run.session.generation.patch.alpha for run in runs[1:]] == [0.0, 0.5, 1.0]


async def test_what_is_there_is_not_computed_again() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    answer(ear)
    ear.explorer.fan_out("alpha 1 0.5")
    answer(ear)
    assert [point.number for point in ear.explorer.fan.points] == [1, 2]
    n_requests = len(ear.client.requests)
    ear.explorer.fan_out("alpha 0.5 1 0.25")
    answer(ear)
    assert [point.number for point in ear.explorer.fan.points] == [2, 1, 3]
    assert len(ear.client.requests) == n_requests + 1


async def test_esc_lets_the_present_run_end_and_no_other_begin_and_twice_ends_it_too() -> None:
    ear = await idle()
    ear.explorer.fan_out("alpha 0 0.5 1")
    assert await ear.explorer.stop()
    assert not ear.client.cancelled
    assert "stops after 1 of 3" in ear.lines[-1]
    answer(ear)
    assert alphas(ear) == [(1, None, 1.0), (2, 1, 0.0)]
    assert ear.explorer.jobs.request is None
    ear.explorer.fan_out("alpha 0 0.5 1")
    await ear.explorer.stop()
    await ear.explorer.stop()
    assert ear.client.cancelled
    ear.client.give_way()
    assert (ear.explorer.jobs.request, ear.client.n_kills) == (None, 0)
    assert len(alphas(ear)) == 2
    assert not ear.explorer.is_fanning


async def test_a_run_that_the_user_asks_for_goes_first_and_the_fan_goes_on() -> None:
    ear = await idle()
    ear.explorer.fan_out("alpha 0 0.5")
    ear.explorer.edit("another context", samples.QUERY)
    await ear.explorer.run()
    ear.client.give_way()
    while ear.explorer.jobs.request:
        answer(ear)
    contexts = {run.number: (run.parent, run.session.prompt.context) for run in ear.explorer.history.runs}
    assert contexts[2] == (1, "another context")
    assert [contexts[number] for number in (3, 4)] == [(1, samples.PROMPT.context)] * 2
    assert ear.explorer.history.at == 2


async def test_one_that_fails_is_told_of_and_the_others_are_computed() -> None:
    ear = await idle()
    ear.explorer.fan_out("alpha 0 0.5")
    ear.client.send(ear.client.job, JobFailed(kind="error", message="no memory for it"))
    answer(ear)
    assert [point.problem for point in ear.explorer.fan.points] == ["no memory for it", ""]
    assert alphas(ear) == [(1, None, 1.0), (2, 1, 0.5)]
    assert "α 0: no memory for it" in ear.lines[-1]


async def test_a_dead_engine_or_another_model_or_session_ends_the_fan_and_keeps_what_is_there() -> None:
    for end in ("die", "load", "open"):
        ear = await idle()
        ear.explorer.fan_out("alpha 0 0.5 1")
        answer(ear)
        if end == "die":
            ear.client.die("killed")
        elif end == "load":
            await ear.explorer.load_model(LoadModel(model="other"))
            ear.client.give_way()
            ear.client.finish(samples.LOADED)
        else:
            ear.explorer.close()
            ear.client.give_way()
        assert not ear.explorer.is_fanning
        n_runs = {"die": 2, "load": 2, "open": 0}[end]
        assert len(ear.explorer.history.runs) == n_runs, end


async def test_layers_one_by_one_take_their_rows_from_the_parent() -> None:
    ear = await idle()
    ear.explorer.fan_out("layers each")
    while ear.explorer.jobs.request:
        assert isinstance(ear.explorer.jobs.request, Generate)
        answer(ear)
    runs = ear.explorer.history.runs[1:]
    assert [run.session.layers for run in runs] == [str(layer) for layer in samples.MEASUREMENT.layers]
    for layer, run in zip(samples.MEASUREMENT.layers, runs, strict=True):
        measured = run.session.measurement
        assert measured.layers == (layer,)
        assert measured.rows == tuple(row for row in samples.MEASUREMENT.rows if row.layer == layer)
    assert on_layers(samples.MEASUREMENT, samples.MEASUREMENT.layers) == samples.MEASUREMENT


async def test_other_dynamics_are_measured_anew() -> None:
    ear = await idle()
    ear.explorer.fan_out("dynamics drop")
    assert isinstance(ear.explorer.jobs.request, Measure)
    assert ear.explorer.jobs.request.dynamics == "drop"
    answer(ear)
    answer(ear)
    assert ear.explorer.history.runs[1].session.dynamics == "drop"


async def test_while_a_fan_runs_the_user_walks_the_tree_and_its_base_cannot_be_cut_off() -> None:
    ear = await idle()
    ear.explorer.fan_out("alpha 0 0.5 1")
    answer(ear)
    ear.explorer.step_run(1)
    assert ear.explorer.history.at == 2
    assert not ear.explorer.prune(1)
    answer(ear)
    assert alphas(ear)[-1] == (3, 1, 0.5), "a child of the run that it was begun from"


async def test_the_children_come_back_from_the_file(tmp_path: Path) -> None:
    ear = await idle()
    ear.explorer.fan_out("alpha 0 0.5")
    answer(ear)
    answer(ear)
    ear.explorer.star(3)
    write_session(tmp_path / "s.json", ear.explorer.session("fan"))
    again = Ear(read_session(tmp_path / "s.json")).explorer.history
    assert again == ear.explorer.history
    assert [run.starred for run in again.runs] == [False, False, True]


async def test_another_strength_on_a_run_with_children_begins_the_next_run() -> None:
    ear = await idle()
    ear.explorer.switch_delta()
    answer(ear)
    ear.explorer.fan_out("alpha 0.5")
    answer(ear)
    ear.explorer.change_alpha(-0.05)
    answer(ear)
    ear.explorer.change_alpha(-0.05)
    answer(ear)
    assert alphas(ear) == [(1, None, 1.0), (2, 1, 0.5), (3, 1, 0.9)], "and goes on in it"


def test_what_differs_is_said_in_few_words() -> None:
    a = samples.session()
    before, _, after = a.prompt.context.partition("France")
    prompt = with_changes(a.prompt, context=f"{before}Peru{after}", unit="line")
    b = with_changes(
        a, prompt=prompt, layers="3", recipe=Recipe(mode="frozen", alpha=0.5), n_tokens=a.n_tokens + 12
    )
    words = changes(a, b)
    assert words[0].startswith("context → ")
    assert "Peru" in words[0]
    assert words[1:] == (
        "unit token → line",
        f"layers {a.layers} → 3",
        "per-step → frozen",
        "α 1 → 0.5",
        f"tokens {a.n_tokens} → {a.n_tokens + 12}",
    )
    assert changed_fields(a, b) == ("context", "unit", "layers", "mode", "alpha", "n_tokens")
    assert changes(a, with_changes(a, recipe=Recipe(carrier="bias", rank=3))) == (), (
        "per step they mean nothing"
    )
    assert changes(a, a) == ()


def test_the_numbers_of_a_run_are_those_of_its_patch() -> None:
    fit = {
        lane: LogitError(mse=1.0, kl=kl, linf=1.0, top1_equal=True)
        for lane, kl in (("plain", 2.0), ("patched", 0.5))
    }
    generation = with_changes(samples.generation(LANES), fit=fit)
    numbers = RunNumbers.of(with_changes(samples.session(), generation=generation))
    assert (numbers.kl, numbers.kl_plain) == (0.5, 2.0)
    assert (numbers.n_equal, numbers.n_tokens) == (
        generation.agreement["patched"].equal,
        generation.agreement["patched"].total,
    )
    assert RunNumbers.of(with_changes(samples.session(), generation=None)) == RunNumbers()


def test_a_value_is_asked_for_once() -> None:
    assert asked("alpha 1 1.0 1", replace(RunSettings(), n_tokens=3)) == ["α 1"]


async def test_runs_of_a_fan_stars_and_cut_branches_are_unsaved_until_they_are_saved(tmp_path: Path) -> None:
    ear = await idle()
    explorer, path = ear.explorer, tmp_path / "s.json"

    def save() -> None:
        explorer.saved(path, explorer.session("s"))
        assert not explorer.is_unsaved

    save()
    explorer.fan_out("alpha 0")
    answer(ear)
    assert explorer.is_unsaved
    save()
    explorer.star(2)
    assert explorer.is_unsaved
    explorer.star(2)
    assert not explorer.is_unsaved, "as it was saved"
    assert explorer.prune(2)
    assert explorer.is_unsaved
    explorer.regrow()
    assert not explorer.is_unsaved
