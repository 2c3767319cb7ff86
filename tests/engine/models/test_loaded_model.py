"""What is known of a model in memory: its facts, and what makes it one that can be explored."""

import pytest
import torch
from accelerate import cpu_offload

from icltui.engine.models.loaded_model import wrap_model
from icltui.values.errors import ModelError
from tests.engine.small_models import make_tiny, make_tokenizer


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
