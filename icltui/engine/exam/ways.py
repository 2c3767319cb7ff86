"""Every way from a context to weights, by the name of its row.

Enters: the :class:`~icltui.engine.exam.examinee.Material` of one context. Leaves: a
:class:`~icltui.engine.exam.examinee.Examinee`, or an error of one line where there is no such patch.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from msgspec.structs import replace as with_changes
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.compile.choose import choose
from icltui.engine.distill.distill import distill
from icltui.engine.exam.examinee import Examinee, Material, held_patch, lora_patch, patch_per_step
from icltui.engine.patch.alpha_search import with_alpha
from icltui.engine.patch.build import PatchSpec, build_from, fitted_tokens
from icltui.engine.patch.patch import HeldPatch, LayerPatch
from icltui.values import ExamPatch
from icltui.values.recipe import COMPILED, Recipe, patch_words

Way = Callable[[Material, ProgressCallback], Examinee]
"""Makes one examinee; raises an :class:`~icltui.values.errors.IcltuiError` where that cannot be."""
USUAL_RIDGE = 0.01
"""ρ of the plain patch where the session's recipe makes no such patch."""


def plain_recipe(recipe: Recipe) -> Recipe:
    """The session's recipe, where it makes such a patch: compiled, least in its norm, fitted once; else the usual one.

    What was chosen for another metric, such as a rank, says nothing of this one.
    """
    if recipe.mode == "compiled" and recipe.metric == "plain":
        return with_changes(recipe, cross_fit=False, control="none", other_context="")
    return Recipe(
        mode="compiled",
        ridge=USUAL_RIDGE,
        n_fitted=recipe.n_fitted,
        queries=recipe.queries,
        background=recipe.background,
        seed=recipe.seed,
    )


def is_ordinary(recipe: Recipe) -> bool:
    """Whether the session's recipe itself weighs a compiled patch by ordinary text."""
    return recipe.mode == "compiled" and recipe.metric == "ordinary"


def ordinary_recipe(recipe: Recipe) -> Recipe:
    """The session's recipe where it weighs by ordinary text, else the one that *compile* begins with."""
    if is_ordinary(recipe):
        return with_changes(recipe, control="none", other_context="")
    return with_changes(
        COMPILED,
        n_fitted=recipe.n_fitted,
        queries=recipe.queries,
        background=recipe.background,
        seed=recipe.seed,
    )


def with_choice(material: Material, budget: float, on_progress: ProgressCallback) -> Material:
    """The material with the ordinary patch's recipe and layers chosen as *compile* does, within ``budget`` seconds.

    Raises:
        BadInput: no patch can be made of these passages.
    """
    begin = time.perf_counter()
    choice = choose(
        material.ordinary, material.own, material.calibration, budget=budget, on_progress=on_progress
    )
    spec = choice.built.spec
    alpha = choice.built.alpha
    return replace(
        material,
        ordinary=replace(spec, recipe=with_changes(spec.recipe, alpha=alpha)),
        choice_seconds=time.perf_counter() - begin,
        notes=choice.notes,
    )


def _plain(material: Material) -> PatchSpec:
    return replace(material.spec, recipe=plain_recipe(material.spec.recipe))


def _ordinary(material: Material) -> PatchSpec:
    return material.ordinary


def _frozen(material: Material) -> PatchSpec:
    recipe = plain_recipe(material.spec.recipe)
    frozen = Recipe(mode="frozen", components=recipe.components, carrier=recipe.carrier)
    return replace(material.spec, recipe=frozen)


def _mean_shift(material: Material) -> PatchSpec:
    return replace(material.spec, recipe=Recipe(mode="frozen", components="shift", carrier="bias"))


def _shift_alone(material: Material) -> PatchSpec:
    recipe = with_changes(material.ordinary.recipe, components="shift", carrier="output")
    return replace(material.ordinary, recipe=recipe)


def _held(of: Callable[[Material], PatchSpec], n_read: int | None = None) -> Way:
    """The patch of a spec and the calibration, or its first ``n_read`` queries; 0: of the prompt's own."""

    def make(material: Material, on_progress: ProgressCallback) -> Examinee:
        spec, begin = of(material), time.perf_counter()
        passages = material.calibration[:n_read]
        built = with_alpha(build_from(spec, material.own, passages), on_progress)
        seconds = (
            time.perf_counter() - begin + material.seconds * (len(passages) or 1) / len(material.calibration)
        )
        assert built.patch is not None
        words = patch_words(with_changes(spec.recipe, alpha=built.alpha))
        return held_patch(spec.loaded, built.patch.at(built.alpha), words, seconds)

    return make


def _random(material: Material, on_progress: ProgressCallback) -> Examinee:
    """The plain patch with random maps of the same norms.

    Fitted to random vectors, which have nothing in common as the context's have, maps are several times as large.
    """
    spec = _plain(material)
    plain = _held(_plain)(material, on_progress)
    control = with_changes(spec.recipe, control="random", alpha=1.0)
    random = _held(lambda _material: replace(spec, recipe=control))(material, on_progress)
    layers = {layer: _as_large(part, plain.layers[layer]) for layer, part in random.layers.items()}
    return held_patch(spec.loaded, HeldPatch(spec.sites, layers), random.made, random.seconds)


def _as_large(part: LayerPatch, like: LayerPatch) -> LayerPatch:
    """The layer's patch with the norms of another one's maps and constant."""

    def share(ours: Tensor, theirs: Tensor) -> float:
        return float(theirs.norm()) / (float(ours.norm()) or 1.0)

    weights, output, bias = part.weights, part.output, part.bias
    if weights is not None and like.weights is not None:  # a map's norm is its writing side's
        weights = weights.times(share(weights.write, like.weights.write))
    if output is not None and like.output is not None:
        output = output.times(share(output.write, like.output.write))
    if bias is not None and like.bias is not None:
        bias = bias * share(bias, like.bias)
    return LayerPatch(weights, output, bias)


def _chosen(material: Material, on_progress: ProgressCallback) -> Examinee:
    """The ordinary patch, with the time that its choice took."""
    made = _held(_ordinary)(material, on_progress)
    return replace(made, seconds=made.seconds + material.choice_seconds)


def _per_step(material: Material, _on_progress: ProgressCallback) -> Examinee:
    recipe = Recipe(components=plain_recipe(material.spec.recipe).components)
    return patch_per_step(replace(material.spec, recipe=recipe), patch_words(recipe))


def _distilled(material: Material, on_progress: ProgressCallback) -> Examinee:
    """The rival of the ordinary patch: of its rank and layers, on the same queries, found by gradient."""
    spec, begin = material.ordinary, time.perf_counter()
    fitted = fitted_tokens(spec, material.own, material.calibration)
    hidden = material.calibration[0].targets.z.shape[-1]
    rank = spec.recipe.rank or min(sum(part.n_tokens for part in fitted), hidden)
    made = distill(spec.loaded, spec.sites, fitted, rank, spec.recipe.seed, on_progress=on_progress)
    seconds = time.perf_counter() - begin + material.seconds
    words = f"a LoRA of rank {rank}, {made.n_steps} gradient steps, ended by its {made.training.end}"
    return lora_patch(spec.loaded, made.lora, rank, words, seconds)


WAYS: Mapping[ExamPatch, Way] = MappingProxyType(
    {
        "per-step": _per_step,
        "plain": _held(_plain),
        "ordinary": _chosen,
        "frozen": _held(_frozen, n_read=0),
        "mean-shift": _held(_mean_shift),
        "shift-alone": _held(_shift_alone),
        "random": _random,
        "distilled": _distilled,
    }
)
