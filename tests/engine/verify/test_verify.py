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
from icltui.engine.verify import layer_check, noise_floor, verify
from icltui.engine.verify.noise_floor import LastInputs, NoiseFloor, Outputs, resolution
from icltui.engine.verify.verdict import NOISES, judge
from icltui.values import ErrorLimits, LayerCheck, LogitError
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


def test_parallel_blocks_add_up_what_they_do_in_the_context_run():
    loaded = tiny("gpt_neox", torch.bfloat16)
    result = verify.verify(loaded, loaded.sites, IDS, seed=0)
    assert [check.block_error for check in result.layers] == [0, 0, 0]
    assert result.logits["patched"].linf == 0


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
        (0.4, True, "to within 1.0e-04 of the largest logit, while rounding alone .*: try a context"),
        (0.6, False, "nothing is proved, as rounding may .* and the context .*: try a context"),
        (1e9, False, "nothing is proved"),
    ],
)
def test_what_the_noise_hides_is_said(of_the_effect, ok, caveat, monkeypatch):
    """However much rounding does, no more than the tolerance is allowed, and less than the context does is no proof."""
    loaded = tiny("llama", torch.float32)
    plain = verify.verify(loaded, loaded.sites, IDS, seed=0).logits["plain"].linf
    zeros = dict.fromkeys(range(3), 0.0)
    monkeypatch.setattr(verify, "noise_floor", lambda *_: NoiseFloor(of_the_effect * plain, zeros, zeros))
    result = verify.verify(loaded, loaded.sites, IDS, seed=0)
    assert result.ok is ok
    assert re.fullmatch(f"{caveat}.*" if caveat else "", result.caveat)
    assert result.noise_share == pytest.approx(result.noise_floor / result.logit_scale)
    assert result.tolerance == pytest.approx(1e-4)
    rounding = max(result.noise_share, resolution(torch.float32, 24))
    assert result.allowed == pytest.approx(min(1e-4, 2 * rounding))
    assert result.patched_share == pytest.approx(result.logits["patched"].linf / result.logit_scale)
    # Where the last layer is not patched the logits are not asked, and so their noise is not.
    assert verify.verify(loaded, loaded.sites[:2], IDS, seed=0).ok


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_floor_is_the_median_of_what_right_runs_give_layer_by_layer(dtype):
    """Against runs by hand: the whole model from a cache, one layer after the other begun anew."""
    loaded, ids = make_tiny("llama", dtype), IDS
    with (
        attach(loaded.sites, wanted := Outputs()),
        attach(loaded.sites, inputs := LastInputs.of(loaded, ids)),
    ):
        logits = verify.forward(loaded.model, ids.full)
    floor = noise_floor.noise_floor(loaded, loaded.sites, ids, logits, wanted, inputs)
    assert set(floor.mlp) == set(floor.block) == {0, 1, 2}
    found = {layer: [] for layer in floor.block}
    for tail in (3, 1, 4):
        cache = loaded.model(torch.tensor([ids.full[:-tail]]), use_cache=True).past_key_values
        for layer in loaded.model.model.layers:

            def begin(_, args, kwargs, n=layer.self_attn.layer_idx, tail=tail):
                return (inputs.seen[n][-tail:][None], *args[1:]), kwargs

            def end(_, __, output, n=layer.self_attn.layer_idx):
                found[n].append(float((output[0, -1] - wanted.block[n]).norm() / wanted.block[n].norm()))

            layer.handles = [
                layer.register_forward_pre_hook(begin, with_kwargs=True),
                layer.register_forward_hook(end),
            ]
        loaded.model(torch.tensor([ids.full[-tail:]]), past_key_values=cache)
        for layer in loaded.model.model.layers:
            [handle.remove() for handle in layer.handles]
    for layer, errors in found.items():
        assert len(errors) == 3
        assert floor.block[layer] == pytest.approx(sorted(errors)[1], rel=1e-3)


def test_no_run_to_compare_with_leaves_the_rounding_of_the_arithmetic():
    one = Ids((), (), (5,), (0,))
    loaded = tiny("llama", torch.float32)
    result = verify.verify(loaded, loaded.sites, one, seed=0)
    assert result.noise_floor == 0.0
    assert result.allowed == pytest.approx(NOISES * resolution(torch.float32, 24))


def test_a_sum_s_rounding_is_within_the_resolution_and_not_far_below_it():
    """In float32 against float64, and in half precision one rounding of the result."""
    generator = torch.Generator().manual_seed(0)
    weight, x = (torch.randn(size, 4096, generator=generator) for size in (256, 1))
    exact = x.double() @ weight.double().T
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        naive = torch.zeros(1, 256)
        for k in range(4096):  # the longest chain of additions that a kernel may use
            naive += x[:, k] * weight[:, k]
        error = float((naive.to(dtype).double() - exact).norm() / exact.norm())
        assert resolution(dtype, 4096) / 30 < error < resolution(dtype, 4096)


def test_the_identity_is_held_to_the_precision_in_which_it_is_computed():
    """In half precision too it comes from states in float32: what the model's dtype rounds does not explain it."""
    loaded = tiny("llama", torch.bfloat16)
    result = verify.verify(loaded, loaded.sites, IDS, seed=0)
    assert result.ok
    for check in result.layers:
        assert check.identity_error <= check.limits["identity"].allowed < 1e-5
        assert check.limits["block"].allowed > 7e-3


WRONG = {
    "the shift": lambda factor: lambda shift: lambda self, layer: factor * shift(self, layer),
    "ΔW": lambda factor: lambda apply_map: lambda x, z, dz: apply_map(x, z, factor * dz),
    "‖z‖²": lambda factor: lambda apply_map: lambda x, z, dz: apply_map(x, z, dz / factor),
}


@pytest.mark.parametrize(("what", "factor"), [("the shift", 1.00003), ("ΔW", 1.00003), ("‖z‖²", 1.00003)])
def test_an_error_below_the_tolerance_is_no_rounding(what, factor, monkeypatch):
    """Every error is below the tolerance, and yet well above its floor."""
    loaded = tiny("llama", torch.float32)
    if what == "the shift":
        original = TokenPatch.shift
        monkeypatch.setattr(
            TokenPatch, "shift", lambda self, k: None if (d := original(self, k)) is None else factor * d
        )
    else:
        wrong = WRONG[what](factor)(layer_check.apply_map)
        for module in ("icltui.engine.patch.patch", "icltui.engine.verify.layer_check"):
            monkeypatch.setattr(f"{module}.apply_map", wrong)
    result = verify.verify(loaded, loaded.sites, IDS, seed=0)
    assert max(max(c.identity_error, c.block_error, c.mlp_error) for c in result.layers) < result.tolerance
    assert not result.ok
    assert "rounding makes" in result.caveat


LIMITS = {name: ErrorLimits(floor=1e-3, allowed=0.002, effect=0.5) for name in ("mlp", "identity", "block")}
GOOD = LayerCheck(
    layer=3, identity_error=0.0, block_error=0.0, cosine=1.0, nmse=0.0, mlp_error=0.0, rank=1, limits=LIMITS
)


def judged(layer=GOOD, patched=0.0, noise=0.0, undone=True, reaches=True, effect=5.0):
    """The verdict on logits up to 10, a resolution of 1e-4 and a tolerance of 0.01."""
    errors = {
        name: LogitError(mse=0.0, kl=0.0, linf=linf, top1_equal=True)
        for name, linf in (("patched", patched), ("plain", effect))
    }
    return judge([layer], errors, noise, 10.0, 1e-4, 0.01, undone=undone, reaches=reaches)


def spoiled(**changes):
    return msgspec.structs.replace(GOOD, **changes)


def block_of(**changes):
    """The layer with other limits of its block."""
    return spoiled(limits={**LIMITS, "block": msgspec.structs.replace(LIMITS["block"], **changes)})


@pytest.mark.parametrize(
    ("given", "ok", "caveat"),
    [
        ({}, True, ""),
        ({"patched": 0.002}, True, ""),
        (
            {"patched": 0.0021},
            False,
            "the patched logits miss by 2.1e-04 of the largest one: rounding makes 0.0e+00, and 2.0e-04 is allowed",
        ),
        ({"patched": None}, False, "the patched logits miss by inf"),
        ({"patched": 0.05, "noise": 0.03}, True, ""),
        ({"patched": 0.07, "noise": 0.03}, False, "the patched logits miss"),
        ({"patched": 0.11, "noise": 0.06}, False, "and 1.0e-02 is allowed"),
        ({"patched": 9.0, "reaches": False}, True, ""),
        ({"patched": 0.05, "noise": 0.11}, True, "to within 1.0e-02 of the largest logit, while rounding"),
        ({"noise": 2.5}, False, "nothing is proved"),
        ({"noise": 2.5, "reaches": False}, True, ""),
        ({"effect": 0.0}, True, ""),
        ({"effect": 0.001}, False, "nothing is proved, as rounding may move the logits by 2.0e-04"),
        ({"undone": False}, False, "not bit for bit"),
        ({"layer": spoiled(block_error=0.002)}, True, ""),
        (
            {"layer": spoiled(block_error=0.0021)},
            False,
            "at layer 3 the block misses by 2.1e-03: rounding makes 1.0e-03, and 2.0e-03 is allowed",
        ),
        ({"layer": spoiled(identity_error=None)}, False, "at layer 3 ΔW z misses by no number"),
        ({"layer": spoiled(mlp_error=math.nan)}, False, "at layer 3 the MLP misses"),
        ({"layer": spoiled(rank=2)}, False, "at layer 3 ΔW has rank 2"),
        ({"layer": spoiled(rank=None)}, False, "rank None"),
        ({"layer": block_of(effect=0.0)}, True, ""),
        (
            {"layer": block_of(effect=0.001)},
            False,
            "nothing is proved, as rounding may move the block's output",
        ),
        (
            {"layer": block_of(effect=0.5, floor=0.3)},
            False,
            "at layer 3 by 6.0e-01 and the context moves it by",
        ),
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
        assert torch.linalg.matrix_rank(explicit) == layer_check._rank(site, z[None], dz[None], None) == 1
        # In parallel blocks the MLP's input is the contextual one already, once the blocks below are patched.
        assert result.layers[k].rank == (0 if FAMILIES[family].residual == "parallel" else 1)


def test_a_map_of_another_rank_is_noticed(monkeypatch):
    def wrong(x, _, dz):
        return x + dz * torch.tanh(x)

    monkeypatch.setattr(layer_check, "apply_map", wrong)
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
