"""The mean shift for llama.cpp: what is in the file, at which layer, and that it does what is said of it."""

import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader

from icltui.engine.export import control_vector
from icltui.engine.measure.predictions import kl_divergence
from icltui.values.errors import BadInput, EngineError, ModelError
from icltui.values.recipe import Recipe
from tests.engine.dense_reference import DenseModel
from tests.engine.export.exporting import (
    COMPILED,
    FROZEN,
    build_here,
    engine_of,
    export,
    hooks_left,
    logits,
    model_of,
)
from tests.engine.small_models import FAMILIES

TO = {"format": "gguf-control-vector"}


def vectors_in(path):
    return {
        int(tensor.name.removeprefix("direction.")): torch.from_numpy(tensor.data.copy())
        for tensor in GGUFReader(path).tensors
    }


def test_the_file_is_as_llama_cpp_reads_it(tmp_path):
    loaded = model_of("qwen3")
    report = export(engine_of(loaded), tmp_path / "vector.gguf", **TO)
    reader = GGUFReader(tmp_path / "vector.gguf")
    facts = {
        name: reader.get_field(name).contents()
        for name in ("general.architecture", "controlvector.model_hint", "controlvector.layer_count")
    }
    assert list(facts.values()) == ["controlvector", "qwen3", 2]
    assert [tensor.name for tensor in reader.tensors] == ["direction.1", "direction.2"]
    assert all(list(tensor.shape) == [24] for tensor in reader.tensors)
    assert all(tensor.tensor_type == GGMLQuantizationType.F32 for tensor in reader.tensors)
    assert report.files == (str(tmp_path / "vector.gguf"),)
    assert report.left_out[:2] == (
        "ΔW: a control vector is one constant for each layer",
        "the shift at layer 0: llama.cpp adds nothing there",
    )


@pytest.mark.parametrize("recipe", [FROZEN, COMPILED], ids=["frozen", "compiled"])
@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gemma3", "mixtral"])
def test_added_to_what_the_blocks_give_it_does_what_is_said_of_it(family, recipe, tmp_path):
    """Independent of the engine's own hooks: the vectors of the file are added to the outputs of the blocks N."""
    loaded = model_of(family)
    before = logits(loaded)
    report = export(engine_of(loaded), tmp_path / "vector.gguf", recipe=recipe, **TO)
    dense = DenseModel(loaded.model, FAMILIES[family])
    for layer, vector in vectors_in(tmp_path / "vector.gguf").items():
        dense.add_to_output(layer, vector)
    with torch.no_grad():
        own = build_here(loaded, recipe).own
        ours = dense.model(torch.tensor([list(own.ids.plain)])).logits[0, -1]
    kl = float(kl_divergence(own.logits[0].log_softmax(-1), ours.log_softmax(-1)))
    assert report.kl_exported == pytest.approx(kl, rel=1e-3)
    assert report.largest_difference < 1e-4 * report.logit_scale < report.largest_effect
    assert report.kl_patch < report.kl_exported
    assert torch.equal(logits(loaded), before)
    assert hooks_left(loaded.model) == 0


def test_the_lowest_vector_is_the_mean_of_what_is_missing_there_times_the_strength(tmp_path):
    """Below layer 1 nothing acts, so that nothing but the model decides what is missing."""
    loaded = model_of("llama")
    for alpha in (1.0, 0.5):
        recipe = Recipe(mode="compiled", n_fitted=3, alpha=alpha)
        export(engine_of(loaded), tmp_path / str(alpha), recipe=recipe, layers="1,2", **TO)
    own = build_here(loaded, COMPILED).own
    dense = DenseModel(loaded.model, FAMILIES["llama"])
    fitted = [*own.ids.query, *own.continuation[:3]]
    with torch.no_grad():
        _, there, _ = dense.run([*own.ids.prefix, *own.ids.context, *fitted], 1)
        _, here, _ = dense.run([*own.ids.prefix, *fitted], 1)
    missing = (there[-len(fitted) :] - here[-len(fitted) :]).mean(0)
    assert torch.allclose(vectors_in(tmp_path / "1.0")[1], missing, atol=1e-5)
    for layer, vector in vectors_in(tmp_path / "1.0").items():
        assert torch.equal(vectors_in(tmp_path / "0.5")[layer], 0.5 * vector)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"recipe": Recipe(mode="frozen", components="weights")},
            "which ΔW alone leaves out: give --components",
        ),
        ({"layers": "0"}, "only layer 0 is selected, at which llama.cpp adds nothing: choose other layers"),
        ({"recipe": Recipe()}, "a patch per step"),
    ],
)
def test_what_is_no_shift_that_can_be_carried_is_refused(changes, words, tmp_path):
    with pytest.raises(BadInput, match=words):
        export(engine_of(model_of("llama")), tmp_path / "vector.gguf", **TO, **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_model_whose_blocks_end_in_a_norm_has_no_control_vector(tmp_path):
    with pytest.raises(
        EngineError, match="added to the blocks' outputs, the vectors' logits miss the patch's"
    ):
        export(engine_of(model_of("opt-post-layernorm")), tmp_path / "vector.gguf", **TO)
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_back_otherwise_is_not_kept(tmp_path, monkeypatch):
    from gguf import GGUFWriter

    add = GGUFWriter.add_tensor
    monkeypatch.setattr(GGUFWriter, "add_tensor", lambda self, name, tensor: add(self, name, tensor + 1e-6))
    with pytest.raises(EngineError, match="read back is not the one that was written: nothing was kept"):
        export(engine_of(model_of("llama")), tmp_path / "vector.gguf", **TO)
    assert list(tmp_path.iterdir()) == []


def test_without_gguf_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(control_vector, "find_spec", lambda _name: None)
    with pytest.raises(ModelError, match=r"needs gguf.*: pip install 'icltui\[export\]'"):
        export(engine_of(model_of("llama")), tmp_path / "vector.gguf", **TO)
