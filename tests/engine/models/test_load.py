"""Loading: what comes in which order, what is refused in which words, and that nothing is left behind."""

import json
import shutil
import sys
from itertools import groupby

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig
from transformers.utils import logging

from icltui.api.messages import DEMO, LoadModel, Measure, ModelEstimated, Progress
from icltui.engine.local import LocalEngine
from icltui.engine.models import load as module
from icltui.engine.models.fingerprint import fingerprint
from icltui.engine.models.load import load
from icltui.engine.models.memory_estimate import measure_bytes
from icltui.values.errors import BadInput, ModelError
from icltui.values.prompt import Prompt
from tests.engine.generators import run_to_end
from tests.engine.small_models import make_tiny, make_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("llama")
    make_tiny("llama", torch.float32).model.save_pretrained(path)
    make_tokenizer().save_pretrained(path)
    return path


@pytest.fixture
def copy(folder, tmp_path):
    """The same folder, to be spoiled."""
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def events_of(where, **options):
    """Each event once, as on a slow machine the last is repeated while nothing happens; then the model."""
    events, loaded = run_to_end(load(LoadModel(**{"model": str(where), "device": "cpu"} | options)))
    return [*(event for event, _ in groupby(events)), loaded]


def loaded_from(where, **options):
    return run_to_end(load(LoadModel(**{"model": str(where), "device": "cpu"} | options)))[1]


def configure(where, **changes):
    path = where / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_loads_as_it_was_saved(folder):
    loaded = loaded_from(folder)
    info = loaded.describe("packed")
    assert info.architecture == "LlamaForCausalLM"
    assert (info.n_layers, info.hidden_size, info.window) == (3, 24, 64)
    assert info.dtype == "float32"
    assert info.n_parameters == sum(p.numel() for p in loaded.model.parameters())
    assert info.fingerprint == fingerprint(make_tiny("llama", torch.float32).model)
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_dtype_is_taken(folder, dtype):
    assert loaded_from(folder, dtype=dtype).describe("loop").dtype == dtype


def test_a_device_map_loads_the_same_model(folder):
    assert fingerprint(loaded_from(folder, device="auto", device_map="auto").model) == fingerprint(
        loaded_from(folder).model
    )


def test_the_estimate_leads_and_progress_is_in_bytes(folder):
    first, estimated, *progress, loaded = events_of(folder)
    n_bytes = sum(p.nbytes for p in loaded.model.parameters())
    assert first == Progress(stage=f"loading {folder}", done=0, total=0)
    assert isinstance(estimated, ModelEstimated)
    assert estimated.estimate.weight_bytes == n_bytes
    assert estimated.estimate.available_bytes > 0
    done = [event.done for event in progress]
    assert done == sorted(done)
    assert done[-1] == n_bytes
    assert {(event.stage, event.total) for event in progress} == {(f"loading {folder}", n_bytes)}


def test_weights_can_be_differentiated_later(folder):
    with torch.inference_mode():
        loaded = loaded_from(folder)
    assert not any(parameter.is_inference() for parameter in loaded.model.parameters())
    assert not any(buffer.is_inference() for buffer in loaded.model.buffers())


def test_what_cannot_fit_is_refused_before_it_is_read(folder, monkeypatch):
    monkeypatch.setattr(module, "free_bytes", lambda _device, _map: 2**16)
    monkeypatch.setattr(module, "_read", lambda *_, **__: pytest.fail("was read"))
    told = []
    with pytest.raises(ModelError, match=r"needs [\d.]+ kB .* are free: try a smaller model"):
        told.extend(load(LoadModel(model=str(folder), device="cpu")))
    assert isinstance(told[-1], ModelEstimated)


def test_where_the_size_is_not_known_it_is_said(folder, monkeypatch):
    monkeypatch.setattr(module, "stored_tensors", lambda _checkpoint: {})
    events = events_of(folder)
    assert not any(isinstance(event, ModelEstimated) for event in events)
    assert any(isinstance(event, Progress) and "unknown size" in event.stage for event in events)


def test_no_hook_stays_behind(folder, copy):
    (copy / "model.safetensors").write_bytes(b"spoiled")
    before = logging.set_tqdm_hook(None)
    loaded_from(folder)
    with pytest.raises(ModelError):
        loaded_from(copy)
    assert logging.set_tqdm_hook(before) is None


def test_a_cancelled_load_does_not_hinder_the_next(folder):
    told = load(LoadModel(model=str(folder), device="cpu"))
    next(told)
    told.close()
    assert len(loaded_from(folder).sites) == 3


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("./no-such-folder", "no folder or file './no-such-folder'"),
        ("{empty}", "has no config.json"),
        ("{weightless}", "has no weights"),
        ("{cut}", r"model\.safetensors' is damaged or cut off: download it again"),
        ("{wordless}", "has no tokenizer: tokenizer.json was expected"),
        ("{wide}", "is of another shape"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(model, words, folder, copy, tmp_path):
    empty, weightless, wordless, wide, cut = (
        *(tmp_path / name for name in ("empty", "weightless", "wordless", "wide")),
        copy,
    )
    for path in (empty, weightless, wordless):
        path.mkdir()
    for file in ("config.json", "model.safetensors"):
        shutil.copy(folder / file, wordless)
    shutil.copytree(folder, wide)
    configure(wide, intermediate_size=44)
    shutil.copy(folder / "config.json", weightless)
    data = (folder / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match=words) as caught:
        loaded_from(model.format(empty=empty, weightless=weightless, wordless=wordless, wide=wide, cut=cut))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_an_empty_tokenizer_is_none(tmp_path):
    """transformers makes one of this type's special tokens alone."""
    make_tiny("gpt2", torch.float32).model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"has no tokenizer: tokenizer\.json was expected"):
        loaded_from(tmp_path)


@pytest.mark.parametrize(
    ("share", "advice"), [(0.6, "try --dtype bfloat16, "), (0.05, "try a smaller model")]
)
def test_only_what_would_do_is_advised(folder, monkeypatch, share, advice):
    told = next(e.estimate for e in events_of(folder) if isinstance(e, ModelEstimated))
    least = measure_bytes(AutoConfig.from_pretrained(folder), 4, free=0)  # in chunks of one copy
    free = int(share * told.weight_bytes) + least
    monkeypatch.setattr(module, "free_bytes", lambda _device, _map: free if share > 0.1 else 2**10)
    with pytest.raises(ModelError, match=advice):
        loaded_from(folder)


def test_an_overflow_is_said_while_the_model_is_loaded(copy):
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"] *= 5e4
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    request = LoadModel(model=str(copy), device="cpu", dtype="float16")
    with pytest.raises(ModelError, match="not numbers in float16: try --dtype float32"):
        list(LocalEngine().run(request, lambda: False))


def test_an_unknown_id_without_a_network_is_refused(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="no-such-model"):
        loaded_from("nobody/no-such-model")


def test_options_that_contradict_each_other(folder):
    with pytest.raises(BadInput, match="--device cpu and --device-map auto") as caught:
        loaded_from(folder, device_map="auto")
    assert "\n" not in str(caught.value)


def test_quantizing_needs_a_library(folder, monkeypatch):
    monkeypatch.setattr(module, "is_bitsandbytes_available", lambda: False)
    with pytest.raises(ModelError, match=r"--quantize 4bit needs bitsandbytes.*icltui\[quantize\]"):
        loaded_from(folder, quantize="4bit")


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_quantizing_is_left_to_transformers(folder, monkeypatch, bits):
    """The library is needed only when the weights are read, so what is passed on can be seen without it."""
    passed = {}

    def from_pretrained(**how):
        passed.update(how)
        raise RuntimeError("no kernel for this device")

    monkeypatch.setattr(module, "is_bitsandbytes_available", lambda: True)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", from_pretrained)
    with pytest.raises(ModelError, match="no kernel for this device"):
        loaded_from(folder, quantize=bits)
    settings = passed["quantization_config"]
    assert (settings.load_in_8bit, settings.load_in_4bit) == (bits == "8bit", bits == "4bit")
    assert passed["device_map"] == {"": torch.device("cpu")}


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_quantized_model_can_be_explored(bits):
    """The embedded one, as four bits need rows of 64."""
    pytest.importorskip("bitsandbytes")
    loaded, plain = loaded_from(DEMO, quantize=bits), loaded_from(DEMO)
    assert len(loaded.sites) == len(plain.sites)
    assert loaded.describe("loop").n_parameters == plain.describe("loop").n_parameters
    assert loaded.model.get_memory_footprint() < plain.model.get_memory_footprint()


def test_pickles_are_read_only_when_allowed(copy):
    before = loaded_from(copy)
    (copy / "model.safetensors").unlink()
    torch.save(before.model.state_dict(), copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickles only.*--allow-pickle"):
        loaded_from(copy)
    *told, loaded = events_of(copy, allow_pickle=True)
    assert fingerprint(loaded.model) == fingerprint(before.model)
    assert told[-1].done == told[-1].total > 0


class Evil:
    def __reduce__(self):
        return (sys.exit, ("was run",))


def test_a_pickle_that_was_allowed_holds_tensors_and_nothing_else(copy):
    (copy / "model.safetensors").unlink()
    torch.save({"model.embed_tokens.weight": Evil()}, copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"holds more than tensors: it was not read$"):
        loaded_from(copy, allow_pickle=True)


OWN_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "own"

class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


def test_code_that_comes_with_a_model_runs_only_when_trusted(copy, tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"}
    configure(copy, model_type="own", architectures=["OwnForCausalLM"], auto_map=own)
    (copy / "own.py").write_text("raise SystemExit('was run')")
    with pytest.raises(ModelError, match=r"code of its own, which was not run.*--trust-remote-code"):
        loaded_from(copy)
    with pytest.raises(ModelError, match="comes with code that ends the program"):
        loaded_from(copy, trust_remote_code=True)
    (copy / "own.py").write_text(OWN_CODE)
    loaded = loaded_from(copy, trust_remote_code=True)
    assert (type(loaded.model).__name__, len(loaded.sites)) == ("OwnForCausalLM", 3)


@pytest.mark.parametrize(("n_layers", "words"), [(5, "is missing"), (2, "has no place")])
def test_weights_that_do_not_fill_the_model_are_refused(n_layers, words, copy):
    """transformers fills what is missing with noise, and only warns."""
    configure(copy, num_hidden_layers=n_layers)
    with pytest.raises(ModelError, match=words):
        loaded_from(copy)


def test_a_model_that_writes_no_text_is_refused(copy):
    configure(copy, model_type="clip")
    with pytest.raises(ModelError, match="'clip', which generates no text"):
        loaded_from(copy)


TEXT = {
    "vocab_size": 300,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}


def qwen2_5_vl():
    rope = {"rope_type": "default", "mrope_section": [1, 1, 1], "rope_theta": 1e4}
    vision = {"depth": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 32, "out_hidden_size": 24}
    return transformers.Qwen2_5_VLConfig(
        text_config=TEXT | {"rope_parameters": rope},
        vision_config=vision,
        image_token_id=290,
        video_token_id=291,
        vision_start_token_id=292,
        vision_end_token_id=293,
    )


def llava():
    return transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(**TEXT),
        vision_config=transformers.CLIPVisionConfig(**VISION),
        image_token_index=290,
    )


def gemma3():
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]
    return transformers.Gemma3Config(
        text_config=transformers.Gemma3TextConfig(**TEXT, head_dim=6, sliding_window=5, layer_types=kinds),
        vision_config=transformers.SiglipVisionConfig(**VISION),
        mm_tokens_per_image=4,
        image_token_index=290,
    )


@pytest.mark.parametrize("config", [qwen2_5_vl, llava, gemma3])
def test_the_text_decoder_inside_a_multimodal_model_is_found(config, tmp_path):
    torch.manual_seed(0)
    transformers.AutoModelForMultimodalLM.from_config(config()).save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    loaded = loaded_from(tmp_path)
    blocks = loaded.model.get_decoder().layers
    assert [site.block for site in loaded.sites] == list(blocks)
    assert [projection.name for projection in loaded.sites[0].input_projections] == ["gate_proj", "up_proj"]
    info = loaded.describe("loop")
    assert (info.hidden_size, info.window, info.dtype) == (24, 64, "float32")
    assert loaded.model(torch.tensor([[1, 2, 3]])).logits.isfinite().all()


@pytest.fixture
def without_half(monkeypatch):
    """A CPU that has no instructions for half precision."""
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False}, raising=False
    )


@pytest.fixture
def half_folder(tmp_path):
    make_tiny("llama", torch.bfloat16).model.save_pretrained(tmp_path / "half")
    make_tokenizer().save_pretrained(tmp_path / "half")
    return tmp_path / "half"


@pytest.mark.usefixtures("without_half")
def test_auto_means_float32_where_the_cpu_has_no_instructions_for_half_precision(half_folder):
    events = events_of(half_folder)
    info = events[-1].describe("packed")
    assert (info.dtype, info.stored_dtype) == ("float32", "bfloat16")
    assert info.dtype_reason == "the checkpoint is in bfloat16, for which this CPU has no instructions"
    (estimated,) = (event.estimate for event in events if isinstance(event, ModelEstimated))
    assert estimated.weight_bytes == 4 * estimated.n_parameters
    asked = loaded_from(half_folder, dtype="bfloat16").describe("packed")
    assert (asked.dtype, asked.dtype_reason) == ("bfloat16", "")


@pytest.mark.usefixtures("without_half")
def test_auto_stays_in_half_precision_where_float32_does_not_fit_and_says_so(half_folder, monkeypatch):
    monkeypatch.setattr(module, "free_bytes", lambda *_: 10**12)
    wide = loaded_from(half_folder)
    (needed,) = (e.estimate for e in events_of(half_folder, dtype="float32") if isinstance(e, ModelEstimated))
    assert wide.describe("packed").dtype == "float32"
    least = measure_bytes(AutoConfig.from_pretrained(half_folder), 4, free=0)
    monkeypatch.setattr(module, "free_bytes", lambda *_: needed.weight_bytes + least - 1)
    info = loaded_from(half_folder).describe("packed")
    assert info.dtype == "bfloat16"
    assert "so it is slow: float32 would take" in info.dtype_reason


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"bf16": True}, "bfloat16"),
        ({}, "float32"),
    ],
)
def test_auto_is_the_checkpoints_own_dtype_where_the_cpu_knows_it(
    half_folder, monkeypatch, capabilities, dtype
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert loaded_from(half_folder).describe("packed").dtype == dtype


@pytest.mark.usefixtures("without_half")
def test_a_model_that_is_loaded_anew_comes_in_the_same_numbers(half_folder, monkeypatch):
    engine = LocalEngine()
    list(engine.run(LoadModel(model=str(half_folder), device="cpu"), lambda: False))
    before = engine.info
    engine.loaded = None  # as after an export that failed
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": True}, raising=False)
    list(engine.run(Measure(prompt=Prompt(context="a b", query=" c")), lambda: False))
    assert engine.info == before
    assert before.dtype_reason
