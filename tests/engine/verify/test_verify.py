"""Verify must pass where the patch is right, and fail where one part of it is wrong."""

import dataclasses
import math
import re

import msgspec
import pytest
import torch

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture
from icltui.engine.measure.rank_one import project
from icltui.engine.patch.patch import TokenPatch
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.verify import verify
from icltui.engine.verify.verdict import judge
from icltui.values import LayerCheck, LogitError
from tests.engine.small_models import FAMILIES, make_tiny, tiny

IDS = Ids((0,), (17, 203, 88, 140, 9, 61), (70, 12, 199), tuple(range(7)))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("family", FAMILIES)
def test_ok_with_controls_far_off(family):
    loaded = tiny(family, torch.float32)
    result = verify.verify(loaded, loaded.sites, IDS, seed=0)
    assert result.ok
    assert result.undone
    assert [c.layer for c in result.layers] == [0, 1, 2]
    assert result.logits["patched"].linf < 1e-3
    assert result.noise_floor < 1e-3
    for wrong in (result.logits["plain"], *result.controls.values()):
        assert wrong.linf > 100 * result.logits["patched"].linf
    # In parallel blocks the MLP does not see this layer's attention: δz is 0 below patched layers, Δb does it all.
    halves = ("weights",) if FAMILIES[family].residual == "parallel" else ("weights", "shift")
    for half in halves:
        assert result.logits[half].linf > 10 * result.logits["patched"].linf


def test_some_layers_only():
    loaded = tiny("llama", torch.float32)
    assert verify.verify(loaded, loaded.sites[:2], IDS, seed=0).ok
    assert verify.verify(loaded, loaded.sites[2:], IDS, seed=0).ok


def broken(loaded, **changes):
    """The model with one site's place mistaken for another."""
    wrong = dataclasses.replace(loaded.sites[1], **changes)
    return [loaded.sites[0], wrong, loaded.sites[2]]


def test_the_attention_norm_taken_for_the_mlps_is_noticed():
    """v read one place too early: δ misses what this layer's attention brought."""
    loaded = make_tiny("llama", torch.float32)
    sites = broken(loaded, norm=loaded.sites[1].block.input_layernorm)
    assert not verify.verify(loaded, sites, IDS, seed=0).ok


def test_a_forgotten_shift_is_noticed(monkeypatch):
    monkeypatch.setattr(TokenPatch, "shift", lambda *_: None)
    assert not verify.verify(tiny("llama", torch.float32), tiny("llama", torch.float32).sites, IDS, seed=0).ok


def test_a_map_with_the_wrong_denominator_is_noticed(monkeypatch):
    def wrong(x, z, dz):
        return x + (x * z).sum(-1, keepdim=True) / ((z + dz) ** 2).sum(-1, keepdim=True) * dz

    monkeypatch.setattr("icltui.engine.patch.patch.apply_map", wrong)
    # OLMo-2, whose MLP reads the residual as it is: behind a norm, ‖z_C‖ and ‖z‖ are all but equal.
    loaded = tiny("olmo2", torch.float32)
    assert not verify.verify(loaded, loaded.sites, IDS, seed=0).ok


def test_a_parameter_left_changed_is_noticed(monkeypatch):
    loaded = make_tiny("llama", torch.float32)
    original = TokenPatch.shift

    def spoiling(self, layer):
        self.sites[0].mlp.down_proj.weight.data.mul_(1.0001)
        return original(self, layer)

    monkeypatch.setattr(TokenPatch, "shift", spoiling)
    result = verify.verify(loaded, loaded.sites, IDS, seed=0)
    assert not result.undone
    assert not result.ok


def test_the_note_names_the_tautology():
    assert "by construction" in verify.NOTE


def test_controls_follow_the_seed():
    loaded = tiny("llama", torch.float32)
    one, same, other = (
        verify.verify(loaded, loaded.sites, IDS, seed=s).controls["random"] for s in (0, 0, 1)
    )
    assert one == same != other


@pytest.mark.parametrize(
    ("of_the_effect", "ok", "caveat"),
    [
        (1e-6, True, ""),
        (0.4, True, "to within .* of the largest logit only: .*: try --dtype float32"),
        (0.6, False, "nothing is proved, as rounding alone .* and the context by .*: try --dtype float32"),
        (1e9, False, "nothing is proved"),
    ],
)
def test_what_the_noise_hides_is_said(of_the_effect, ok, caveat, monkeypatch):
    """Twice the noise is allowed, as long as the context does more than that."""
    loaded = tiny("llama", torch.float32)
    plain = verify.verify(loaded, loaded.sites, IDS, seed=0).logits["plain"].linf
    monkeypatch.setattr(verify, "_noise_floor", lambda *_: of_the_effect * plain)
    result = verify.verify(loaded, loaded.sites, IDS, seed=0)
    assert result.ok is ok
    assert re.fullmatch(f"{caveat}.*" if caveat else "", result.caveat)
    assert result.noise_share == pytest.approx(result.noise_floor / result.logit_scale)
    assert result.allowed == pytest.approx(max(result.tolerance, 2 * result.noise_share))
    assert result.patched_share == pytest.approx(result.logits["patched"].linf / result.logit_scale)
    # Where the last layer is not patched the logits are not asked, and so their noise is not.
    assert verify.verify(loaded, loaded.sites[:2], IDS, seed=0).ok


GOOD = LayerCheck(layer=3, identity_error=0.0, block_error=0.0, cosine=1.0, nmse=0.0, mlp_error=0.0, rank=1)


def judged(layer=GOOD, patched=0.0, noise=0.0, undone=True, reaches=True, effect=5.0):
    errors = {
        name: LogitError(mse=0.0, kl=0.0, linf=linf, top1_equal=True)
        for name, linf in (("patched", patched), ("plain", effect))
    }
    return judge([layer], errors, noise, 10.0, 0.01, undone=undone, reaches=reaches)


def spoiled(**changes):
    return msgspec.structs.replace(GOOD, **changes)


@pytest.mark.parametrize(
    ("given", "ok", "caveat"),
    [
        ({}, True, ""),
        ({"patched": 0.1}, True, ""),
        (
            {"patched": 0.11},
            False,
            "the patched logits miss by 1.1e-02 of the largest one, 1.0e-02 is allowed",
        ),
        ({"patched": None}, False, "the patched logits miss by inf"),
        ({"patched": 0.11, "noise": 0.06}, True, ""),
        ({"patched": 0.11, "noise": 0.05}, False, "the patched logits miss"),
        ({"patched": 9.0, "reaches": False}, True, ""),
        ({"patched": 0.21, "noise": 0.11}, True, "to within 2.2e-02 of the largest logit only"),
        ({"noise": 2.5}, False, "nothing is proved"),
        ({"noise": 2.5, "reaches": False}, True, ""),
        ({"effect": 0.0}, True, ""),
        ({"undone": False}, False, "not bit for bit"),
        ({"layer": spoiled(block_error=0.011)}, False, "at layer 3 the block misses by 1.1e-02"),
        ({"layer": spoiled(identity_error=None)}, False, "at layer 3 ΔW z misses by no number"),
        ({"layer": spoiled(mlp_error=math.nan)}, False, "at layer 3 the MLP misses"),
        ({"layer": spoiled(rank=2)}, False, "at layer 3 ΔW has rank 2"),
        ({"layer": spoiled(rank=None)}, False, "rank None"),
    ],
)
def test_the_verdict_follows_its_rule(given, ok, caveat):
    verdict = judged(**given)
    assert verdict.ok is ok
    assert caveat in verdict.caveat
    assert bool(verdict.caveat) is bool(caveat)


@pytest.mark.parametrize("family", FAMILIES)
def test_rank_is_that_of_the_materialised_update(family):
    loaded = tiny(family)
    result = verify.verify(loaded, loaded.sites, IDS, seed=0)
    _, targets = verify.forward_states(loaded.model, loaded.sites, IDS.full, 3)
    for k, site in enumerate(loaded.sites):
        z = targets.z[k, -1]
        dz = 1e-3 * torch.randn_like(z)
        explicit = torch.cat([torch.outer(u[0], z) for u in project(site, dz[None]).values()])
        assert torch.linalg.matrix_rank(explicit) == verify._rank(site, z[None], dz[None], None) == 1
        # In parallel blocks the MLP's input is the contextual one already, once the blocks below are patched.
        assert result.layers[k].rank == (0 if FAMILIES[family].residual == "parallel" else 1)


def test_a_map_of_another_rank_is_noticed(monkeypatch):
    def wrong(x, _, dz):
        return x + dz * torch.tanh(x)

    monkeypatch.setattr(verify, "apply_map", wrong)
    loaded = tiny("llama")
    assert verify.verify(loaded, loaded.sites, IDS, seed=0).layers[1].rank > 1


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox"])
def test_the_gradient_is_that_of_the_weights(family):
    """−cos(W δz, ∂ℓ/∂(Wz)), from one backward pass, against parameters that are nudged for real."""
    with torch.inference_mode(False):
        loaded = make_tiny(family)
    site, projection = loaded.sites[2], loaded.sites[2].input_projections[0]
    ids = Ids((0,), IDS.context, (70,), IDS.ends)
    with torch.inference_mode():
        one = dataclasses.replace(site, input_projections=(projection,))
        result = verify.verify(loaded, [one], ids, seed=0).layers[0].gradient_alignment
        context, targets = verify.forward_states(loaded.model, [one], ids.full, 1)
        with attach([one], Capture(slice(-1, None))) as capture:
            verify.forward(loaded.model, ids.plain)
        u = project(one, targets.z[0] - capture.states().z[0])[projection.name][0]
    gradient = nudged(loaded, projection, context, ids)
    wanted = -float(torch.nn.functional.cosine_similarity(u.clone(), gradient, dim=0))
    assert result == pytest.approx(wanted, abs=1e-3)


def nudged(loaded, projection, context, ids) -> torch.Tensor:
    """∂ℓ/∂(Wz) at the last token by central differences of what the matrix gives."""
    size, step, gradient = 40, 1e-3, []
    for k in range(size):
        losses = []
        for sign in (1, -1):

            def hook(_, __, out, k=k, sign=sign):
                out = out.clone()
                out[..., -1, k] += sign * step
                return out

            handle = projection.module.register_forward_hook(hook)
            log_p = verify.forward(loaded.model, ids.plain).log_softmax(-1)
            losses.append(-(context.softmax(-1) * log_p).sum())
            handle.remove()
        gradient.append((losses[0] - losses[1]) / (2 * step))
    return torch.stack(gradient).clone()


def test_positions_are_kept_in_verification_too():
    loaded = tiny("qwen3", torch.float32)
    results = [verify.verify(loaded, loaded.sites, IDS, seed=0, positions=p) for p in ("reset", "keep")]
    assert all(result.ok for result in results)
    assert results[0].logits["plain"] != results[1].logits["plain"]
