"""Verify must pass where the patch is right, and fail where one part of it is wrong."""

import dataclasses

import pytest
import torch
from transformers import AutoModelForCausalLM, OPTConfig

from icltui.engine import check
from icltui.engine.model import adopt
from icltui.engine.patch import TokenPatch
from icltui.engine.tokens import Ids
from icltui.errors import ModelError
from tests.engine.models import FAMILIES, make_tiny, make_tokenizer, tiny

IDS = Ids((0,), (17, 203, 88, 140, 9, 61), (70, 12, 199), tuple(range(7)))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("family", FAMILIES)
def test_ok_with_controls_far_off(family):
    loaded = tiny(family, torch.float32)
    result = check.verify(loaded, loaded.sites, IDS, seed=0)
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
    assert check.verify(loaded, loaded.sites[:2], IDS, seed=0).ok
    assert check.verify(loaded, loaded.sites[2:], IDS, seed=0).ok


def broken(loaded, **changes):
    """The model with one site's place mistaken for another."""
    wrong = dataclasses.replace(loaded.sites[1], **changes)
    return [loaded.sites[0], wrong, loaded.sites[2]]


def test_the_attention_norm_taken_for_the_mlps_is_noticed():
    """v read one place too early: δ misses what this layer's attention brought."""
    loaded = make_tiny("llama", torch.float32)
    sites = broken(loaded, norm=loaded.sites[1].block.input_layernorm)
    assert not check.verify(loaded, sites, IDS, seed=0).ok


def test_a_forgotten_shift_is_noticed(monkeypatch):
    monkeypatch.setattr(TokenPatch, "shifts", property(lambda _: False))
    assert not check.verify(tiny("llama", torch.float32), tiny("llama", torch.float32).sites, IDS, seed=0).ok


def test_a_map_with_the_wrong_denominator_is_noticed(monkeypatch):
    def wrong(x, z, dz):
        return x + (x * z).sum(-1, keepdim=True) / ((z + dz) ** 2).sum(-1, keepdim=True) * dz

    monkeypatch.setattr("icltui.engine.patch.apply_map", wrong)
    # OLMo-2, whose MLP reads the residual as it is: behind a norm, ‖z_C‖ and ‖z‖ are all but equal.
    loaded = tiny("olmo2", torch.float32)
    assert not check.verify(loaded, loaded.sites, IDS, seed=0).ok


def test_a_parameter_left_changed_is_noticed(monkeypatch):
    loaded = make_tiny("llama", torch.float32)
    original = TokenPatch.block_output

    def spoiling(self, layer, out):
        self.sites[0].mlp.down_proj.weight.data.mul_(1.0001)
        return original(self, layer, out)

    monkeypatch.setattr(TokenPatch, "block_output", spoiling)
    result = check.verify(loaded, loaded.sites, IDS, seed=0)
    assert not result.undone
    assert not result.ok


def test_the_note_names_the_tautology():
    assert "by construction" in check.NOTE


def test_controls_follow_the_seed():
    loaded = tiny("llama", torch.float32)
    one, same, other = (check.verify(loaded, loaded.sites, IDS, seed=s).controls["random"] for s in (0, 0, 1))
    assert one == same != other


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_here_is_proved_at_load(family):
    check.prove(tiny(family, torch.float32))
    check.prove(make_tiny(family, torch.bfloat16))


def test_a_block_of_another_build_is_refused_at_load():
    """OPT's blocks hold their norm under a name that is not known: v would be taken behind it."""
    config = OPTConfig(
        vocab_size=300,
        hidden_size=24,
        num_hidden_layers=2,
        ffn_dim=40,
        num_attention_heads=4,
        word_embed_proj_dim=24,
    )
    torch.manual_seed(0)
    loaded = adopt(AutoModelForCausalLM.from_config(config), make_tokenizer(), "opt")
    with pytest.raises(ModelError, match="cannot be explored: at layer 0"):
        check.prove(loaded)


def test_a_noise_floor_above_the_tolerance_is_not_ok(monkeypatch):
    monkeypatch.setattr(check, "_noise_floor", lambda *_: 1.0)
    loaded = tiny("llama", torch.float32)
    assert not check.verify(loaded, loaded.sites, IDS, seed=0).ok
