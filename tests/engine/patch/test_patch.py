"""The patch against materialised weights in float64, its identities, and its undoing."""

import pytest
import torch

from icltui.engine.hooks.attach import attach
from icltui.engine.measure.forward_pass import KVCache, forward, forward_states
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.patch.decoding import Decoder, Rows, acting
from icltui.engine.patch.exactness_at_load import relative_error
from icltui.engine.patch.patch import HeldPatch, TokenPatch, apply_map
from icltui.engine.prompts.tokenize import Ids
from icltui.values.recipe import Recipe
from tests.engine.dense_reference import patch_densely
from tests.engine.small_models import FAMILIES, make_tiny, tiny

CONTEXT, QUERY = (17, 203, 88, 140, 9, 61, 255, 34), (70, 12, 199)
IDS = Ids((0,), CONTEXT, QUERY, tuple(range(9)))
ONE = Ids((), CONTEXT, (70,), tuple(range(9)))
EXACT = 2e-6
"""Relative; Hugging Face norms compute in float32 inside float64 models."""


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def patched(model, patch, ids):
    with acting(patch):
        return forward(model, ids, KVCache())


def frozen(loaded) -> HeldPatch:
    """The patch of the query's last token."""
    patch = build_patch(PatchSpec(loaded, loaded.sites, IDS, "reset", Recipe(mode="frozen")), n_later=0).patch
    assert patch is not None
    return patch


def test_map_equals_the_materialised_update():
    generator = torch.Generator().manual_seed(1)
    w, x, z, dz = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((7, 5), (4, 5), (5,), (5,))
    )
    patched = w + torch.outer(w @ dz, z) / (z @ z)
    assert torch.allclose(apply_map(x, z, dz) @ w.T, x @ patched.T, atol=1e-12)


def test_map_leaves_everything_where_z_is_zero():
    x, dz = torch.randn(3, 5), torch.randn(5)
    assert torch.equal(apply_map(x, torch.zeros(5), dz), x)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_token_patch_equals_dense_weights_and_the_context(family):
    loaded = tiny(family)
    dense = patch_densely(loaded.model, FAMILIES[family], ONE.full, ONE.plain, "bias")
    _, _, reference = dense.run(ONE.plain, 0)
    context, targets = forward_states(loaded.model, loaded.sites, ONE.full, 1)
    patch = TokenPatch(loaded.sites, "both")
    patch.aim(targets)
    logits = patched(loaded.model, patch, ONE.plain)
    plain = forward(loaded.model, ONE.plain)
    assert relative_error(logits, reference[-1]) < EXACT
    assert relative_error(logits, context) < EXACT
    assert relative_error(plain, context) > 0.05, "the context must matter, or nothing was tested"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_query_token_patched_gives_the_contextual_logits(family):
    loaded = tiny(family)
    context, targets = forward_states(loaded.model, loaded.sites, IDS.full, len(QUERY))
    patch = TokenPatch(loaded.sites, "both")
    patch.aim(targets, slice(1, None))
    logits = patched(loaded.model, patch, IDS.plain)
    assert relative_error(logits, context) < EXACT


@pytest.mark.parametrize("components", ["weights", "shift"])
def test_one_component_alone_does_not(components):
    loaded = tiny("llama")
    context, targets = forward_states(loaded.model, loaded.sites, IDS.full, len(QUERY))
    patch = TokenPatch(loaded.sites, components)
    patch.aim(targets, slice(1, None))
    logits = patched(loaded.model, patch, IDS.plain)
    assert relative_error(logits, context) > 0.01


def test_weights_alone_equal_dense_weights_alone():
    loaded = tiny("llama")
    dense = patch_densely(loaded.model, FAMILIES["llama"], ONE.full, ONE.plain, None)
    _, targets = forward_states(loaded.model, loaded.sites, ONE.full, 1)
    patch = TokenPatch(loaded.sites, "weights")
    patch.aim(targets)
    logits = patched(loaded.model, patch, ONE.plain)
    assert relative_error(logits, dense.run(ONE.plain, 0)[2][-1]) < EXACT


@pytest.mark.parametrize("family", [name for name, f in FAMILIES.items() if f.down])
def test_held_patch_is_a_change_of_weights_on_every_token(family):
    """Held, the patch must act as W + ΔW and a changed down projection do, also on tokens it was not made for."""
    loaded = tiny(family)
    dense = patch_densely(loaded.model, FAMILIES[family], IDS.full, IDS.plain, "down")
    decoder = Decoder(Rows(loaded.model, [IDS.plain], [range(len(IDS.plain))]), frozen(loaded))
    later = [33, 101, 7]
    got = [decoder.prefill()[0], *(decoder.step([token])[0] for token in later)]
    wanted = dense.run([*IDS.plain, *later], 0)[2][-4:]
    assert relative_error(torch.stack(got), wanted) < EXACT
    assert relative_error(got[0], forward(loaded.model, IDS.full)) < EXACT


@pytest.mark.parametrize("family", ["mixtral"])
def test_experts_without_a_common_down_projection_hold_the_shift_as_a_bias(family):
    loaded = tiny(family)
    dense = patch_densely(loaded.model, FAMILIES[family], IDS.full, IDS.plain, "bias")
    decoder = Decoder(Rows(loaded.model, [IDS.plain], [range(len(IDS.plain))]), frozen(loaded))
    got = torch.cat([decoder.prefill(), decoder.step([33])])
    assert relative_error(got, dense.run([*IDS.plain, 33], 0)[2][-2:]) < EXACT


@pytest.mark.parametrize("family", FAMILIES)
def test_leaving_restores_every_bit(family):
    loaded = make_tiny(family, torch.float32)
    before = forward(loaded.model, IDS.plain)
    weights = [p.clone() for p in loaded.model.parameters()]
    assert not torch.equal(patched(loaded.model, frozen(loaded), IDS.plain), before)
    assert torch.equal(forward(loaded.model, IDS.plain), before)
    assert all(torch.equal(a, b) for a, b in zip(weights, loaded.model.parameters(), strict=True))
    assert hooks_left(loaded.model) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_leaving_by_an_exception_restores_too(error):
    loaded = tiny("gpt_neox")
    patch = TokenPatch(loaded.sites, "both")

    def leave_early():
        with attach(loaded.sites, patch):
            assert hooks_left(loaded.model) > 0
            raise error

    with pytest.raises(error):
        leave_early()
    assert hooks_left(loaded.model) == 0


def test_targets_of_another_row_are_refused():
    loaded = tiny("llama")
    _, targets = forward_states(loaded.model, loaded.sites, IDS.full, 2)
    patch = TokenPatch(loaded.sites, "both")
    patch.aim(targets, slice(1, None))
    with pytest.raises(RuntimeError, match="targets of shape"):
        patched(loaded.model, patch, IDS.plain)


def test_some_layers_only_are_exact_there_and_leave_the_rest():
    """A patched layer's output is contextual whatever lies below it; an unpatched layer above drifts again."""
    loaded = tiny("qwen3")
    sites = [loaded.sites[1]]
    context, targets = forward_states(loaded.model, sites, IDS.full, len(QUERY))
    patch = TokenPatch(sites, "both")
    patch.aim(targets, slice(1, None))
    with attach(sites, patch):
        logits, states = forward_states(loaded.model, sites, IDS.plain, 1)
    assert relative_error(states.out, targets.token(-1).out) < EXACT
    assert relative_error(logits, context) > 0.01


def hooks_left(model) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
