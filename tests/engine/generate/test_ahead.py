"""A strength that is generated ahead is the one that is generated when it is asked for, to the last bit."""

import pytest
from msgspec.structs import replace

from icltui.api.messages import (
    Generate,
    GenerateAhead,
    GenerationEnded,
    PatchTested,
    StrengthGenerated,
)
from icltui.engine.generate import ahead
from icltui.engine.local import LocalEngine
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling
from tests.engine.small_models import make_tiny, tiny

PROMPT = Prompt(context="abcd", query="ef")
ALPHAS = (1.5, 0.25, 0.0)


def engine() -> LocalEngine:
    loaded = tiny("llama")
    return LocalEngine(loaded, loaded.describe("packed"))


def asked(request, alpha):
    """The patched lane as a request of its own brings it."""
    at = replace(request, recipe=replace(request.recipe, alpha=alpha))
    events = list(engine().run(at, lambda: False))
    made = next(event.generation for event in events if isinstance(event, GenerationEnded))
    patch = next((event.patch for event in events if isinstance(event, PatchTested)), None)
    alone = {name: {"patched": getattr(made, name)["patched"]} for name in ("lanes", "agreement", "fit")}
    return replace(made, **alone, patch=patch)


@pytest.mark.parametrize("most_kept", [2**25, 0])
@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        (Recipe(), {}),
        (Recipe(), {"holdout": ("gh",), "forced": {"patched": (9, 11)}}),
        (Recipe(mode="frozen", alpha="search"), {"sampling": Sampling(temperature=1.0, seed=3)}),
        (Recipe(mode="compiled", n_fitted=2, ridge=1e-3), {"holdout": ("gh", "ij")}),
        (Recipe(control="shuffled", seed=2), {}),
    ],
)
def test_it_is_what_is_generated_when_it_is_asked_for(recipe, options, most_kept, monkeypatch):
    monkeypatch.setattr(ahead, "MOST_KEPT", most_kept)
    request = Generate(prompt=PROMPT, recipe=recipe, n_tokens=4, **options)
    events = list(engine().run(GenerateAhead(generate=request, alphas=ALPHAS), lambda: False))
    made = [event.generation for event in events if isinstance(event, StrengthGenerated)]
    wanted = [asked(request, alpha) for alpha in ALPHAS]
    assert made[:3] == [replace(one, patch=None) for one in wanted], "the texts first"
    assert made[3:] == [one for one in wanted if one.patch]


def test_no_strength_is_begun_after_its_time_or_once_it_is_asked_to_stop():
    request = Generate(prompt=PROMPT, recipe=Recipe(mode="frozen"), n_tokens=4)
    late = engine().run(GenerateAhead(generate=request, alphas=ALPHAS, budget=-1.0), lambda: False)
    assert not [event for event in late if isinstance(event, StrengthGenerated)]
    passes = []

    def should_stop() -> bool:
        passes.append(1)
        return sum(isinstance(event, StrengthGenerated) for event in seen) == 1

    seen: list[object] = []
    for event in engine().run(GenerateAhead(generate=request, alphas=ALPHAS), should_stop):
        seen.append(event)
    assert sum(isinstance(event, StrengthGenerated) for event in seen) == 1
    assert len(passes) > request.n_tokens, "asked at every token"


def test_the_context_is_not_run_again_for_another_strength():
    loaded, passes = make_tiny("llama"), []
    loaded.model.register_forward_hook(lambda *_: passes.append(1))
    request = Generate(prompt=PROMPT, n_tokens=4)
    counts = []
    for alphas in ((1.0,), (1.0, 1.0, 1.0)):
        passes.clear()
        list(
            LocalEngine(loaded, loaded.describe("packed")).run(
                GenerateAhead(generate=request, alphas=alphas), bool
            )
        )
        counts.append(len(passes))
    assert counts == [8, 16], (
        "the context and the patched lane; then the patched lane alone, whose text is the same"
    )
