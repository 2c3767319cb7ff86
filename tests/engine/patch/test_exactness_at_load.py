"""The proof at load: exact families pass, others are refused layer by layer, and faults are named."""

import dataclasses

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, MambaConfig, OPTConfig

from icltui.api.messages import LoadModel, Measure, ModelLoaded, Verify
from icltui.engine import local
from icltui.engine.hooks.find_sites import find_sites
from icltui.engine.models.loaded_model import wrap_model
from icltui.engine.patch.exactness_at_load import check_at_load, check_layers, relative_error
from icltui.engine.patch.patch import TokenPatch
from icltui.values.errors import BadInput, ModelError
from icltui.values.prompt import Prompt
from tests.engine.generators import returning
from tests.engine.small_models import FAMILIES, make_tiny, make_tokenizer, tiny

PROMPT = Prompt(context="abc def ghi", query=" jkl")


@pytest.mark.parametrize("family", FAMILIES)
def test_exact_families(family):
    _, check = check_layers(tiny(family, torch.float32))
    assert check.undone
    assert check.logit_error < 2e-6
    for layer in check.layers:
        assert layer.fault is None
        assert layer.sees_z
        assert layer.mlp_error < 2e-6
        assert layer.block_error < 2e-6
    _, rough = check_layers(tiny(family, torch.bfloat16))
    assert all(layer.fault is None and layer.mlp_error == 0.0 for layer in rough.layers)
    if FAMILIES[family].residual != "parallel":
        assert all(layer.block_error == 0.0 for layer in rough.layers), "the stream is moved to the bit"


def test_every_pass_is_told():
    told = []
    check_at_load(tiny("llama", torch.float32), lambda *progress: told.append(progress))
    assert told == [("proving the patch on it", done, 9) for done in range(9)]


def make(config) -> object:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            nn.init.normal_(parameter, std=0.25)
    return wrap_model(model, make_tokenizer(), "other")


@pytest.mark.parametrize("pre_norm", [True, False])
def test_blocks_without_an_mlp_module_are_found_by_what_reads_what(pre_norm):
    """OPT: fc1 and fc2 lie in the block, the norm has a name that no table knows; 350m takes v behind it."""
    config = OPTConfig(
        vocab_size=300, hidden_size=24, num_hidden_layers=2, ffn_dim=40, num_attention_heads=4, word_embed_proj_dim=24,
        do_layer_norm_before=pre_norm,
    )  # fmt: skip
    loaded = make(config)
    sites, check = check_layers(loaded)
    assert [site.residual for site in sites] == ["norm" if pre_norm else "mlp"] * 2
    assert all(layer.fault is None and layer.block_error < 2e-6 for layer in check.layers)


def test_a_model_without_mlps_is_refused():
    with pytest.raises(ModelError, match="MambaForCausalLM cannot be explored"):
        make(MambaConfig(vocab_size=300, hidden_size=24, num_hidden_layers=2))


class Spoiled(nn.Module):
    """A block whose output also depends on the context in a way that no MLP patch can carry."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.attention_type = getattr(block, "attention_type", None)
        self.mlp, self.self_attn = block.mlp, block.self_attn
        self.post_attention_layernorm = block.post_attention_layernorm

    def forward(self, hidden_states, **kwargs):
        return self.block(hidden_states, **kwargs) + hidden_states.cumsum(1)


def spoiled(layer: int):
    loaded = make_tiny("llama", torch.float32)
    layers = loaded.model.model.layers
    layers[layer] = Spoiled(layers[layer])
    sites, refused = find_sites(loaded.model)
    return dataclasses.replace(loaded, sites=sites, refused=refused)


def test_a_layer_that_fails_is_refused_and_the_rest_stay_usable(monkeypatch):
    monkeypatch.setattr(local, "load", lambda *_: returning(spoiled(1)))
    engine = local.LocalEngine()
    *_, last = engine.run(LoadModel(model="x"), lambda: False)
    assert isinstance(last, ModelLoaded)
    assert last.model.n_layers == 3
    (refused,) = last.model.refused
    assert refused.layer == 1
    assert "the patched block misses the contextual one by" in refused.reason
    *_, ended = engine.run(Measure(prompt=PROMPT), lambda: False)
    assert ended.layers == (0, 2)
    with pytest.raises(BadInput, match="layer 1 cannot be used: the patched block misses"):
        list(engine.run(Measure(prompt=PROMPT, layers="0-2"), lambda: False))
    *_, verified = engine.run(Verify(prompt=PROMPT), lambda: False)
    assert [layer.layer for layer in verified.verification.layers] == [0, 2]
    assert all(layer.block_error < 2e-6 for layer in verified.verification.layers)


def test_a_model_of_nothing_but_faults_is_refused(monkeypatch):
    monkeypatch.setattr(TokenPatch, "shift", lambda *_: None)
    with pytest.raises(ModelError, match=r"at layer 0 the patched block misses .* and so at every other"):
        check_at_load(tiny("llama", torch.float32))


def test_a_patch_that_leaves_something_behind_is_refused(monkeypatch):
    loaded = make_tiny("llama", torch.float32)
    honest = TokenPatch.shift

    def spoiling(self, layer):
        loaded.model.lm_head.weight.data.mul_(1.0001)
        return honest(self, layer)

    monkeypatch.setattr(TokenPatch, "shift", spoiling)
    with pytest.raises(ModelError, match="not the same after a patch as before"):
        check_at_load(loaded)


def test_an_mlp_that_ignores_its_input_shows_nothing():
    """Any context's patch is right for an MLP whose output is always the same."""
    loaded = make_tiny("llama", torch.float32)
    loaded.model.model.layers[1].mlp.down_proj.weight.data.zero_()
    _, check = check_layers(loaded)
    assert "another context's patch does as well" in check.layers[1].fault
    assert check.layers[0].fault is check.layers[2].fault is None


@pytest.mark.parametrize(
    ("site_paths", "words"),
    [
        ({"norm": "model.layers.{layer}.input_layernorm"}, "the patched block misses the contextual one"),
        ({"down": "model.layers.{layer}.mlp.up_proj"}, "is not the MLP's last matrix"),
        ({"down": "model.layers.{layer}.self_attn.o_proj"}, "is not the MLP's last matrix"),
        ({"block": "model.layers.{layer}.mlp"}, "what was taken for its blocks are none"),
    ],
)  # fmt: skip
def test_a_wrong_place_given_by_hand_is_refused(site_paths, words):
    loaded = make_tiny("llama", torch.float32)
    with pytest.raises(ModelError, match=words):
        check_at_load(wrap_model(loaded.model, loaded.tokenizer, "x", site_paths=site_paths))


def test_a_block_whose_stream_others_read_beside_the_mlp_is_refused():
    loaded = make_tiny("llama", torch.float32)
    layers = loaded.model.model.layers
    layers[1] = Beside(layers[1])
    _, refused = find_sites(loaded.model)
    assert [(r.layer, r.reason) for r in refused] == [
        (1, "its Linear reads the residual stream beside the MLP")
    ]


class Beside(nn.Module):
    """A block with a second branch, of the stream as it is, behind the MLP."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.attention_type = getattr(block, "attention_type", None)
        self.mlp, self.self_attn, self.other = block.mlp, block.self_attn, nn.Linear(24, 24)
        self.input_layernorm, self.post_attention_layernorm = (
            block.input_layernorm,
            block.post_attention_layernorm,
        )

    def forward(self, hidden_states, **kwargs):
        v = hidden_states + self.self_attn(hidden_states=self.input_layernorm(hidden_states), **kwargs)[0]
        return self.mlp(self.post_attention_layernorm(v)) + v + self.other(v)


@pytest.mark.parametrize(
    ("got", "wanted", "error"),
    [([3.0, 4.0], [3.0, 4.0], 0.0), ([0.0, 0.0], [0.0, 0.0], 0.0), ([1.0, 0.0], [0.0, 0.0], float("inf")),
     ([float("nan"), 0.0], [1.0, 0.0], float("inf")), ([2.0, 0.0], [1.0, 0.0], 1.0)],
)  # fmt: skip
def test_relative_error(got, wanted, error):
    assert relative_error(torch.tensor(got), torch.tensor(wanted)) == error
