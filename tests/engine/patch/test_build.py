"""Patches compiled on many tokens, against weights changed for real in float64, and what they must equal."""

from dataclasses import replace

import pytest
import torch

from icltui.engine.measure.forward_pass import forward
from icltui.engine.patch.build import BuiltPatch, PatchSpec, build_patch
from icltui.engine.patch.calibration import logits_without_context
from icltui.engine.patch.decoding import acting
from icltui.engine.patch.exactness_at_load import relative_error
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe
from tests.engine.dense_reference import compile_densely
from tests.engine.patch.test_patch import hooks_left
from tests.engine.small_models import FAMILIES, make_tiny, tiny

CONTEXT = (17, 203, 88, 140, 9, 61, 255, 34)
IDS = Ids((0,), CONTEXT, (70, 12, 199), tuple(range(9)))
OTHER = Ids((0,), CONTEXT, (33, 101), tuple(range(9)))
THIRD = Ids((0,), CONTEXT, (5, 66, 7, 181), tuple(range(9)))
EXACT = 2e-5
"""Relative; norms compute in float32 inside float64 models, and solving magnifies that by the condition of Z."""


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def compiled(
    family: str, n_fitted: int = 3, n_later: int = 3, queries: tuple[Ids, ...] = (), **recipe
) -> BuiltPatch:
    loaded = tiny(family)
    made = Recipe(mode="compiled", n_fitted=n_fitted, **recipe)
    return build_patch(PatchSpec(loaded, loaded.sites, IDS, "reset", made, queries), n_later)


def rows_of(built: BuiltPatch) -> list[tuple[list[int], list[int], int]]:
    return [
        (
            [*part.passage.ids.full, *part.passage.continuation[: part.n_continuation]],
            part.row,
            part.n_tokens,
        )
        for part in built.fitted
    ]


def through(built: BuiltPatch, passage=None) -> torch.Tensor:
    passage = passage or built.own
    with acting(built.acting_on(passage)):
        return logits_without_context(built.spec.loaded, passage)


@pytest.mark.parametrize("ridge", [0.0, 1e-2])
@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_equals_changed_weights_on_every_token(family, ridge):
    """On fitted tokens and on others, with the down projection's own ΔW where it has one."""
    built = compiled(family, ridge=ridge)
    shift_by = "down" if FAMILIES[family].down else "bias"
    if FAMILIES[family].norm_behind:
        built = compiled(family, ridge=ridge, carrier="bias")
    reference = compile_densely(tiny(family).model, FAMILIES[family], rows_of(built), shift_by, ridge)
    wanted = reference.run(built.own.plain, 0)[2][-len(built.own.logits) :]
    assert relative_error(through(built), wanted) < EXACT


@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_says_what_the_context_says_on_its_tokens_and_not_behind_them(family):
    built = compiled(family, carrier="output")
    if FAMILIES[family].g is None:
        pytest.skip("a constant carries the shift, and is exact at one token only")
    got, wanted = through(built), built.own.logits
    assert relative_error(got[:4], wanted[:4]) < EXACT
    assert relative_error(got[4:], wanted[4:]) > 0.01
    assert all(fit.error < 1e-9 and fit.shift_error < 1e-9 for fit in built.fits)
    assert {fit.rank for fit in built.fits} == {6}
    assert built.n_tokens == built.rank == 6


def test_a_constant_shift_is_exact_at_one_token_only():
    built = compiled("llama", n_fitted=0, carrier="bias")
    assert relative_error(through(built)[:1], built.own.logits[:1]) > 1e-3
    frozen = build_patch(replace(built.spec, recipe=Recipe(mode="frozen", carrier="bias")), 3)
    assert relative_error(through(frozen)[:1], frozen.own.logits[:1]) < EXACT


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "mixtral"])
def test_several_queries_share_one_patch(family):
    built = compiled(family, n_fitted=2, queries=(IDS, OTHER, THIRD), ridge=1e-4)
    assert built.n_tokens == sum(len(ids.query) + 2 for ids in (IDS, OTHER, THIRD))
    shift_by = "down" if FAMILIES[family].down else "bias"
    reference = compile_densely(tiny(family).model, FAMILIES[family], rows_of(built), shift_by, 1e-4)
    for part in built.fitted:
        wanted = reference.run(part.passage.plain, 0)[2][-len(part.passage.logits) :]
        assert relative_error(through(built, part.passage), wanted) < EXACT


def test_several_queries_are_exact_where_their_tokens_are_independent():
    built = compiled("llama", n_fitted=2, queries=(IDS, OTHER, THIRD))
    for part in built.fitted:
        assert relative_error(through(built, part.passage)[:3], part.passage.logits[:3]) < 1e-4


def test_frozen_is_compiled_on_the_last_token():
    spec = compiled("qwen3").spec
    frozen = build_patch(replace(spec, recipe=Recipe(mode="frozen")), 3)
    one = replace(spec, ids=Ids((0,), (*CONTEXT, 70, 12), (199,), tuple(range(9))))
    assert len(frozen.fitted) == 1
    assert frozen.fitted[0].n_tokens == 1
    assert relative_error(through(frozen)[:1], forward(spec.loaded.model, IDS.full)[None]) < EXACT
    assert build_patch(replace(one, recipe=Recipe(mode="compiled", n_fitted=0)), 0).n_tokens == 1


def test_strength_0_is_the_model_bit_for_bit_and_leaving_restores_it():
    loaded = make_tiny("llama", torch.float32)
    before = forward(loaded.model, IDS.plain)
    for mode in ("frozen", "compiled", "per-step"):
        spec = PatchSpec(loaded, loaded.sites, IDS, "reset", Recipe(mode=mode, n_fitted=2))
        built = build_patch(spec, 0)
        for alpha in (0.0, 0.5):
            with acting(built.acting_on(built.own, alpha)):
                assert torch.equal(forward(loaded.model, IDS.plain), before) is (alpha == 0)
        assert torch.equal(forward(loaded.model, IDS.plain), before)
        assert hooks_left(loaded.model) == 0


def test_strength_scales_what_is_added():
    built = compiled("llama")
    half = built.patch.at(0.5)
    scaled = {
        layer: replace(
            held,
            weights=replace(held.weights, write=0.5 * held.weights.write),
            output=replace(held.output, write=0.5 * held.output.write),
        )
        for layer, held in built.patch.layers.items()
    }
    for patch in (half, replace(built.patch, layers=scaled)):
        with acting(patch):
            got = logits_without_context(built.spec.loaded, built.own)
        assert relative_error(got, through(replace(built, alpha=0.5))) < 1e-9


@pytest.mark.parametrize("control", ["random", "shuffled", "other"])
@pytest.mark.parametrize("mode", ["frozen", "compiled", "per-step"])
def test_a_control_misses(mode, control):
    spec = compiled("llama", n_fitted=2).spec
    recipe = Recipe(mode=mode, n_fitted=2, control=control, other_context="x", seed=1)
    built = build_patch(replace(spec, recipe=recipe, other_context=(3, 90, 222)), 0)
    assert relative_error(through(built)[:1], built.own.logits[:1]) > 0.01
    again = build_patch(replace(spec, recipe=recipe, other_context=(3, 90, 222)), 0)
    assert torch.equal(through(built), through(again)), "a control is the same each time"


def test_random_directions_have_the_patchs_own_norms():
    spec = compiled("llama").spec
    own, random = (
        build_patch(replace(spec, recipe=Recipe(mode="frozen", control=control)), 0).patch.layers[0]
        for control in ("none", "random")
    )
    assert float(random.weights.write.norm()) == pytest.approx(float(own.weights.write.norm()), rel=1e-5)
    assert abs(float(torch.cosine_similarity(own.weights.write, random.weights.write, dim=0))) < 0.8


def test_a_rank_cuts_the_patch():
    built = compiled("llama", rank=2)
    assert built.rank == 2
    assert all(fit.error > 0.01 for fit in built.fits)
    assert all(fit.error < 1e-9 for fit in compiled("llama", rank=6).fits)


def test_some_layers_only():
    loaded = tiny("llama")
    spec = PatchSpec(loaded, loaded.sites[1:2], IDS, "reset", Recipe(mode="compiled", n_fitted=2))
    built = build_patch(spec, 0)
    assert [fit.layer for fit in built.fits] == [1]
    assert relative_error(through(built), built.own.logits) > 0.01


def test_kept_positions():
    spec = replace(compiled("llama").spec, positions="keep")
    built = build_patch(spec, 2)
    assert built.own.position_ids[:2] == [0, 9]
    assert relative_error(through(built)[:4], built.own.logits[:4]) < EXACT


def test_dependent_tokens_are_refused_with_the_way_out():
    with pytest.raises(
        BadInput, match=r"layer 0: of 14 tokens to fit 7 depend on the others, so ΔW .* --ridge"
    ):
        compiled("llama", n_fitted=4, queries=(IDS, IDS))
    assert compiled("llama", n_fitted=4, queries=(IDS, IDS), ridge=1e-6).fits[0].rank == 7


def test_too_many_tokens_or_ranks_are_refused():
    with pytest.raises(BadInput, match="27 tokens to fit, more than the width of 24"):
        compiled("llama", n_fitted=24)
    with pytest.raises(BadInput, match="rank 7 is more than 6 fitted tokens can have: give at most 6"):
        compiled("llama", rank=7)


def test_a_text_that_ends_by_itself_is_fitted_as_far_as_it_goes():
    loaded = make_tiny("llama")
    whole = compiled("llama").own.continuation
    loaded.model.generation_config.eos_token_id = whole[1]
    built = build_patch(PatchSpec(loaded, loaded.sites, IDS, "reset", Recipe(mode="compiled", n_fitted=3)), 3)
    assert built.own.continuation == whole[:1]
    assert built.n_tokens == 4
