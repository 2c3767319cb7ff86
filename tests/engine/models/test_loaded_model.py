"""What is known of a model in memory: its facts, its fingerprint, and what makes it one that can be explored."""

import pytest
import torch
from accelerate import cpu_offload

from icltui.engine.models.loaded_model import fingerprint, wrap_model
from icltui.values.errors import ModelError
from tests.engine.small_models import make_tiny, make_tokenizer


def test_one_changed_weight_changes_the_fingerprint():
    loaded = make_tiny("llama")
    before = fingerprint(loaded.model)
    loaded.model.model.layers[1].mlp.gate_proj.weight[0, 0] += 1e-3
    assert fingerprint(loaded.model) != before


def test_offloaded_layers_are_the_same_layers():
    """Their weights are on no device while they rest."""
    plain = make_tiny("llama", torch.float32)
    wanted = fingerprint(plain.model)
    cpu_offload(plain.model.model.layers, execution_device=torch.device("cpu"))
    assert plain.model.model.layers[0].mlp.up_proj.weight.device.type == "meta"
    info = wrap_model(plain.model, plain.tokenizer, "llama").describe("loop")
    assert (info.fingerprint, info.n_layers) == (wanted, 3)


def test_ids_go_where_an_offloaded_embedding_works():
    loaded = make_tiny("llama", torch.float32)
    cpu_offload(loaded.model, execution_device=torch.device("cpu"))
    assert loaded.model.get_input_embeddings().weight.device.type == "meta"
    assert loaded.device == torch.device("cpu")


def test_a_tokenizer_without_offsets_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="character offsets"):
        wrap_model(make_tiny("llama").model, Slow(), "slow")


def test_a_model_without_mlps_is_refused():
    from transformers import AutoModelForCausalLM, MambaConfig

    config = MambaConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, state_size=4, intermediate_size=32
    )
    with pytest.raises(ModelError, match="cannot be explored"):
        wrap_model(AutoModelForCausalLM.from_config(config), make_tokenizer(), "mamba")
