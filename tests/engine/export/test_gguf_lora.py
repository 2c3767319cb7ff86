"""An adapter for llama.cpp: what is in the file, that llama.cpp makes of it what the patch does, what is refused."""

import errno
import resource

import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

from icltui.api.messages import LoadModel
from icltui.engine.export import control_vector, gguf_lora
from icltui.engine.export.reference_logits import reference_logits
from icltui.engine.local import LocalEngine
from icltui.values.errors import BadInput, EngineError, ModelError
from icltui.values.recipe import Recipe
from tests.engine.dense_reference import patch_densely
from tests.engine.export.exporting import (
    COMPILED,
    FROZEN,
    ORDINARY,
    build_here,
    engine_of,
    export,
    hooks_left,
    ids_of,
    logits,
    model_of,
    on_a_text,
)
from tests.engine.export.llama_cpp import log_probabilities
from tests.engine.gguf_files import make_model, write_gguf
from tests.engine.small_models import FAMILIES, make_tiny, tiny

TO = {"format": "gguf-lora"}
BASE_ERROR = {"llama": 5e-5, "qwen2": 5e-5, "gpt2": 5e-3}
"""What llama.cpp's log-probabilities may be off without an adapter: its GELU is a table in half precision."""


def engine_from(file, **options):
    """An engine that loaded its model from a GGUF."""
    engine = LocalEngine()
    list(engine.run(LoadModel(model=str(file), device="cpu", **options), lambda: False))
    return engine


def tensors_of(path):
    return {tensor.name: torch.from_numpy(tensor.data.copy()) for tensor in GGUFReader(path).tensors}


def test_the_file_is_as_llama_cpp_reads_it(tmp_path):
    loaded = model_of("llama")
    report = export(engine_of(loaded), tmp_path / "lora.gguf", recipe=COMPILED, **TO)
    reader = GGUFReader(tmp_path / "lora.gguf")
    facts = [
        "general.architecture",
        "general.type",
        "adapter.type",
        "adapter.lora.alpha",
        "icltui.fingerprint",
    ]
    assert [reader.get_field(name).contents() for name in facts] == [
        "llama",
        "adapter",
        "lora",
        report.rank,
        loaded.describe("packed").fingerprint,
    ]
    assert all(tensor.tensor_type == GGMLQuantizationType.F32 for tensor in reader.tensors)
    shapes = {tensor.name: tuple(map(int, tensor.shape)) for tensor in reader.tensors}  # ggml's order
    matrices = {"ffn_gate": (24, 40), "ffn_up": (24, 40), "ffn_down": (40, 24)}
    assert shapes == {
        f"blk.{layer}.{name}.weight.lora_{side}": shape
        for layer in range(3)
        for name, (entering, leaving) in matrices.items()
        for side, shape in (("a", (entering, 7)), ("b", (7, leaving)))
    }
    assert (report.rank, report.n_tensors, report.left_out) == (7, 18, ())
    assert report.files == (str(tmp_path / "lora.gguf"),)
    assert report.notes[-1].endswith("on a GGUF of this model (llama)")


@pytest.mark.parametrize(
    ("family", "architecture"),
    [
        ("mistral", "llama"),
        ("qwen3", "qwen3"),
        ("gpt_neox", "gptneox"),
        ("gemma3", "gemma3"),
        ("olmo2", "olmo2"),
        ("cohere", "command-r"),
    ],
)
def test_the_architecture_is_called_as_llama_cpps_converter_calls_it(family, architecture):
    assert gguf_lora.architecture_of(model_of(family)) == architecture


@pytest.mark.parametrize(
    ("family", "recipe"),
    [
        *((family, recipe) for family in BASE_ERROR for recipe in (FROZEN, COMPILED)),
        ("llama", ORDINARY),
    ],
    ids=[*(f"{family}-{how}" for family in BASE_ERROR for how in ("frozen", "compiled")), "llama-ordinary"],
)
def test_llama_cpp_makes_of_it_what_the_patch_does(family, recipe, tmp_path):
    """A reader of its own of the file that the model is from, and of the adapter: names, layout, scale and sign."""
    base, lora = write_gguf(tmp_path / "base.gguf", make_model(family), family), tmp_path / "lora.gguf"
    recipe = on_a_text(recipe, tmp_path) if recipe is ORDINARY else recipe
    engine = engine_from(base)
    report = export(engine, lora, recipe=recipe, **TO)
    with torch.no_grad():
        row = (references := reference_logits(build_here(engine.loaded, recipe))).rows[0]
    assert row.position_ids == list(range(len(row.ids))), "llama.cpp counts positions from 0"
    ends = range(len(row.ids) - row.n_tokens + 1, len(row.ids) + 1)
    rows = [row.ids[:end] for end in ends]
    bare, patched = (
        references.bare[: row.n_tokens].double().log_softmax(-1),
        references.patched[: row.n_tokens].double().log_softmax(-1),
    )
    allowed = BASE_ERROR[family]
    assert (log_probabilities(base, rows) - bare).abs().max() < allowed
    assert (log_probabilities(base, rows, lora) - patched).abs().max() < allowed
    assert (patched - bare).abs().max() > 100 * allowed, "the patch is far larger than what is allowed"
    assert report.largest_difference < 1e-4 * report.logit_scale < report.largest_effect


@pytest.mark.parametrize(
    ("family", "readers", "down", "named"),
    [
        ("gpt2", ("mlp.c_fc",), "mlp.c_proj", {"c_fc": "ffn_up", "c_proj": "ffn_down"}),
        (
            "mistral",
            ("mlp.gate_proj", "mlp.up_proj"),
            "mlp.down_proj",
            {"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"},
        ),
        (
            "gpt_neox",
            ("mlp.dense_h_to_4h",),
            "mlp.dense_4h_to_h",
            {"dense_h_to_4h": "ffn_up", "dense_4h_to_h": "ffn_down"},
        ),
    ],
)
def test_it_is_the_change_of_weights_that_the_slow_reference_makes(family, readers, down, named, tmp_path):
    loaded = tiny(family)  # float64
    export(engine_of(loaded), tmp_path / "lora.gguf", **TO)
    ids, parts, tensors = ids_of(loaded), FAMILIES[family], tensors_of(tmp_path / "lora.gguf")
    with torch.no_grad():
        dense = patch_densely(loaded.model, parts, ids.full, ids.plain, "down")
    for layer in range(loaded.n_layers):
        for name in (*readers, down):
            path = f"{parts.blocks}.{layer}.{name}"
            change = dense.model.get_submodule(path).weight - loaded.model.get_submodule(path).weight
            change = change.T if parts.transposed else change
            matrix = f"blk.{layer}.{named[name.rpartition('.')[2]]}.weight"
            b, a = (tensors.pop(f"{matrix}.lora_{side}").double() for side in "ba")
            assert torch.allclose(b @ a, change, atol=1e-12 + 2e-6 * float(change.norm())), path
    assert tensors == {}


@pytest.mark.parametrize("family", ["qwen3", "phi3", "granite", "gpt2", "gpt_neox"])
def test_what_is_read_back_is_the_patch_and_leaves_no_trace(family, tmp_path):
    loaded = model_of(family)
    before = logits(loaded)
    report = export(engine_of(loaded), tmp_path / "lora.gguf", **TO)
    assert report.largest_difference < 1e-4 * report.logit_scale
    assert report.kl_exported == report.kl_patch < 1e-6
    assert torch.equal(logits(loaded), before)
    assert hooks_left(loaded.model) == 0


def test_the_model_of_a_gguf_has_the_files_architecture_and_place_in_each_export(tmp_path, monkeypatch):
    file = write_gguf(tmp_path / "base.gguf", make_model("llama"), "llama", GGMLQuantizationType.Q8_0)
    monkeypatch.chdir(tmp_path)
    engine = engine_from("base.gguf")
    engine.loaded.model.config.model_type = "other"
    report = export(engine, tmp_path / "lora.gguf", **TO)
    reader = GGUFReader(tmp_path / "lora.gguf")
    assert reader.get_field("general.architecture").contents() == "llama"
    assert reader.get_field("general.base_model.0.name").contents() == str(file)
    assert report.largest_difference < report.tolerance * report.logit_scale


def test_in_half_precision_too(tmp_path):
    report = export(engine_of(make_tiny("llama", torch.bfloat16)), tmp_path / "lora.gguf", **TO)
    assert report.largest_difference < report.tolerance * report.logit_scale < report.largest_effect


def test_where_a_norm_follows_the_shift_is_left_out(tmp_path):
    report = export(engine_of(model_of("gemma3")), tmp_path / "lora.gguf", **TO)
    assert report.left_out[0].startswith("the shift at layers 0-2: something, such as a norm, follows")
    assert not [name for name in tensors_of(tmp_path / "lora.gguf") if "ffn_down" in name]


def refused(tmp_path, error, words, family="llama", **changes):
    with pytest.raises(error, match=words):
        export(engine_of(model_of(family)), tmp_path / "lora.gguf", **TO, **changes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("family", "changes", "words"),
    [
        ("opt", {}, "GGUF has no architecture for models of type 'opt', so .*: export --to peft"),
        ("mixtral", {}, "a matrix of experts, .* fits into no GGUF adapter here: export --to peft"),
        ("llama", {"recipe": Recipe(mode="frozen", carrier="bias")}, "export --to gguf-control-vector"),
        ("llama", {"recipe": Recipe()}, "a patch per step is made anew"),
        ("llama", {"layers": "9"}, "out of range"),
    ],
)
def test_what_no_file_can_hold_is_refused(family, changes, words, tmp_path):
    refused(tmp_path, BadInput, words, family, **changes)


def test_a_matrix_without_a_name_is_refused(tmp_path, monkeypatch):
    names_of = gguf_lora.names_of
    fewer = {"model.layers.1.mlp.up_proj": None}
    monkeypatch.setattr(
        "icltui.engine.export.export_patch.names_of",
        lambda *of: {path: name for path, name in names_of(*of).items() if path not in fewer},
    )
    refused(tmp_path, BadInput, "no name for the matrix model.layers.1.mlp.up_proj in the architecture llama")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name, tensor: (name, tensor + 1e-6), "read back is not the one that was written"),
        (
            lambda name, tensor: (name.replace("blk.1", "blk.7"), tensor),
            "read back is not the one that was written",
        ),
    ],
)
def test_what_is_read_back_otherwise_is_not_kept(change, words, tmp_path, monkeypatch):
    add = GGUFWriter.add_tensor
    monkeypatch.setattr(GGUFWriter, "add_tensor", lambda self, *of: add(self, *change(*of)))
    refused(tmp_path, EngineError, words)


def test_a_file_of_another_strength_is_not_kept(tmp_path, monkeypatch):
    add = GGUFWriter.add_float32
    monkeypatch.setattr(GGUFWriter, "add_float32", lambda self, name, value: add(self, name, 1.01 * value))
    refused(tmp_path, EngineError, "read back, the adapter's logits miss the patch's by .*: nothing was kept")


def test_a_file_with_matrices_that_the_model_lacks_is_not_kept(tmp_path, monkeypatch):
    write = gguf_lora.write_lora
    monkeypatch.setattr(
        "icltui.engine.export.export_patch.write_lora",
        lambda path, adapter, of, names, source: write(
            path, adapter, of, names | {at: names[at].replace("blk.2", "blk.9") for at in names}, source
        ),
    )
    refused(tmp_path, EngineError, r"no matrix of the model is called blk\.9\.ffn_\w+\.weight\.lora_")


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(GGUFWriter, "write_tensors_to_file", full)
    refused(tmp_path, BadInput, "cannot write .*lora.gguf: .*no space left on device.*: choose another place")


@pytest.mark.parametrize("form", ["gguf-lora", "gguf-control-vector"])
@pytest.mark.parametrize("part", [0.5, 0.9, 0.999])
def test_a_disk_that_fills_up_meanwhile_leaves_nothing(form, part, tmp_path):
    """The last bytes of a tensor are lost without an error: they are in a buffer when numpy is done with them."""
    engine = engine_of(model_of("llama"))
    export(engine, tmp_path / "whole.gguf", format=form)
    size = (tmp_path / "whole.gguf").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * part), before[1]))
    try:
        with pytest.raises(BadInput, match=r"cannot write .*lora.gguf: .*: choose another place"):
            export(engine, tmp_path / "lora.gguf", format=form)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.gguf"]


def test_a_place_that_is_taken_is_refused(tmp_path):
    (tmp_path / "lora.gguf").write_text("mine")
    with pytest.raises(BadInput, match="exists already: give -o another name"):
        export(engine_of(model_of("llama")), tmp_path / "lora.gguf", **TO)
    assert (tmp_path / "lora.gguf").read_text() == "mine"


def test_without_gguf_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(control_vector, "find_spec", lambda _name: None)
    refused(tmp_path, ModelError, r"needs gguf.*: pip install 'icltui\[export\]'")
