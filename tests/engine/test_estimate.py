"""What a model will take, against what it takes."""

import json

import pytest
import torch
from transformers import AutoConfig, GPT2Config, LlamaConfig

from icltui.api import LoadModel
from icltui.engine import estimate as module
from icltui.engine.estimate import CHUNK_TOKENS, Stored, check_fits, estimate, measure_bytes, stored_tensors
from icltui.engine.source import Source
from icltui.errors import ModelError
from icltui.record import Estimate
from tests.engine.models import make_tiny


@pytest.fixture(scope="module")
def model():
    return make_tiny("llama", torch.float32).model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("llama")
    model.save_pretrained(path)
    return path


def source(folder) -> Source:
    return Source(str(folder), None, trusts_code=False)


def n_parameters(model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_headers_hold_every_tensor(model, folder):
    stored = stored_tensors(source(folder))
    assert {name: tensor.shape for name, tensor in stored.items()} == {
        name: tuple(parameter.shape) for name, parameter in model.named_parameters()
    }
    assert sum(tensor.n_bytes for tensor in stored.values()) == 4 * n_parameters(model)


def test_shards_are_read_through_their_index(model, folder, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert stored_tensors(source(tmp_path)) == stored_tensors(source(folder))


def test_a_pickle_tells_the_same(model, folder, tmp_path):
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    assert stored_tensors(source(tmp_path)) == stored_tensors(source(folder))


def test_an_old_pickle_tells_nothing(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert stored_tensors(source(tmp_path)) == {}


def test_the_hub_is_asked_for_headers(monkeypatch):
    class Hub:
        def get_safetensors_metadata(self, name, revision):
            assert (name, revision) == ("some/model", "v1")
            raise OSError("no network")

    monkeypatch.setattr(module, "HfApi", Hub)
    assert stored_tensors(Source("some/model", "v1", trusts_code=False)) == {}


@pytest.mark.parametrize(
    ("dtype", "n_bytes"),
    [("auto", 4), ("bfloat16", 2), ("float64", 8)],
)
def test_weights_count_in_the_dtype_asked(folder, model, dtype, n_bytes):
    config = AutoConfig.from_pretrained(folder)
    request = LoadModel(dtype=dtype)
    got = estimate(stored_tensors(source(folder)), config, request, getattr(torch, dtype, "auto"), 7)
    assert (got.n_parameters, got.available_bytes) == (n_parameters(model), 7)
    assert got.weight_bytes == n_bytes * n_parameters(model)


@pytest.mark.parametrize(("quantize", "n_bytes"), [("8bit", 1.0), ("4bit", 0.5)])
def test_quantized_matrices_take_less(folder, model, quantize, n_bytes):
    vectors = sum(p.numel() for p in model.parameters() if p.ndim < 2)
    got = estimate(
        stored_tensors(source(folder)), model.config, LoadModel(quantize=quantize), torch.float16, 0
    )
    assert got.weight_bytes == n_bytes * (n_parameters(model) - vectors) + 2 * vectors


def test_a_checkpoint_that_is_quantized_counts_as_it_is():
    config = LlamaConfig(quantization_config={"quant_method": "fp8"})
    stored = {"w": Stored((10, 10), "F8_E4M3"), "scale": Stored((10,), "F32"), "packed": Stored((10,), "I32")}
    assert estimate(stored, config, LoadModel(), torch.bfloat16, 0).weight_bytes == 100 + 40 + 40


def test_the_cache_is_what_a_cache_takes():
    """Keys and values of every layer; the rest by the formula at the top of the module."""
    config = LlamaConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=6,
        intermediate_size=40,
        vocab_size=300,
        max_position_embeddings=64,
    )
    model = make_tiny("llama", torch.float32).model
    with torch.inference_mode():
        cache = model(torch.zeros(1, 64, dtype=torch.long), use_cache=True).past_key_values
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    rest = 4 * 64 * (2 * 40 + 4 * 24) + 4 * CHUNK_TOKENS * (300 + 2 * 64)
    assert measure_bytes(config, 4) == held + rest
    longer = LlamaConfig(**config.to_dict() | {"max_position_embeddings": 10**6})
    longest = LlamaConfig(**config.to_dict() | {"max_position_embeddings": 4096})
    assert measure_bytes(longer, 4) == measure_bytes(longest, 4)


def test_a_config_that_leaves_things_out_is_estimated_all_the_same():
    assert measure_bytes(GPT2Config(), 4) > 2 * 12 * 12 * 64 * 1024 * 4


def test_what_cannot_fit_is_refused_with_the_way_out():
    small = Estimate(n_parameters=1, weight_bytes=3 * 2**30, measure_bytes=2**30, available_bytes=2**31)
    with pytest.raises(ModelError) as caught:
        check_fits(LoadModel(model="big"), small)
    for words in ("'big' needs 4.00 GiB", "3.00 GiB of weights", "2.00 GiB are free", "--dtype bfloat16"):
        assert words in str(caught.value)
    with pytest.raises(ModelError, match="free: try a smaller model"):
        check_fits(LoadModel(model="big", dtype="float16", quantize="4bit"), small)
    exact = Estimate(n_parameters=1, weight_bytes=3, measure_bytes=1, available_bytes=4)
    check_fits(LoadModel(model="big"), exact)


def test_a_file_larger_than_memory_is_only_looked_at(tmp_path):
    """Its header is read without the file being mapped whole."""
    header = json.dumps(
        {"w": {"dtype": "BF16", "shape": [2**20, 2**20], "data_offsets": [0, 2**41]}}
    ).encode()
    file = tmp_path / "model.safetensors"
    with file.open("wb") as opened:
        opened.write(len(header).to_bytes(8, "little") + header)
        try:
            opened.truncate(8 + len(header) + 2**41)  # a hole, which takes no room
        except OSError:
            pytest.skip("no sparse files of 2 TiB here")
    assert stored_tensors(source(tmp_path))["w"].n_bytes == 2**41
