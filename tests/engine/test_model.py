"""Loading: what is refused, in which words; the fingerprint; a folder that loads."""

import json

import pytest
import torch

from icltui.api import LoadModel
from icltui.engine.model import adopt, fingerprint, load, pick_device, pick_dtype
from icltui.errors import BadInput, ModelError
from tests.engine.models import make_tiny, make_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("llama")
    make_tiny("llama", torch.float32).model.save_pretrained(path)
    make_tokenizer().save_pretrained(path)
    return path


def test_a_folder_loads_as_it_was_saved(folder):
    loaded = load(LoadModel(model=str(folder), device="cpu"))
    info = loaded.describe("packed")
    assert (info.architecture, info.n_layers, info.hidden_size, info.window) == (
        "LlamaForCausalLM",
        3,
        24,
        64,
    )
    assert info.dtype == "float32"
    assert info.fingerprint == fingerprint(make_tiny("llama", torch.float32).model)
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_dtype_is_taken(folder, dtype):
    assert load(LoadModel(model=str(folder), dtype=dtype, device="cpu")).describe("loop").dtype == dtype


def test_one_changed_weight_changes_the_fingerprint():
    loaded = make_tiny("llama")
    before = fingerprint(loaded.model)
    loaded.model.model.layers[1].mlp.gate_proj.weight[0, 0] += 1e-3
    assert fingerprint(loaded.model) != before


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("./no-such-folder", "no folder './no-such-folder'"),
        ("{empty}", "has no config.json"),
        ("{weightless}", "has no weights"),
        ("{cut}", "could not be loaded"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(model, words, folder, tmp_path):
    weightless = tmp_path / "weightless"
    weightless.mkdir()
    (weightless / "config.json").write_bytes((folder / "config.json").read_bytes())
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in folder.iterdir():
        data = file.read_bytes()
        (cut / file.name).write_bytes(data[: len(data) // 2] if file.suffix == ".safetensors" else data)
    name = model.format(empty=tmp_path, weightless=weightless, cut=cut)
    with pytest.raises(ModelError, match=words) as caught:
        load(LoadModel(model=name, device="cpu"))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_an_unknown_id_without_a_network_is_refused(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="no-such-model"):
        load(LoadModel(model="nobody/no-such-model", device="cpu"))


def test_a_tokenizer_without_offsets_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="character offsets"):
        adopt(make_tiny("llama").model, Slow(), "slow")


def test_a_model_without_mlps_is_refused():
    from transformers import AutoModelForCausalLM, MambaConfig

    config = MambaConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, state_size=4, intermediate_size=32
    )
    with pytest.raises(ModelError, match="cannot be explored"):
        adopt(AutoModelForCausalLM.from_config(config), make_tokenizer(), "mamba")


def test_devices_and_dtypes_that_do_not_exist():
    with pytest.raises(BadInput, match="not to be had"):
        pick_device("gpu")
    with pytest.raises(BadInput, match="not known"):
        pick_dtype("float8")
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_dtype("auto") == "auto"


@pytest.mark.parametrize(("n_layers", "words"), [(5, "is missing"), (2, "has no place")])
def test_weights_that_do_not_fill_the_model_are_refused(n_layers, words, folder, tmp_path):
    """transformers fills what is missing with noise, and only warns."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": n_layers}))
    with pytest.raises(ModelError, match=words):
        load(LoadModel(model=str(tmp_path), device="cpu"))


def test_code_that_comes_with_a_model_is_not_run(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    own = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config | own))
    (tmp_path / "own.py").write_text("raise SystemExit('was run')")
    with pytest.raises(ModelError, match="could not be loaded"):
        load(LoadModel(model=str(tmp_path), device="cpu"))
