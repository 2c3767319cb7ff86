"""An export names a base that every folder of this machine finds, and says which weights it was made on."""

import json
import re
from dataclasses import replace

import pytest
import torch
from gguf import GGMLQuantizationType
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, GgufConfig

from icltui.api.messages import DEMO, LoadModel
from icltui.engine.export import adapter_base_model
from icltui.engine.export.adapter_base_model import base_of, place_of, write_card
from icltui.engine.local import LocalEngine
from icltui.engine.models.fingerprint import fingerprint
from icltui.storage.paths import MODEL_DIR
from tests.engine.export.exporting import PROMPT, export
from tests.engine.gguf_files import make_model, write_gguf
from tests.engine.small_models import make_tiny, make_tokenizer, tiny
from tests.thinned import thinned


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with a model in it."""
    make_tiny("llama", torch.float32).model.save_pretrained(tmp_path / "m")
    make_tokenizer().save_pretrained(tmp_path / "m")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def named(name):
    return replace(tiny("llama", torch.float32), name=name)


@pytest.mark.parametrize("name", thinned(["./m", "m", "{here}/m", "elsewhere/../m", DEMO], 2))
def test_its_base_is_found_from_another_folder(name, here, monkeypatch):
    engine = LocalEngine()
    list(engine.run(LoadModel(model=name.format(here=here), device="cpu"), lambda: False))
    report = export(engine, here / "adapter")
    export(engine, here / "factors.safetensors", format="factors")
    monkeypatch.chdir(here / "elsewhere")
    folder = MODEL_DIR if name == DEMO else here / "m"
    config = json.loads((here / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(folder)
    loaded = AutoPeftModelForCausalLM.from_pretrained(here / "adapter", dtype=torch.float32)
    assert fingerprint(loaded.unload()) == engine.info.fingerprint
    card = (here / "adapter" / "README.md").read_text()
    assert f"`{folder}`" in card
    assert f"`{engine.info.fingerprint}`" in card
    assert str(here / "adapter" / "README.md") in report.files
    with safe_open(here / "factors.safetensors", framework="pt") as file:
        assert file.metadata()["model"] == str(folder)


def test_the_card_says_how_peft_gets_a_base_that_is_a_gguf(tmp_path, monkeypatch):
    """What it says is run, and gives the patch's logits."""
    file = write_gguf(tmp_path / "tiny.gguf", make_model("llama"), "llama", GGMLQuantizationType.Q8_0)
    monkeypatch.chdir(tmp_path)
    engine = LocalEngine()
    list(engine.run(LoadModel(model="tiny.gguf", device="cpu", dtype="float32"), lambda: False))
    assert engine.info.name == "tiny.gguf"
    report = export(engine, tmp_path / "adapter")
    assert report.largest_difference <= report.tolerance
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(file)
    card = (tmp_path / "adapter/README.md").read_text()
    said = re.search(r"`(AutoModelForCausalLM\.from_pretrained\(.*?)`", card)[1]
    base = eval(said, {"AutoModelForCausalLM": AutoModelForCausalLM, "GgufConfig": GgufConfig})
    assert fingerprint(base) == engine.info.fingerprint
    ids = engine.loaded.tokenizer(PROMPT.query, return_tensors="pt").input_ids
    plain = engine.loaded.model(ids).logits
    patched = PeftModel.from_pretrained(base, tmp_path / "adapter")(ids).logits
    assert not torch.allclose(plain, patched, atol=1e-3)
    export(engine, tmp_path / "factors.safetensors", format="factors")
    with safe_open(tmp_path / "factors.safetensors", framework="pt") as opened:
        assert opened.metadata()["model"] == str(file)


def test_an_id_on_the_hub_stays_one_and_its_commit_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(adapter_base_model, "snapshot_download", lambda *_, **__: "/cache/snapshots/0123abc")
    found = base_of(tiny("llama", torch.float32))
    assert (found.place, found.commit, place_of(named("owner/name"))) == ("llama", "0123abc", "owner/name")
    write_card(tmp_path, found)
    card = (tmp_path / "README.md").read_text()
    assert "`0123abc`" in card
    assert "write its new place" not in card.replace("\n", " ")


def test_a_hostile_name_breaks_no_card(tmp_path):
    folder = tmp_path / 'a"\n---\n`b`'
    folder.mkdir()
    found = base_of(tiny("llama", torch.float32))
    write_card(tmp_path, adapter_base_model.Base(**(vars(found) | {"place": place_of(named(str(folder)))})))
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert [at for at, line in enumerate(lines) if line == "---"] == [0, 3]
    assert json.loads(lines[2].removeprefix("base_model: ")) == str(folder)
