"""Queries left out in the pass that makes the patch, against patches made anew without them."""

from dataclasses import replace

import pytest
import torch
from msgspec.structs import replace as with_changes

from icltui.engine.measure.forward_pass import forward
from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import BuiltPatch, PatchSpec, build_from, fit_leaving_out, fitted_tokens
from icltui.engine.patch.calibration import Passage, PassageReader
from icltui.engine.patch.exactness_at_load import relative_error
from icltui.engine.patch.leave_one_out import leave_one_out, refit_without
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe
from tests.engine.small_models import tiny

CONTEXT = (17, 203, 88, 140, 9, 61, 255, 34)
QUERIES = [(70, 12, 199), (33, 101), (5, 66, 7, 181), (90, 91, 92), (210, 4)]
RECIPE = Recipe(mode="compiled", n_fitted=2, ridge=0.1, queries=tuple("abcde"))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def material(family: str = "llama", layers: slice = slice(None), **recipe) -> tuple[PatchSpec, list[Passage]]:
    loaded = tiny(family)
    sites = loaded.sites[layers]
    ids = [Ids((0,), CONTEXT, query, tuple(range(9))) for query in QUERIES]
    made = with_changes(RECIPE, **recipe)
    reader = PassageReader(loaded, sites, "reset", len(ids))
    return PatchSpec(loaded, sites, ids[0], "reset", made, tuple(ids)), [reader.read(one, 2) for one in ids]


def left_out_logits(spec: PatchSpec, passages: list[Passage], strengths=(1.0,)):
    parts = fitted_tokens(spec, passages[0], passages)
    return fit_leaving_out(BuiltPatch(spec, passages[0], parts), strengths)


def without(spec: PatchSpec, passages: list[Passage], number: int) -> BuiltPatch:
    rest = [*passages[:number], *passages[number + 1 :]]
    # ρ is a share of the mean square of the fitted vectors, which are fewer
    return build_from(replace(spec, calibration=tuple(one.ids for one in rest)), passages[0], rest)


@pytest.mark.parametrize("components", ["weights", "shift"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "mixtral", "gemma3"])
def test_at_one_layer_it_is_a_refit(family, components):
    """Exact there, where the mean square that ρ is a share of is made equal."""
    spec, passages = material(family, slice(1, 2), components=components)
    got = left_out_logits(spec, passages).left_out[1.0]
    everyone = build_from(spec, passages[0], passages)
    for number, passage in enumerate(passages):
        fewer = without(spec, passages, number)
        layer = spec.sites[0].layer
        share = mean_square(spec, everyone, layer) / mean_square(spec, fewer, layer)
        recipe = with_changes(spec.recipe, ridge=spec.recipe.ridge * share)
        fewer = without(replace(spec, recipe=recipe), passages, number)
        assert relative_error(got[number], patched_logits(fewer, passage)) < 1e-4, number


def mean_square(spec: PatchSpec, built: BuiltPatch, layer: int) -> float:
    made = fit_leaving_out(built, ()).layers[layer]
    vectors = made.g if spec.recipe.components == "shift" else made.z
    return 1.0 if vectors is None else float(vectors.double().square().sum() / len(vectors))


@pytest.mark.parametrize("cross_fit", [False, True])
def test_the_patch_is_the_one_that_is_built_without_leaving_out(cross_fit):
    spec, passages = material(cross_fit=cross_fit)
    made = leave_one_out(spec, passages[0], passages).built
    again = build_from(spec, passages[0], passages)
    for passage in passages:
        assert relative_error(patched_logits(made, passage), patched_logits(again, passage)) < 1e-6


def test_cross_fitted_rows_count_as_much_as_the_others():
    spec, passages = material(cross_fit=True)
    layers = left_out_logits(spec, passages).layers
    once = left_out_logits(replace(spec, recipe=with_changes(spec.recipe, cross_fit=False)), passages).layers
    for layer, made in layers.items():
        assert len(made.z) == 2 * len(once[layer].z)
    lowest, n = spec.sites[0].layer, len(once[0].z)
    assert torch.equal(layers[lowest].z[:n], layers[lowest].z[n:]), (
        "no patch acts on the lowest layer's input"
    )
    assert not torch.allclose(layers[2].z[:n], layers[2].z[n:])


def test_strengths_are_those_of_the_patch_without_the_query():
    spec, passages = material(layers=slice(1, 2))
    left = left_out_logits(spec, passages, (1.0, 0.5, 0.0)).left_out
    for number, passage in enumerate(passages):
        keep = torch.arange(len(passage.ids.plain) - 1, len(passage.plain))
        bare = forward(spec.loaded.model, passage.plain, logits_to_keep=keep)
        assert relative_error(left[0.0][number], bare) < 1e-6
        assert relative_error(left[0.5][number], bare) > 1e-4
        assert relative_error(left[0.5][number], left[1.0][number]) > 1e-4


def test_honest_refits_are_near():
    spec, passages = material()
    made = leave_one_out(spec, passages[0], passages)
    for number in range(len(passages)):
        refitted = refit_without(spec, passages[0], passages, number)
        assert made.scores[1.0][number].n == refitted.n == 3
        assert made.scores[1.0][number].kl == pytest.approx(refitted.kl, rel=0.2)


def test_one_query_cannot_be_left_out():
    spec, passages = material()
    with pytest.raises(BadInput, match="give two calibration queries or more"):
        leave_one_out(spec, passages[0], passages[:1])


def test_at_the_lowest_layer_a_cross_fitted_patch_is_one_of_half_the_ridge():
    """There both rows of a query are equal: (1 + w) Σ‖ΔZ − D‖² + ρ (1 + w)/2 …, whatever the second's weight w."""
    spec, passages = material(layers=slice(0, 1), components="weights", cross_fit=True)
    half = with_changes(spec.recipe, cross_fit=False, ridge=spec.recipe.ridge / 2)
    ours, theirs = (build_from(one, passages[0], passages) for one in (spec, replace(spec, recipe=half)))
    for passage in passages:
        got = patched_logits(ours, passage)
        assert relative_error(got, patched_logits(theirs, passage)) < 1e-4
        assert relative_error(got, patched_logits(theirs, passage, 0.0)) > 1e-3
