"""Strengths that are generated ahead: when they are asked for, how they are shown, and when nothing is computed."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as with_changes

from icltui.api.messages import (
    CountTokens,
    Generate,
    GenerateAhead,
    JobFailed,
    Measure,
    PatchTested,
    StrengthGenerated,
)
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.strengths import Strengths
from icltui.values import LANES, Generation, LogitError
from icltui.values.recipe import Recipe
from tests.tui import samples
from tests.tui.state.test_explorer import Ear, idle


def at(alpha: float, patch: bool = False, **recipe: object) -> Generation:
    """The patched lane alone at one strength, its first token named after it."""
    made = samples.generation(LANES)
    (first, *others) = made.lanes["patched"].steps
    steps = (with_changes(first, text=f"at {alpha:g}"), *others)
    return with_changes(
        made,
        lanes={"patched": with_changes(made.lanes["patched"], steps=steps)},
        agreement={"patched": made.agreement["patched"]},
        fit={"patched": LogitError(mse=0.0, kl=abs(alpha - 1.1), linf=0.0, top1_equal=True)},
        recipe=with_changes(made.recipe, alpha=alpha, **recipe),
        patch=with_changes(samples.PATCH, alpha=alpha) if patch else None,
    )


async def speaking(is_compiled: bool = False) -> Ear:
    """Three lanes, and an engine that is used while it is idle."""
    ear = await idle()
    ear.explorer.looks_ahead = True
    if is_compiled:
        ear.explorer.settings = replace(ear.explorer.settings, recipe=Recipe(mode="compiled"))
    ear.explorer.switch_delta()
    recipe = ear.explorer.settings.recipe
    made = with_changes(
        samples.generate(LANES)[-1], generation=with_changes(samples.generation(LANES), recipe=recipe)
    )
    ear.client.finish(
        *samples.generate(LANES)[:-1], made, *([PatchTested(patch=samples.PATCH)] if is_compiled else [])
    )
    return ear


def shown(ear: Ear) -> str:
    return ear.explorer.results.texts.steps["patched"][0].text


async def test_an_idle_engine_is_asked_for_the_nearest_strengths_first() -> None:
    ear = await speaking()
    asked = ear.client.request
    assert isinstance(asked, GenerateAhead)
    assert asked.generate == ear.explorer.settings.generate()
    assert asked.alphas[:8] == (1.05, 0.95, 1.1, 0.9, 1.5, 0.5, 2.0, 0.0)
    assert len(asked.alphas) == len({*asked.alphas}) == 40
    assert not ear.explorer.jobs.is_busy, "nothing that the user would have to stop"


async def test_a_strength_that_is_there_is_shown_without_the_engine() -> None:
    ear = await speaking()
    ear.client.send(ear.client.job, *(StrengthGenerated(generation=at(alpha)) for alpha in (1.05, 0.95, 1.1)))
    n = len(ear.client.requests)
    ear.explorer.change_alpha(0.05)
    assert shown(ear) == "at 1.05"
    ear.explorer.change_alpha(0.05)
    assert shown(ear) == "at 1.1"
    assert len(ear.client.requests) == n
    assert ear.client.cancelled == [], "the other strengths go on"
    assert ear.explorer.results.is_lane_fresh("patched", ear.explorer.settings)
    present = ear.explorer.history.present
    assert present is not None
    assert present.session.recipe.alpha == 1.1
    assert present.session.generation is not None
    assert present.session.generation.lanes.keys() == {*LANES}
    assert {a: round(kl, 3) for a, kl in ear.explorer.kl_by_alpha().items()} == {
        0.95: 0.15,
        1.05: 0.05,
        1.1: 0.0,
    }
    ear.explorer.change_alpha(-0.1)
    assert shown(ear) == samples.lane_steps("patched")[0].text, "back at what was generated"


async def test_a_strength_that_is_not_there_goes_first_and_the_last_press_wins() -> None:
    ear = await speaking()
    for _ in range(6):
        ear.explorer.change_alpha(0.05)
    assert ear.client.cancelled == [ear.client.job]
    ear.client.give_way()
    assert isinstance(ear.client.request, Generate)
    assert ear.client.request.recipe.alpha == 1.3
    assert ear.explorer.jobs.plan == [], "one request for six presses"


async def test_what_the_user_does_is_never_waited_for() -> None:
    ear = await speaking()
    ear.explorer.edit("another", samples.QUERY)
    ear.explorer.count()
    assert ear.client.cancelled == [ear.client.job]
    ear.client.give_way()
    assert isinstance(ear.client.request, CountTokens)
    ear.client.finish()
    assert isinstance(ear.client.request, CountTokens), "of an edited prompt nothing is looked ahead"
    await ear.explorer.run()
    assert isinstance(ear.client.request, Measure)


@pytest.mark.parametrize("end", ["done", "failed", "esc"])
async def test_it_ends_and_does_not_begin_again_by_itself(end: str) -> None:
    ear = await speaking()
    n = len(ear.client.requests)
    if end == "done":
        ear.client.finish(StrengthGenerated(generation=at(1.05)))
    elif end == "failed":
        ear.client.send(ear.client.job, JobFailed(kind="EngineError", message="no memory"))
    else:
        assert await ear.explorer.stop()
        ear.client.give_way()
    assert len(ear.client.requests) == n
    assert ear.client.n_kills == 0
    assert ear.lines == []


async def test_a_report_that_a_text_lacks_is_asked_for_once_and_joins_it() -> None:
    ear = await speaking(is_compiled=True)
    ear.client.send(ear.client.job, StrengthGenerated(generation=at(1.05, mode="compiled")))
    ear.explorer.change_alpha(0.05)
    assert (shown(ear), ear.explorer.results.patch) == ("at 1.05", None)
    ear.client.give_way()
    asked = ear.client.request
    assert isinstance(asked, GenerateAhead)
    assert asked.alphas == (1.05,)
    ear.client.finish(StrengthGenerated(generation=at(1.05, patch=True, mode="compiled")))
    assert ear.explorer.results.patch is not None
    assert isinstance(ear.client.request, GenerateAhead)
    assert len(ear.client.request.alphas) > 30, "then the other strengths"


@pytest.mark.parametrize("start", [0.0, 0.125, 0.9837, 1.0, 2.0])
@pytest.mark.parametrize("step", [0.05, -0.05, 0.5, -0.5])
def test_wherever_it_starts_a_key_leads_to_a_strength_that_is_asked_for(start: float, step: float) -> None:
    settings = RunSettings(recipe=Recipe(alpha=start))
    there = {start, *Strengths().missing(settings.generate(), None, start)}
    for _ in range(5):
        settings = settings.with_alpha(step, None)
        assert settings.recipe.alpha in there


def test_no_other_strength_is_shown_however_near() -> None:
    kept, request = Strengths(), Generate(prompt=samples.PROMPT)
    kept.take(request, samples.MODEL, at(0.12341))
    assert kept.find(with_changes(request, recipe=Recipe(alpha=0.12344)), samples.MODEL) is None


def test_a_text_is_found_by_all_that_it_depends_on() -> None:
    kept, request = Strengths(), Generate(prompt=samples.PROMPT)
    kept.take(request, samples.MODEL, at(0.5))
    half = with_changes(request, recipe=Recipe(alpha=0.5))
    assert kept.find(half, samples.MODEL) == at(0.5)
    others = {
        "prompt": with_changes(samples.PROMPT, query="x"),
        "layers": "last",
        "recipe": Recipe(alpha=0.5, mode="frozen"),
        "sampling": with_changes(request.sampling, seed=1),
        "n_tokens": 13,
        "holdout": ("x",),
        "forced": {"context": (1,)},
    }
    for name, value in others.items():
        assert kept.find(with_changes(half, **{name: value}), samples.MODEL) is None, name
    assert kept.find(half, with_changes(samples.MODEL, fingerprint="1")) is None
    own = with_changes(
        half, recipe=Recipe(alpha=0.5, mode="frozen", metric="ordinary", background="notes.txt")
    )
    kept.take(own, samples.MODEL, at(0.5))
    assert kept.find(own, samples.MODEL) is None, "the file may be another by now"


async def test_a_layers_own_strength_is_asked_for_and_shown() -> None:
    ear = await speaking()
    ear.explorer.change_layer_alpha(2, -0.1)
    ear.client.give_way()
    assert isinstance(ear.client.request, Generate)
    assert ear.client.request.recipe.layer_alphas == "2=0.9"
    for _ in range(12):
        ear.explorer.change_layer_alpha(2, -0.1)
    assert ear.explorer.settings.recipe.layer_alphas == "2=0"
    for _ in range(10):
        ear.explorer.change_layer_alpha(2, 0.1)
    assert ear.explorer.settings.recipe.layer_alphas == "", "each 1, as before"
    ear.explorer.choose_layers({0})
    ear.explorer.change_layer_alpha(2, 0.1)
    assert ear.lines[-1] == "layer 2 is not patched: space ticks it"
