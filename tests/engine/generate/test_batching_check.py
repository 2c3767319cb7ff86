"""Several queries in one batch: what each says alone, whatever is padded beside it."""

from dataclasses import replace

import pytest
import torch

from icltui.engine.generate.batching_check import PaddingChangesLogits, can_batch, in_batches
from icltui.engine.generate.generate import generate
from icltui.engine.patch.build import BuiltPatch, PatchSpec, build_patch
from icltui.engine.prompts.tokenize import Ids
from icltui.values import LANES, Generation
from icltui.values.prompt import Positions
from icltui.values.recipe import Recipe, Sampling
from tests.engine.small_models import FAMILIES, make_tiny, tiny
from tests.thinned import thinned

CONTEXT = (17, 203, 88, 140, 9, 61, 255, 34)
QUERIES = ((70, 12, 199), (33, 101), (5, 66, 7, 181, 90), (250,))
HOT = Sampling(temperature=0.8, seed=5)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def cases(family: str, recipe: Recipe, positions: Positions = "reset") -> list[PatchSpec]:
    loaded = tiny(family)
    ids = [Ids((0,), CONTEXT, query, tuple(range(9))) for query in QUERIES]
    return [PatchSpec(loaded, loaded.sites, one, positions, recipe) for one in ids]


def alone(spec: PatchSpec, built: BuiltPatch | None, sampling: Sampling) -> Generation:
    *_, whole = generate([spec], built, lanes=LANES, n_tokens=5, sampling=sampling)
    assert isinstance(whole, Generation)
    return whole


def together(specs, built, lanes, sampling) -> list[Generation]:
    made = generate(specs, built, lanes=lanes, n_tokens=5, sampling=sampling)
    return [one for one in made if isinstance(one, Generation)]


def assert_same(ours: Generation, theirs: Generation) -> None:
    for lane in LANES:
        assert ours.lanes[lane].token_ids == theirs.lanes[lane].token_ids
        for a, b in zip(ours.lanes[lane].steps, theirs.lanes[lane].steps, strict=True):
            assert a.top[0].probability == pytest.approx(b.top[0].probability, abs=1e-5)
            assert a.kl_to_context == pytest.approx(b.kl_to_context, abs=1e-5)
    assert ours.agreement == theirs.agreement


@pytest.mark.parametrize(
    ("sampling", "positions"), [(Sampling(), "reset"), (HOT, "keep")], ids=["greedy-reset", "sampled-keep"]
)
@pytest.mark.parametrize("family", thinned(FAMILIES, 2))
def test_rows_say_together_what_each_says_alone(family, sampling, positions):
    some = cases(family, Recipe(), positions)
    made = together(some, BuiltPatch(some[0]), LANES, sampling)
    for spec, ours in zip(some, made, strict=True):
        assert_same(ours, alone(spec, BuiltPatch(spec), sampling))
        assert ours.agreement["patched"].first_difference is None


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt_neox", "mixtral"])
def test_one_held_patch_serves_all_rows(family):
    some = cases(family, Recipe(mode="compiled", n_fitted=1, ridge=1e-3))
    some = [replace(spec, calibration=(some[0].ids, some[1].ids)) for spec in some]
    built = build_patch(some[0], 0)
    assert can_batch(some[0], built)
    made = together(some, built, LANES, HOT)
    for spec, ours in zip(some, made, strict=True):
        assert_same(ours, alone(spec, replace(built, spec=spec), HOT))


def test_a_row_that_ends_goes_no_further_and_the_others_do():
    loaded = make_tiny("llama")
    some = [replace(spec, loaded=loaded, sites=loaded.sites) for spec in cases("llama", Recipe())]
    *_, whole = generate(some[:1], None, lanes=("context", "plain"), n_tokens=5)
    loaded.model.generation_config.eos_token_id = whole.lanes["context"].token_ids[1]
    made = together(some, None, ("context", "plain"), Sampling())
    assert len(made[0].lanes["context"].token_ids) == 2
    for spec, ours in zip(some, made, strict=True):
        *_, theirs = generate([spec], None, lanes=("context", "plain"), n_tokens=5)
        assert {k: v.token_ids for k, v in ours.lanes.items()} == {
            k: v.token_ids for k, v in theirs.lanes.items()
        }


def test_what_cannot_share_a_patch_is_not_batched():
    frozen, random, plain = (
        cases("llama", recipe)[0] for recipe in (Recipe(mode="frozen"), Recipe(control="random"), Recipe())
    )
    assert not can_batch(frozen, build_patch(frozen, 0))
    assert not can_batch(random, BuiltPatch(random))
    searched = replace(plain, recipe=Recipe(alpha="search"))
    assert not can_batch(searched, BuiltPatch(searched)), "each query has a strength of its own"
    assert can_batch(plain, BuiltPatch(plain))
    assert can_batch(frozen, None)


def test_a_model_whose_numbers_change_beside_padding_is_taken_one_by_one(monkeypatch):
    some = cases("llama", Recipe())
    monkeypatch.setattr(
        "icltui.engine.generate.batching_check.forward", lambda *_: torch.zeros(300, dtype=torch.float64)
    )
    with pytest.raises(PaddingChangesLogits):
        together(some, None, ("context",), Sampling())


def test_batches_hold_every_case_once_and_no_more_than_fits(monkeypatch):
    some = cases("llama", Recipe()) * 20
    assert list(in_batches(some, 5, len)) == [32, 32, 16]
    monkeypatch.setattr("icltui.engine.generate.batching_check.MOST_TOKENS", 50)
    assert [spec for group in in_batches(some, 5, list) for spec in group] == some
    assert {*in_batches(some, 5, len)} == {2}
