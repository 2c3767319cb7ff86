"""Generates through every kind of patch on the example prompts, for the table of patches in the manual."""

from collections.abc import Iterator

from icltui.api import run_to_result
from icltui.api.engine import Engine
from icltui.api.messages import Generate, LoadModel
from icltui.demo.example_sessions import PROMPTS
from icltui.storage.paths import EXAMPLES
from icltui.values import Generation
from icltui.values.recipe import Recipe

N_TOKENS = 24
RECIPES: dict[str, Recipe] = {
    "per step": Recipe(),
    "frozen": Recipe(mode="frozen"),
    "frozen, ΔW alone": Recipe(mode="frozen", components="weights"),
    "frozen, Δb alone": Recipe(mode="frozen", components="shift"),
    "frozen, constant Δb": Recipe(mode="frozen", carrier="bias"),
    "compiled on 4": Recipe(mode="compiled", n_fitted=4),
    "compiled on 8": Recipe(mode="compiled", n_fitted=8),
    "compiled on 16": Recipe(mode="compiled", n_fitted=16),
}


def try_patches(engine: Engine) -> Iterator[tuple[str, str, Generation]]:
    """The names of a prompt and a recipe, and the generation: every recipe on every example."""
    run_to_result.load(engine, LoadModel(device="cpu"))
    for name in EXAMPLES:
        prompt = PROMPTS[name].prompt
        for title, recipe in RECIPES.items():
            request = Generate(prompt=prompt, recipe=recipe, n_tokens=N_TOKENS)
            yield name, title, run_to_result.generate(engine, request)
