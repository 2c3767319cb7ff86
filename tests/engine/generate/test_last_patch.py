"""A patch at another strength is not built again."""

import pytest
import torch

from icltui.api.messages import Generate, GenerationEnded, PatchTested, Progress
from icltui.api.progress_callback import ignore_progress
from icltui.engine.generate.last_patch import LastPatch
from icltui.engine.local import LocalEngine
from icltui.engine.patch.build import PatchSpec
from icltui.engine.prompts.tokenize import Ids
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.small_models import tiny

IDS = Ids((1,), (5, 9, 2, 77), (30, 4, 81), (0, 1, 2, 3, 4))
RECIPE = {"mode": "compiled", "n_fitted": 2, "ridge": 1e-3}


def spec(ids=IDS, holdout=(), **recipe) -> PatchSpec:
    loaded = tiny("llama")
    return PatchSpec(loaded, loaded.sites, ids, "reset", Recipe(**RECIPE | recipe), holdout=holdout)


@torch.no_grad()
def test_only_strength_and_held_out_queries_may_differ():
    last = LastPatch()
    first = last.build(spec(), ignore_progress)
    again = last.build(spec(alpha=0.5, holdout=(IDS,)), ignore_progress)
    assert again.patch is first.patch
    assert again.spec.recipe.alpha == 0.5
    assert again.spec.holdout == (IDS,)
    other = Ids((1,), (5, 9, 2, 78), (30, 4, 81), (0, 1, 2, 3, 4))
    for changed in (spec(other), spec(rank=1), spec(mode="frozen"), spec(components="shift")):
        before = last.build(spec(), ignore_progress).patch
        assert last.build(changed, ignore_progress).patch is not before
    last.forget()
    assert last.built is None


@pytest.mark.parametrize("alpha", [0.5, "search"])
def test_result_is_that_of_an_engine_that_kept_nothing(alpha):
    loaded = tiny("llama")

    def results(*alphas):
        engine = LocalEngine(loaded, loaded.describe("packed"))
        for strength in alphas:
            recipe = Recipe(**RECIPE, alpha=strength)
            prompt = Prompt(context="abcd", query="ef")
            request = Generate(prompt=prompt, recipe=recipe, n_tokens=3, holdout=("gh", "ij"))
            events = list(engine.run(request, lambda: False))
        stages = {event.stage for event in events if isinstance(event, Progress)}
        return [e for e in events if isinstance(e, GenerationEnded | PatchTested)], stages

    fresh, building = results(alpha)
    kept, spared = results(1.0, alpha)
    assert kept == fresh
    assert {"reading the contextual text", "reading the other queries"} <= building - spared
