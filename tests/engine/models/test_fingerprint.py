"""The hash of a model's weights: the same wherever they rest, another for others, and never a pass over all."""

import hashlib

import pytest
import torch
from accelerate import cpu_offload
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM

from icltui.engine.models.fingerprint import fingerprint
from icltui.engine.models.loaded_model import wrap_model
from tests.engine.small_models import make_tiny

MOST_PICKED = 1024


class Largest(TorchDispatchMode):
    """The most numbers that any operation inside the block makes anew."""

    n_made = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and not func.is_view and not func._schema.is_mutable:
            self.n_made = max(self.n_made, made.numel())
        return made


def large_llama():
    """A tiny model, but for an embedding and a head of more numbers than are picked."""
    model = make_tiny("llama", torch.float32).model
    assert max(p.numel() for p in model.parameters()) > 4 * MOST_PICKED
    return model


def on_disk(folder, dtype, path):
    """The folder's model with its layers and its head left in the file, and the rest in memory."""
    places = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu"}
    resting = dict.fromkeys(("model.layers", "lm_head"), "disk")
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, device_map=places | resting, offload_folder=path
    )


def test_it_is_made_of_name_shape_dtype_and_an_even_sample():
    """Spelled out once more, since sessions keep the hash and a replay compares it."""
    model = large_llama()
    digest = hashlib.sha256()
    for name in sorted(name for name, _ in model.named_parameters()):
        tensor = model.get_parameter(name)
        digest.update(f"{name} {tuple(tensor.shape)} torch.float32".encode())
        step = max(1, tensor.numel() // MOST_PICKED)
        digest.update(b"".join(tensor.reshape(-1)[::step][:MOST_PICKED].double().numpy()))
    assert fingerprint(model) == digest.hexdigest()[:16]


def test_one_changed_weight_changes_it():
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


@pytest.mark.parametrize("family", ["llama", "mixtral"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_weights_that_rest_in_a_file_are_the_same_weights(family, dtype, tmp_path):
    """Experts are stacked at load, and rest in files of accelerate's."""
    make_tiny(family, torch.float32).model.save_pretrained(tmp_path / "model")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=dtype)
    resting = on_disk(tmp_path / "model", dtype, tmp_path / "rest")
    assert next(resting.model.layers.parameters()).device.type == "meta"
    assert fingerprint(resting) == fingerprint(plain)


def test_no_weight_is_copied_or_converted_as_a_whole(tmp_path):
    large_llama().save_pretrained(tmp_path / "model")
    for model in (large_llama(), on_disk(tmp_path / "model", torch.float64, tmp_path / "rest")):
        with Largest() as seen:
            fingerprint(model)
        assert 0 < seen.n_made <= MOST_PICKED
