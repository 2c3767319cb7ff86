"""Every way from a context to weights, by the name of its row.

Enters: the :class:`~icltui.engine.exam.examinee.Material` of one context. Leaves: a
:class:`~icltui.engine.exam.examinee.Examinee`, or an error of one line where there is no such patch.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from msgspec.structs import replace as with_changes

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.distill.distill import distill
from icltui.engine.exam.examinee import Examinee, Material, held_patch, lora_patch, patch_per_step
from icltui.engine.patch.alpha_search import with_alpha
from icltui.engine.patch.build import build_from, fitted_tokens
from icltui.values import ExamPatch
from icltui.values.recipe import COMPILED, Recipe, patch_words

Way = Callable[[Material, ProgressCallback], Examinee]
"""Makes one examinee; raises an :class:`~icltui.values.errors.IcltuiError` where that cannot be."""
USUAL_RIDGE = 0.01
"""ρ of the plain patch where the session's recipe makes no such patch."""


def plain_recipe(recipe: Recipe) -> Recipe:
    """The session's recipe, compiled, least in its norm, and fitted once."""
    is_plain = recipe.mode == "compiled" and recipe.metric == "plain"
    return with_changes(
        recipe,
        mode="compiled",
        metric="plain",
        ridge=recipe.ridge if is_plain else USUAL_RIDGE,
        cross_fit=False,
        control="none",
        other_context="",
    )


def ordinary_recipe(recipe: Recipe) -> Recipe:
    """The session's recipe where it weighs by ordinary text, else the one that *compile* begins with."""
    own = recipe if recipe.mode == "compiled" and recipe.metric == "ordinary" else COMPILED
    return with_changes(
        plain_recipe(recipe),
        metric="ordinary",
        epsilon=own.epsilon,
        ridge=own.ridge,
        cross_fit=own.cross_fit,
    )


def _frozen_recipe(recipe: Recipe) -> Recipe:
    return Recipe(mode="frozen", components=recipe.components, carrier=recipe.carrier)


def _mean_shift_recipe(_recipe: Recipe) -> Recipe:
    return Recipe(mode="frozen", components="shift", carrier="bias")


def _shift_recipe(recipe: Recipe) -> Recipe:
    return with_changes(ordinary_recipe(recipe), components="shift", carrier="output")


def _random_recipe(recipe: Recipe) -> Recipe:
    return with_changes(plain_recipe(recipe), control="random", alpha=1.0)


def _by_recipe(of: Callable[[Recipe], Recipe], n_read: int | None = None) -> Way:
    """The patch that a recipe makes of the calibration, or of its first ``n_read`` queries; 0: of the prompt's own."""

    def make(material: Material, on_progress: ProgressCallback) -> Examinee:
        recipe, begin = of(material.spec.recipe), time.perf_counter()
        passages = material.calibration[:n_read]
        spec = replace(material.spec, recipe=recipe)
        built = with_alpha(build_from(spec, material.own, passages), on_progress)
        reading = material.seconds * (len(passages) or 1) / len(material.calibration)
        seconds = time.perf_counter() - begin + reading
        assert built.patch is not None
        words = patch_words(with_changes(recipe, alpha=built.alpha))
        return held_patch(spec.loaded, built.patch.at(built.alpha), words, seconds)

    return make


def _per_step(material: Material, _on_progress: ProgressCallback) -> Examinee:
    recipe = Recipe(components=material.spec.recipe.components)
    return patch_per_step(replace(material.spec, recipe=recipe), patch_words(recipe))


def _distilled(material: Material, on_progress: ProgressCallback) -> Examinee:
    """The rival: as many directions on as many queries, found by gradient."""
    recipe = plain_recipe(material.spec.recipe)
    spec, begin = replace(material.spec, recipe=recipe), time.perf_counter()
    fitted = fitted_tokens(spec, material.own, material.calibration)
    hidden = material.calibration[0].targets.z.shape[-1]
    rank = recipe.rank or min(sum(part.n_tokens for part in fitted), hidden)
    made = distill(spec.loaded, spec.sites, fitted, rank, recipe.seed, on_progress=on_progress)
    seconds = time.perf_counter() - begin + material.seconds
    words = f"a LoRA of rank {rank}, {made.n_steps} gradient steps, ended by its {made.training.end}"
    return lora_patch(spec.loaded, made.lora, rank, words, seconds)


WAYS: Mapping[ExamPatch, Way] = MappingProxyType(
    {
        "per-step": _per_step,
        "plain": _by_recipe(plain_recipe),
        "ordinary": _by_recipe(ordinary_recipe),
        "frozen": _by_recipe(_frozen_recipe, n_read=0),
        "mean-shift": _by_recipe(_mean_shift_recipe),
        "shift-alone": _by_recipe(_shift_recipe),
        "random": _by_recipe(_random_recipe),
        "distilled": _distilled,
    }
)
