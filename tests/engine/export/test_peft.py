"""An adapter for PEFT: what is in it, that PEFT makes of it what the patch does, and that nothing else is ever kept."""

import gc
import json
import threading
import weakref
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from icltui.api.messages import Export, LoadModel, Measure, MeasureEnded, Progress
from icltui.engine import local
from icltui.engine.export import export_patch, peft, peft_check, reference_logits
from icltui.engine.export.foldable import fold_gains
from icltui.engine.local import LocalEngine
from icltui.engine.measure.predictions import kl_divergence
from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import refit
from icltui.engine.patch.patch import HeldPatch, LayerPatch
from icltui.values.errors import BadInput, EngineError, ModelError
from icltui.values.recipe import Recipe
from tests.engine.dense_reference import patch_densely
from tests.engine.export.exporting import (
    COMPILED,
    FROZEN,
    ORDINARY,
    PROMPT,
    build_here,
    engine_of,
    export,
    hooks_left,
    ids_of,
    logits,
    model_of,
    on_a_text,
)
from tests.engine.small_models import FAMILIES, make_tiny, make_tokenizer, tiny


def tensors_of(folder):
    return load_file(folder / "adapter_model.safetensors")


def product(tensors, path):
    """B·A of one module, in float64."""
    a, b = (tensors[f"base_model.model.{path}.lora_{side}.weight"].double() for side in "AB")
    return b @ a


@pytest.mark.parametrize("recipe", [FROZEN, COMPILED], ids=["frozen", "compiled"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "phi3", "mixtral"])
def test_round_trip(family, recipe, tmp_path):
    loaded = model_of(family)
    engine, before = engine_of(loaded), logits(loaded)
    report = export(engine, tmp_path / "adapter", recipe=recipe)
    assert report.largest_difference < 1e-4 * report.logit_scale
    assert report.largest_effect > 0.1 * report.logit_scale
    assert report.n_compared == (9 if recipe is FROZEN else 12)
    assert report.rank == (1 if recipe is FROZEN else 7), "four of the query and three behind it"
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["bias"]) == (report.rank, report.rank, "none")
    assert config["fan_in_fan_out"] is (family == "gpt2")
    assert sorted(map(str, (tmp_path / "adapter").iterdir())) == sorted(report.files)
    if family == "mixtral":
        assert report.left_out[0] == "the shift at layers 0-2: experts share no down projection"
    else:
        assert report.left_out == ()
        assert report.kl_exported == report.kl_patch < 1e-6
    assert torch.equal(logits(loaded), before), "the engine's own model is untouched"
    assert hooks_left(loaded.model) == 0
    assert isinstance(list(engine.run(Measure(prompt=PROMPT), lambda: False))[-1], MeasureEnded)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_an_ordinary_cross_fitted_patch_is_exported_as_exactly(family, tmp_path):
    """Module by module the map that acts, and what PEFT makes of all of them."""
    loaded, recipe = model_of(family), on_a_text(ORDINARY, tmp_path)
    report = export(engine_of(loaded), tmp_path / "adapter", recipe=recipe)
    assert report.largest_difference < 1e-4 * report.logit_scale
    assert report.largest_effect > 0.05 * report.logit_scale
    assert (report.rank, report.left_out) == (6, ())
    assert report.kl_exported == report.kl_patch
    tensors, parts = tensors_of(tmp_path / "adapter"), FAMILIES[family]
    readers = {"gpt2": ["mlp.c_fc"], "llama": ["mlp.gate_proj", "mlp.up_proj"]}[family]
    for layer, held in build_here(loaded, recipe).patch.layers.items():
        read = held.weights.read.double()
        for name in readers:
            path = f"{parts.blocks}.{layer}.{name}"
            weight = loaded.model.get_submodule(path).weight.double()
            change = (weight.T if parts.transposed else weight) @ held.weights.write.double() @ read
            assert torch.allclose(product(tensors, path), change, atol=2e-6 * float(change.norm())), path


@pytest.mark.parametrize(
    ("family", "readers", "down"),
    [("gpt2", ("mlp.c_fc",), "mlp.c_proj"), ("llama", ("mlp.gate_proj", "mlp.up_proj"), "mlp.down_proj")],
)
def test_it_is_the_change_of_weights_that_the_slow_reference_makes(family, readers, down, tmp_path):
    loaded = tiny(family)  # float64
    export(engine_of(loaded), tmp_path / "adapter")
    ids, parts = ids_of(loaded), FAMILIES[family]
    with torch.no_grad():
        dense = patch_densely(loaded.model, parts, ids.full, ids.plain, "down")
    tensors = tensors_of(tmp_path / "adapter")
    for layer in range(loaded.n_layers):
        for name in (*readers, down):
            path = f"{parts.blocks}.{layer}.{name}"
            change = dense.model.get_submodule(path).weight - loaded.model.get_submodule(path).weight
            change = change.T if parts.transposed else change
            assert torch.allclose(product(tensors, path), change, atol=2e-6 * float(change.norm())), path


def test_experts_and_their_router_are_changed_each(tmp_path):
    loaded = tiny("mixtral")
    export(engine_of(loaded), tmp_path / "adapter", recipe=Recipe(mode="frozen", components="weights"))
    ids = ids_of(loaded)
    with torch.no_grad():
        dense = patch_densely(loaded.model, FAMILIES["mixtral"], ids.full, ids.plain, None)
    tensors = tensors_of(tmp_path / "adapter")
    for layer in range(loaded.n_layers):
        mlp = f"model.layers.{layer}.mlp"
        new, old = (model.get_submodule(mlp) for model in (dense.model, loaded.model))
        router = new.gate.weight - old.gate.weight
        assert torch.allclose(product(tensors, f"{mlp}.gate"), router, atol=2e-6 * float(router.norm()))
        experts = new.experts.gate_up_proj - old.experts.gate_up_proj
        a, b = (tensors[f"base_model.model.{mlp}.experts.lora_{side}.weight"].double() for side in "AB")
        for expert, change in enumerate(experts):  # of rank 1: one row of A and one column of B each
            got = b[:, expert : expert + 1] @ a[expert : expert + 1]
            assert torch.allclose(got, change, atol=2e-6 * float(change.norm()))


@pytest.mark.parametrize("family", ["gemma3", "olmo2"])
def test_where_a_norm_stands_behind_the_shift_is_left_out_and_the_rest_derived_anew(family, tmp_path):
    loaded = model_of(family)
    report = export(engine_of(loaded), tmp_path / "adapter")
    assert report.left_out[0] == (
        "the shift at layers 0-2: something, such as a norm, follows the down projection"
    )
    assert report.left_out[1].startswith("this costs: KL from the contextual distribution")
    assert not [name for name in tensors_of(tmp_path / "adapter") if "down_proj" in name]
    with torch.no_grad():
        whole = build_here(loaded)
        context = whole.own.logits[0].log_softmax(-1)

        def kl(built):
            return float(kl_divergence(context, patched_logits(built, whole.own)[0].log_softmax(-1)))

        anew = kl(refit(whole, frozenset({0, 1, 2})))
        bare = {layer: LayerPatch(held.weights) for layer, held in whole.patch.layers.items()}
        cut = kl(replace(whole, patch=HeldPatch(whole.patch.sites, bare)))
    assert report.kl_exported == pytest.approx(anew, rel=1e-5)
    assert report.kl_exported != pytest.approx(cut, rel=0.01)
    assert report.kl_patch < 1e-6 < report.kl_exported


def test_strength_is_in_b(tmp_path):
    engine = engine_of(model_of("qwen3"))
    for alpha in (1.0, 0.5):
        export(engine, tmp_path / str(alpha), recipe=Recipe(mode="frozen", alpha=alpha))
    whole, half = tensors_of(tmp_path / "1.0"), tensors_of(tmp_path / "0.5")
    assert whole.keys() == half.keys()
    for name, tensor in whole.items():
        assert torch.equal(half[name], 0.5 * tensor if "lora_B" in name else tensor), name


def test_a_branch_that_is_scaled_is_scaled_back(tmp_path):
    loaded = model_of("granite")
    for block in loaded.model.model.layers:
        block.residual_multiplier = 0.22
    with torch.no_grad():
        factors = fold_gains(loaded, loaded.sites)
        whole = build_here(loaded)
    assert factors == {layer: pytest.approx(0.22, rel=1e-5) for layer in range(4)}
    report = export(engine_of(loaded), tmp_path / "adapter")
    assert report.left_out == ()
    b = tensors_of(tmp_path / "adapter")["base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"]
    assert torch.allclose(b, whole.patch.layers[1].output.write / 0.22, rtol=1e-4)
    assert hooks_left(loaded.model) == 0


def test_parts_and_layers_that_were_not_asked_for_stay_out(tmp_path):
    engine = engine_of(model_of("llama"))
    export(engine, tmp_path / "shift", layers="1", recipe=Recipe(mode="frozen", components="shift"))
    export(engine, tmp_path / "weights", layers="1", recipe=Recipe(mode="frozen", components="weights"))
    modules = {
        what: {name.split(".lora_")[0].rpartition("layers.")[2] for name in tensors_of(tmp_path / what)}
        for what in ("shift", "weights")
    }
    assert modules == {"shift": {"1.mlp.down_proj"}, "weights": {"1.mlp.gate_proj", "1.mlp.up_proj"}}


def in_bfloat16(family):
    """A model that rounding moves smoothly: where a router has a choice, half a unit can make another one."""
    loaded = make_tiny(family, torch.bfloat16)
    if family == "mixtral":
        for block in loaded.model.model.layers:
            block.mlp.gate.top_k = block.mlp.gate.num_experts
    return loaded


@pytest.mark.parametrize("family", ["gpt2", "mixtral"])
def test_in_half_precision_as_much_is_allowed_as_rounding_moves_the_patch(
    family, tmp_path, spoilt, monkeypatch
):
    for module in (export_patch, reference_logits):  # as if it were far less than rounding does
        monkeypatch.setattr(module, "tolerance_of", lambda _: 1e-3)
    monkeypatch.setattr(reference_logits, "_N_JITTERS", 9)  # so many that the largest of them is no accident
    engine = engine_of(in_bfloat16(family))
    report = export(engine, tmp_path / "adapter")
    assert report.notes[0].startswith("rounding in bfloat16 alone moves the patch's logits")
    assert 0.01 < report.tolerance < 0.25, "a hundredth of the logits is three units of the last place"
    assert report.largest_difference < report.tolerance * report.logit_scale
    spoilt(lambda adapter: _with_b(adapter, 2.0))
    with pytest.raises(EngineError, match="logits miss the patch's"):
        export(engine, tmp_path / "other")


def test_a_patch_that_rounding_hides_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        reference_logits, "_ALLOWED", 100.0
    )  # times what rounding does: it hides all of the patch
    with pytest.raises(
        BadInput, match=r"rounding in bfloat16 alone moves .* generate it with --dtype float32"
    ):
        export(engine_of(tiny("llama", torch.bfloat16)), tmp_path / "adapter")
    assert list(tmp_path.iterdir()) == []
    export(engine_of(tiny("llama", torch.float32)), tmp_path / "adapter")


# What is not the patch is never kept.


@pytest.fixture
def spoilt(monkeypatch):
    """Export with what is written changed on the way."""

    def spoil(change):
        make = export_patch.make_adapter
        monkeypatch.setattr(export_patch, "make_adapter", lambda *args: change(make(*args)))

    return spoil


def _with_b(made_adapter, factor):
    for name, tensor in made_adapter.tensors.items():
        if "lora_B" in name:
            tensor *= factor
    return made_adapter


def refused(engine, tmp_path, error, words, **changes):
    """Nothing is left behind, and the engine goes on as if nothing had been."""
    before = logits(engine.loaded)
    with pytest.raises(error, match=words):
        export(engine, tmp_path / "adapter", **changes)
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(logits(engine.loaded), before)


def test_a_wrong_prefix_of_which_peft_would_load_zeros_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(peft, "PREFIX", "model.")
    refused(engine_of(model_of("llama")), tmp_path, EngineError, "PEFT leaves model.model.layers.* aside")


def test_an_adapter_that_does_nothing_is_caught(tmp_path, spoilt):
    spoilt(lambda adapter: _with_b(adapter, 0.0))
    refused(engine_of(model_of("llama")), tmp_path, EngineError, "does nothing where the patch does")


def test_an_adapter_that_does_something_else_is_caught(tmp_path, spoilt):
    spoilt(lambda adapter: _with_b(adapter, 1.01))
    refused(
        engine_of(model_of("llama")), tmp_path, EngineError, "logits miss the patch's by .*nothing was kept"
    )


def test_an_adapter_that_peft_refuses_is_caught(tmp_path, spoilt):
    def without_targets(made_adapter):
        made_adapter.config["target_modules"] = ["nowhere"]
        return made_adapter

    spoilt(without_targets)
    refused(engine_of(model_of("llama")), tmp_path, EngineError, "PEFT cannot load the adapter: .*nowhere")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe": Recipe()}, "a patch per step is made anew for every token.*--mode frozen or compiled"),
        (
            {"fingerprint": "0123"},
            "belongs to other weights .fingerprint 0123, those of 'llama' have .*generate it",
        ),
        (
            {"recipe": Recipe(mode="frozen", carrier="bias")},
            "cannot hold the shift as a constant: give --comp",
        ),
        ({"recipe": Recipe(mode="frozen", alpha=3.0)}, "alpha 3 is out of range"),
        ({"path": ""}, "no place to write to: give -o"),
        ({"layers": "9"}, "out of range"),
    ],
)
def test_bad_requests_are_refused(changes, words, tmp_path):
    refused(engine_of(model_of("llama")), tmp_path, BadInput, words, **changes)


def test_a_patch_of_which_nothing_can_be_carried_is_refused(tmp_path):
    recipe = Recipe(mode="frozen", components="shift")
    refused(
        engine_of(model_of("gemma3")),
        tmp_path,
        BadInput,
        "as something, such as a norm, follows",
        recipe=recipe,
    )


def test_a_place_that_is_taken_or_not_there_is_refused(tmp_path):
    engine = engine_of(model_of("llama"))
    (tmp_path / "taken").mkdir()
    with pytest.raises(BadInput, match="exists already: give -o another name"):
        export(engine, tmp_path / "taken")
    with pytest.raises(BadInput, match="its folder is not there: make it first"):
        export(engine, tmp_path / "no" / "adapter")
    assert list((tmp_path / "taken").iterdir()) == []


def test_without_peft_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(peft_check, "find_spec", lambda _name: None)
    refused(
        engine_of(model_of("llama")), tmp_path, ModelError, r"needs peft.*: pip install 'icltui\[export\]'"
    )


# A model that was loaded is loaded anew, its old self gone before.


@pytest.fixture
def from_disk(tmp_path):
    """An engine that loaded its model from a folder."""
    folder = tmp_path / "model"
    make_tiny("llama", torch.float32).model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    engine = LocalEngine()
    list(engine.run(LoadModel(model=str(folder), device="cpu"), lambda: False))
    return engine


def test_a_loaded_model_makes_room_for_the_fresh_one_and_that_one_stays(from_disk, tmp_path, monkeypatch):
    before, first = logits(from_disk.loaded), weakref.ref(from_disk.loaded.model)
    load, seen = local.load, []

    def watched(request, make_room):
        def look():
            make_room()
            gc.collect()
            seen.append(first())

        return load(request, look)

    monkeypatch.setattr(local, "load", watched)
    report = export(from_disk, tmp_path / "adapter")
    assert seen == [None], "two models would not fit beside each other"
    assert report.largest_difference < 1e-4 * report.logit_scale
    assert torch.equal(logits(from_disk.loaded), before)
    assert hooks_left(from_disk.loaded.model) == 0
    assert not [name for name, _ in from_disk.loaded.model.named_modules() if "lora" in name]
    assert {site.mlp for site in from_disk.loaded.sites} <= set(from_disk.loaded.model.modules())


def test_a_failure_costs_no_model(from_disk, tmp_path, spoilt):
    """Even where PEFT gives up half-way, with some of the model's modules replaced."""

    def with_a_target_that_peft_cannot_adapt(made_adapter):
        made_adapter.config["target_modules"].append("model.norm")
        return made_adapter

    before = logits(from_disk.loaded)
    spoilt(with_a_target_that_peft_cannot_adapt)
    with pytest.raises(EngineError, match="PEFT cannot load the adapter: ValueError"):
        export(from_disk, tmp_path / "adapter")
    list(from_disk.run(Measure(prompt=PROMPT), lambda: False))
    assert torch.equal(logits(from_disk.loaded), before)
    assert not [name for name, _ in from_disk.loaded.model.named_modules() if "lora" in name]


@pytest.mark.parametrize(
    "stage", ["making the patch", "loading", "proving the patch on it", "reading the adapter back"]
)
def test_stopped_at_any_stage_it_leaves_nothing_and_the_next_job_has_its_model(from_disk, tmp_path, stage):
    seen = []
    request = Export(prompt=PROMPT, recipe=FROZEN, path=str(tmp_path / "adapter"))
    for event in from_disk.run(request, lambda: bool(seen) and seen[-1].startswith(stage)):
        seen.append(event.stage if isinstance(event, Progress) else type(event).__name__)
    assert seen[-1].startswith(stage)
    gc.collect()
    for thread in threading.enumerate():
        if thread.name in ("background", "when idle"):
            thread.join(60)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert isinstance(list(from_disk.run(Measure(prompt=PROMPT), lambda: False))[-1], MeasureEnded)
