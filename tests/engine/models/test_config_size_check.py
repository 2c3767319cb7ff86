"""What a folder claims is held against what it holds before anything of that size is made; an adapter stays out."""

import json
import os
import shutil
import struct
import time
import tracemalloc

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from icltui.api.messages import EstimateModel, LoadModel
from icltui.engine.local import LocalEngine
from icltui.engine.models import config_size_check
from icltui.engine.models import load as module
from icltui.engine.models.fingerprint import fingerprint
from icltui.engine.models.load import load
from icltui.engine.models.loaded_model import LEFT_OUT
from icltui.values.errors import ModelError
from tests.engine.export.exporting import export
from tests.engine.generators import run_to_end
from tests.engine.small_models import make_tiny, make_tokenizer

FAMILIES = ("llama", "gpt2", "gpt_neox", "gemma3")
MOST_SECONDS, MOST_BYTES = 30, 64 * 2**20
"""Of a refusal: hundreds of times what it takes."""


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory):
    return saved(request.param, tmp_path_factory)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return saved("llama", tmp_path_factory)


def saved(family, tmp_path_factory):
    path = tmp_path_factory.mktemp(family)
    make_tiny(family, torch.float32).model.save_pretrained(path)
    make_tokenizer().save_pretrained(path)
    return path


def claiming(folder, tmp_path, claimed):
    """A copy whose config.json claims that, whatever the family calls it."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = copy / "config.json"
    config = json.loads(file.read_text())
    names = {name: next(n for n in (name, OTHER.get(name)) if n in config) for name in claimed}
    file.write_text(json.dumps(config | {names[name]: value for name, value in claimed.items()}))
    return copy


OTHER = {"num_hidden_layers": "n_layer", "hidden_size": "n_embd", "max_position_embeddings": "n_positions"}


def refused(where, words):
    """Both ways in refuse it at once, in little memory."""
    requests = LoadModel(model=str(where), device="cpu"), EstimateModel(load=LoadModel(model=str(where)))
    for request in requests:
        tracemalloc.start()
        start = time.monotonic()
        with pytest.raises(ModelError, match=words) as caught:
            list(LocalEngine().run(request, lambda: False))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert time.monotonic() - start < MOST_SECONDS
        assert peak < MOST_BYTES
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("claimed", "words"),
    [
        ({"vocab_size": 10**7}, r"numbers by its configuration \(.* the most of them\), and weights of"),
        ({"num_hidden_layers": 10**9}, r"layers? 1,000,000,000 in its config\.json: 10,000 are the most"),
        (
            {"num_hidden_layers": 9_999},
            r"9,999 layers by its configuration, and weights of|equal to the number of `layer_types`",
        ),
        ({"vocab_size": 10**400}, "of more than 15 digits in its config.json, which is no size"),
    ],
)
def test_a_claim_that_the_weights_cannot_fill_is_refused_at_once(
    claimed, words, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_read", lambda *_, **__: pytest.fail("was read"))
    refused(claiming(folder, tmp_path, claimed), words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 10**5, "is no JSON"),
        ("[]", "is no table of settings"),
        ("{", "is no JSON"),
        ('{"text_config": {"vision": [{"depth": 100000}]}}', "depth 100,000 in its config"),
        ('{"num_labels": 1000000000}', "num_labels 1,000,000,000 in its config"),
        ('{"num_local_experts": 1e300}', "num_local_experts of more than 15 digits"),
        (" " * 2**13, "8,192 bytes, where 4,096 are the most"),
    ],
)
def test_a_configuration_is_bounded_before_it_is_read(text, words, llama, tmp_path, monkeypatch):
    monkeypatch.setattr("icltui.engine.models.checkpoint.MOST_JSON", 4096 if text[0] == " " else 2**26)
    copy = shutil.copytree(llama, tmp_path / "copy")
    (copy / "config.json").write_text(text)
    refused(copy, words)


@pytest.mark.parametrize("length", [2**60, 2**63 - 1, 10**8, 0])
def test_so_is_the_header_of_weights(length, llama, tmp_path):
    copy = shutil.copytree(llama, tmp_path / "copy")
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(struct.pack("<Q", length) + data[8:])
    refused(copy, "is damaged or cut off")


def test_a_tensor_is_no_larger_than_its_bytes(llama, tmp_path):
    copy = shutil.copytree(llama, tmp_path / "copy")
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (copy / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"0" * 64)
    refused(copy, "is damaged or cut off")


def test_masks_are_bounded_by_the_weights(llama, monkeypatch):
    monkeypatch.setattr(config_size_check, "MOST_BUFFERS", -(2**30))
    with pytest.raises(ModelError, match=r"masks or tables of .* bytes"):
        list(load(LoadModel(model=str(llama), device="cpu")))


def test_a_configuration_that_is_a_pipe_is_none(llama, tmp_path):
    copy = shutil.copytree(llama, tmp_path / "copy")
    (copy / "config.json").unlink()
    os.mkfifo(copy / "config.json")
    refused(copy, r"has no config\.json")


def test_an_adapter_beside_the_weights_stays_out_and_it_is_said(llama, tmp_path):
    """transformers attaches it without a word, where PEFT is installed."""
    copy = shutil.copytree(llama, tmp_path / "copy")
    model = make_tiny("llama", torch.float32).model
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["up_proj"]))
    adapted.save_pretrained(copy)
    file = copy / "adapter_model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(file).items()}, file, {"format": "pt"})
    _, bare = run_to_end(load(LoadModel(model=str(llama), device="cpu")))
    _, loaded = run_to_end(load(LoadModel(model=str(copy), device="cpu")))
    assert fingerprint(loaded.model) == fingerprint(bare.model)
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(loaded.model(ids).logits, bare.model(ids).logits)
    assert (loaded.describe("loop").notes, bare.describe("loop").notes) == ((LEFT_OUT,), ())
    engine = LocalEngine()
    list(engine.run(LoadModel(model=str(copy), device="cpu"), lambda: False))
    assert (
        "which transformers attaches there: move it away first" in export(engine, tmp_path / "out").notes[-1]
    )
