"""A patch per step takes its aim from the context's own lane, and runs a context of its own once the texts part."""

import pytest
import torch

from icltui.engine.generate import generate as module
from icltui.engine.generate.generate import generate
from icltui.engine.patch.build import BuiltPatch, PatchSpec
from icltui.engine.patch.decoding import ContextDecoder
from icltui.engine.prompts.tokenize import Ids
from icltui.values.recipe import Recipe
from tests.engine.small_models import tiny

IDS = [
    Ids((1,), (5, 9, 2, 77), (30, 4, 81), (0, 1, 2, 3, 4)),
    Ids((1,), (5, 9, 2, 77), (14, 31), (0, 1, 2, 3, 4)),
]
N = 6


def lanes(loaded, ids, **recipe):
    """All events, and the number of the model's passes."""
    specs = [PatchSpec(loaded, loaded.sites, one, "reset", Recipe(**recipe)) for one in ids]
    passes = []
    handle = loaded.model.register_forward_pre_hook(lambda *_: passes.append(1))
    alpha = recipe.get("alpha", 1.0)
    try:
        with torch.inference_mode():
            made = list(
                generate(specs, BuiltPatch(specs[0], alpha=alpha), lanes=("context", "patched"), n_tokens=N)
            )
    finally:
        handle.remove()
    return made, len(passes)


HONEST = module.make_decoder


def alone(specs, built, name, _=None):
    """The lane ``name``, which no other lane leads."""
    return HONEST(specs, built, name)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_context_runs_once_for_both_lanes_while_their_texts_agree(family):
    made, passes = lanes(tiny(family), IDS[:1])
    assert passes == 2 * N
    assert made[-1].agreement["patched"].first_difference is None


@pytest.mark.parametrize("n_rows", [1, 2])
@pytest.mark.parametrize("recipe", [{"alpha": 0.3}, {"components": "shift"}, {"alpha": 1.0}])
def test_lanes_are_bit_for_bit_those_of_two_contexts(n_rows, recipe, monkeypatch):
    shared, passes = lanes(tiny("llama"), IDS[:n_rows], **recipe)
    monkeypatch.setattr(module, "make_decoder", alone)
    apart, passes_apart = lanes(tiny("llama"), IDS[:n_rows], **recipe)
    assert shared == apart
    assert passes <= passes_apart


def test_texts_that_part_are_among_those_compared():
    made, _ = lanes(tiny("llama"), IDS[:1], alpha=0.3)
    assert made[-1].agreement["patched"].first_difference is not None


@pytest.mark.parametrize("control", ["shuffled", "other"])
def test_patch_of_another_context_shares_nothing(control):
    loaded = tiny("llama")
    recipe = Recipe(control=control, other_context="x", seed=3)
    spec = PatchSpec(loaded, loaded.sites, IDS[0], "reset", recipe, other_context=(8, 8, 7, 6))
    built = BuiltPatch(spec)
    leader = module.make_decoder([spec], built, "context")
    assert not isinstance(leader, ContextDecoder)
    assert module.make_decoder([spec], built, "patched", leader).leader is None
