"""A GGUF: the model that comes out is the one that went in, and ordinary; what holds no model is refused."""

import json
import re
from types import SimpleNamespace

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Blocks
from transformers import modeling_gguf_pytorch_utils as theirs

from icltui.api.messages import LoadModel, ModelEstimated, Progress
from icltui.engine.models import gguf_file, gguf_reader
from icltui.engine.models.gguf_header import read_header
from icltui.engine.models.load import estimate_model, load
from icltui.engine.models.loaded_model import fingerprint
from icltui.values.errors import BadInput, ModelError
from tests.engine.generators import run_to_end
from tests.engine.gguf_files import TEMPLATE, make_model, make_tokenizer, round_model, write_gguf

TOKENS = torch.arange(40)[None] * 5
TEXTS = ["", " ", "ab 1 a b", "  11  1\n\n1", "naïve — 東京 😀", "<s>ab<s>", "\r\n\ta  b"]


def events_of(where, **options):
    return run_to_end(load(LoadModel(**{"model": str(where), "device": "cpu"} | options)))


def loaded_from(where, **options):
    return events_of(where, **options)[1]


def refusal(where, **options):
    with pytest.raises((BadInput, ModelError)) as caught:
        loaded_from(where, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def logits(model):
    with torch.inference_mode():
        return model(TOKENS).logits


@pytest.fixture(scope="module")
def model():
    return make_model("llama")


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    """A llama in blocks of Q8_0."""
    return write_gguf(tmp_path_factory.mktemp("llama") / "tiny.Q8_0.gguf", model, "llama", Blocks.Q8_0)


@pytest.mark.parametrize("blocks", [Blocks.F32, Blocks.F16, Blocks.Q8_0, Blocks.Q4_1], ids=lambda b: b.name)
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_weights_are_those_of_the_file(architecture, blocks, tmp_path):
    written, reference = make_model(architecture), make_model(architecture)
    round_model(reference, architecture, blocks)
    file = write_gguf(tmp_path / "tiny.gguf", written, architecture, blocks)
    loaded = loaded_from(file, dtype="float32")
    assert torch.equal(logits(loaded.model), logits(reference))
    assert fingerprint(loaded.model) == fingerprint(reference)


def test_nothing_of_the_packed_form_is_left(file, tmp_path):
    """What is saved is an ordinary folder, which loads as the same model."""
    loaded = loaded_from(file, dtype="bfloat16")
    assert not hasattr(loaded.model.config, "quantization_config")
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.bfloat16}
    loaded.model.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    saved = "".join(path.read_text() for path in tmp_path.glob("*.json")).lower()
    assert "gguf" not in saved.replace(str(file).lower(), "")
    again = loaded_from(tmp_path)
    assert fingerprint(again.model) == fingerprint(loaded.model)
    assert torch.equal(logits(again.model), logits(loaded.model))
    pairs = zip(again.model.parameters(), loaded.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert [again.tokenizer(text) for text in TEXTS] == [loaded.tokenizer(text) for text in TEXTS]


def test_the_tokenizer_is_the_file_s(file, tmp_path):
    """Even where another one lies beside the file."""
    beside = tmp_path / "model.gguf"
    beside.write_bytes(file.read_bytes())
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "another"}))
    tokenizer, original = loaded_from(beside).tokenizer, make_tokenizer()
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.get_vocab().items() >= original.get_vocab().items()
    for text in TEXTS:
        ours, theirs = (
            tokenizer(text, return_offsets_mapping=True),
            original(text, return_offsets_mapping=True),
        )
        assert ours["input_ids"] == theirs["input_ids"]
        assert ours["offset_mapping"] == theirs["offset_mapping"]


@pytest.mark.parametrize(
    ("split", "tokens"),
    [("gpt-2", ["a", "Ġ1", "1"]), ("smollm", ["a", "Ġ", "1", "1"])],
    ids=["joined", "apart"],
)
def test_words_are_split_by_the_file_s_rule(model, tmp_path, split, tokens):
    tokenizer = loaded_from(write_gguf(tmp_path / "tiny.gguf", model, "llama", split=split)).tokenizer
    assert tokenizer.tokenize("a 11") == tokens


def test_what_is_out_of_the_ordinary_is_noted(file, model, tmp_path):
    notes = loaded_from(file).describe("packed").notes
    assert notes == (
        "its weights are unpacked from blocks of Q8_0, which round those that they were made from",
    )
    plain = write_gguf(tmp_path / "tiny.gguf", model, "llama", split="viking")
    assert (
        "GPT-2's rule, as the file's, 'viking', is not known"
        in loaded_from(plain).describe("packed").notes[0]
    )


@pytest.mark.parametrize(
    ("blocks", "dtype"), [(Blocks.F32, "float32"), (Blocks.F16, "float16"), (Blocks.Q8_0, "bfloat16")]
)
def test_auto_is_the_file_s_own_floats_and_bfloat16_for_blocks(model, tmp_path, monkeypatch, blocks, dtype):
    monkeypatch.setattr("icltui.engine.models.auto_dtype.has_instructions", lambda _dtype: True)
    info = loaded_from(write_gguf(tmp_path / "tiny.gguf", model, "llama", blocks)).describe("packed")
    assert (info.dtype, info.dtype_reason) == (dtype, "")
    assert info.stored_dtype == ("Q8_0" if blocks == Blocks.Q8_0 else dtype)


def test_where_bfloat16_is_slow_blocks_become_float32(file, monkeypatch):
    monkeypatch.setattr("icltui.engine.models.auto_dtype.has_instructions", lambda _dtype: False)
    info = loaded_from(file).describe("packed")
    assert info.dtype == "float32"
    assert (
        info.dtype_reason == "blocks of Q8_0 are unpacked to bfloat16, for which this CPU has no instructions"
    )


def test_the_size_is_that_of_the_unpacked_model_and_comes_first(file, model):
    events, _ = run_to_end(estimate_model(LoadModel(model=str(file), device="cpu", dtype="bfloat16")))
    estimate = next(event.estimate for event in events if isinstance(event, ModelEstimated))
    n = sum(parameter.numel() for parameter in model.parameters())
    assert (estimate.n_parameters, estimate.weight_bytes) == (n, 2 * n)
    events, _ = events_of(file, dtype="bfloat16")
    counted = [event.done for event in events if isinstance(event, Progress) and event.total == 2 * n]
    assert counted == sorted(counted)
    assert counted[-1] == 2 * n


def test_a_file_that_does_not_fit_is_refused_before_it_is_read(file, monkeypatch):
    monkeypatch.setattr("icltui.engine.models.load.free_bytes", lambda *_: 1000)
    assert "needs" in (said := refusal(file))
    assert "1 kB are free" in said


def test_loading_can_be_cancelled_and_puts_transformers_back(file):

    before = (theirs.tqdm, gguf.GGUFReader, gguf.get_tensor_name_map)
    loading = load(LoadModel(model=str(file), device="cpu"))
    next(event for event in loading if isinstance(event, ModelEstimated))
    next(loading)
    loading.close()
    loaded_from(file)  # waits for what was cancelled
    assert (theirs.tqdm, gguf.GGUFReader, gguf.get_tensor_name_map) == before


def test_a_folder_that_holds_one_gguf_is_that_model(file, tmp_path):
    (tmp_path / "only.gguf").write_bytes(file.read_bytes())
    (tmp_path / "README.md").write_text("a model")
    assert fingerprint(loaded_from(tmp_path).model) == fingerprint(loaded_from(file).model)
    (tmp_path / "second.gguf").write_bytes(b"")
    assert "has 2 GGUF files: give one of them as the model: 'only.gguf', 'second.gguf'" in refusal(tmp_path)


def test_a_folder_of_another_format_says_that_a_gguf_is_there(file, tmp_path):
    (tmp_path / "only.gguf").write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text("{}")
    assert "give only.gguf itself as the model" in refusal(tmp_path)


LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def llama_3_factors(rope, width):
    """By the loop of llama.cpp's converter, one frequency at a time."""
    factors = []
    for k in range(0, width, 2):
        wavelength = 2 * np.pi * rope["rope_theta"] ** (k / width)
        context, factor = rope["original_max_position_embeddings"], rope["factor"]
        if wavelength < context / rope["high_freq_factor"]:
            factors.append(1.0)
        elif wavelength > context / rope["low_freq_factor"]:
            factors.append(factor)
        else:
            span = rope["high_freq_factor"] - rope["low_freq_factor"]
            smooth = (context / wavelength - rope["low_freq_factor"]) / span
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, np.float32)


def test_positions_scaled_as_in_llama_3_are_read_from_their_factors(tmp_path):
    scaled, plain = make_model("llama", rope_parameters=dict(LLAMA_3)), make_model("llama")
    factors = {"rope_freqs.weight": llama_3_factors(LLAMA_3, 16)}
    file = write_gguf(tmp_path / "tiny.gguf", scaled, "llama", tensors=factors)
    loaded = loaded_from(file)
    assert torch.equal(logits(loaded.model), logits(scaled))
    assert not torch.equal(logits(loaded.model), logits(plain))
    assert fingerprint(loaded.model) == fingerprint(scaled)


def test_other_factors_are_refused(model, tmp_path):
    factors = {"rope_freqs.weight": np.array([1, 1, 1, 1, 2, 3, 5, 7], np.float32)}
    file = write_gguf(tmp_path / "tiny.gguf", model, "llama", tensors=factors)
    assert "scales its positions by rope_freqs.weight" in refusal(file)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("linear", {}),
        ("yarn", {"original_max_position_embeddings": 16}),
    ],
)
def test_scaled_positions_are_read_from_the_settings(tmp_path, kind, more):
    rope = {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0, **more}
    scaled = make_model("qwen2", rope_parameters=dict(rope))
    settings = {"qwen2.rope.scaling.type": kind, "qwen2.rope.scaling.factor": 4.0}
    if more:
        settings["qwen2.rope.scaling.original_context_length"] = 16
    file = write_gguf(tmp_path / "tiny.gguf", scaled, "qwen2", settings=settings)
    assert torch.equal(logits(loaded_from(file).model), logits(scaled))
    assert not torch.equal(logits(scaled), logits(make_model("qwen2")))


@pytest.mark.parametrize("key", ["rope.scaling.factor", "rope.scale_linear"])
def test_a_factor_without_a_type_scales_linearly(tmp_path, key):
    scaled = make_model(
        "qwen2", rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
    )
    file = write_gguf(tmp_path / "tiny.gguf", scaled, "qwen2", settings={f"qwen2.{key}": 4.0})
    assert torch.equal(logits(loaded_from(file).model), logits(scaled))


def test_type_none_leaves_positions_as_they_are(tmp_path):
    plain = make_model("qwen2")
    settings = {"qwen2.rope.scaling.type": "none", "qwen2.rope.scaling.factor": 4.0}
    file = write_gguf(tmp_path / "tiny.gguf", plain, "qwen2", settings=settings)
    assert torch.equal(logits(loaded_from(file).model), logits(plain))


def test_factors_of_attention_and_two_scalings_at_once_are_refused(model, tmp_path):
    file = write_gguf(tmp_path / "a.gguf", model, "llama", settings={"llama.rope.scaling.attn_factor": 1.5})
    assert "scales its positions by rope.scaling.attn_factor" in refusal(file)
    factors = {"rope_freqs.weight": np.ones(8, np.float32)}
    scaled = {"llama.rope.scaling.factor": 4.0}
    file = write_gguf(tmp_path / "b.gguf", model, "llama", settings=scaled, tensors=factors)
    assert "scales its positions by rope_freqs.weight" in refusal(file)


def test_an_unknown_scaling_is_refused(model, tmp_path):
    file = write_gguf(tmp_path / "tiny.gguf", model, "llama", settings={"llama.rope.scaling.type": "spiral"})
    assert "scales its positions by rope.scaling.type 'spiral'" in refusal(file)


def test_a_tensor_that_transformers_passes_over_is_refused(model, tmp_path):
    biases = {f"blk.{layer}.attn_q.bias": np.ones(64, np.float32) for layer in range(2)}
    file = write_gguf(tmp_path / "tiny.gguf", model, "llama", tensors=biases)
    assert "holds 128 numbers (attn_q.bias) that transformers' LlamaForCausalLM has no place for" in refusal(
        file
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"general.type": "adapter"}, "is an adapter: give the model that it was made on"),
        ({"general.type": "mmproj"}, "is the vision part of a model"),
        (
            {"split.count": 3},
            "is one of 3 parts of a model: put them together with `llama-gguf-split --merge",
        ),
        ({"llama.block_count": 2**31}, "claims llama.block_count 2,147,483,648: 10,000 are the most"),
    ],
)
def test_what_is_no_whole_model_is_refused(model, tmp_path, settings, said):
    assert said in refusal(write_gguf(tmp_path / "tiny.gguf", model, "llama", settings=settings))


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("controlvector", "is a control vector"),
        ("clip", "is the vision part"),
        (
            "mamba9",
            "is of architecture 'mamba9', which transformers .* cannot read from a GGUF: it reads bloom, deci,",
        ),
    ],
)
def test_an_architecture_that_cannot_be_read_is_named(tmp_path, architecture, said):
    assert re.search(said, refusal(one_tensor(tmp_path / "tiny.gguf", architecture, np.float32)))


def test_blocks_that_cannot_be_unpacked_are_named(tmp_path):
    said = refusal(one_tensor(tmp_path / "tiny.gguf", "llama", np.int32))
    assert "'token_embd.weight' in blocks of I32, which the gguf package cannot unpack" in said


def one_tensor(path, architecture, dtype):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), dtype))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"revision": "main"}, "--revision main goes with a model on the hub, not with a file"),
        (
            {"quantize": "4bit"},
            "--quantize 4bit goes with a model of safetensors: a GGUF is unpacked into --dtype",
        ),
    ],
)
def test_options_that_do_not_go_with_a_file_are_refused(file, options, said):
    assert said in refusal(file, **options)


def test_the_rest_of_the_options_do(file):
    assert (
        loaded_from(file, allow_pickle=True, device_map="auto", device="auto", dtype="float64").dtype
        == torch.float64
    )


def test_an_older_transformers_unpacks_by_itself_and_reads_the_vocabulary_itself(file, monkeypatch):
    """Before 5.20 there is no GgufConfig."""
    older = SimpleNamespace(__version__="5.10.0")
    monkeypatch.setattr(gguf_file, "transformers", older)
    monkeypatch.setattr(gguf_reader, "transformers", older)
    own = gguf.GGUFReader
    with gguf_file.unpacking(iter) as arguments, gguf_reader.reading_once(read_header(file)):
        assert arguments == {}
        assert gguf.GGUFReader is own
