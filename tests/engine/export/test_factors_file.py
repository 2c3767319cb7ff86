"""The factors' file: all that a held patch is, on which model, and from what it was made."""

from dataclasses import replace

import msgspec
import pytest
import torch
from safetensors import safe_open

from icltui import __version__
from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.low_rank_map import LowRank
from icltui.engine.patch.patch import HeldPatch, LayerPatch
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe
from tests.engine.dense_reference import DenseModel
from tests.engine.export.exporting import COMPILED, FROZEN, build_here, engine_of, export, model_of
from tests.engine.small_models import FAMILIES

TO = {"format": "factors"}


def read(path):
    """Tensors of each layer by name, and the metadata."""
    with safe_open(path, "pt") as file:
        layers = {}
        for key in file.keys():  # noqa: SIM118 -- it is no dict
            _, layer, name = key.split(".", 2)
            layers.setdefault(int(layer), {})[name] = file.get_tensor(key)
        return layers, file.metadata()


def patch_of(sites, layers, alpha):
    """The held patch that the file is."""

    def map_(found, name):
        read_ = found.get(f"{name}.read")
        return None if read_ is None else LowRank(read_, found[f"{name}.write"])

    held = {
        layer: LayerPatch(map_(found, "weights"), map_(found, "output"), found.get("bias"))
        for layer, found in layers.items()
    }
    return HeldPatch(sites, held, alpha)


@pytest.mark.parametrize(
    ("family", "recipe"),
    [
        ("llama", FROZEN),
        ("gpt2", COMPILED),
        ("mixtral", COMPILED),
        ("qwen3", Recipe(mode="frozen", components="shift", carrier="bias", alpha=0.5)),
        ("qwen3", Recipe(mode="compiled", n_fitted=3, control="shuffled", components="weights")),
        ("qwen3", Recipe(mode="frozen", control="random", seed=3)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.mode}-{value.components}-{value.control}",
)
def test_the_file_is_the_patch_to_the_bit(family, recipe, tmp_path):
    loaded = model_of(family)
    report = export(engine_of(loaded), tmp_path / "factors.safetensors", recipe=recipe, **TO)
    layers, metadata = read(tmp_path / "factors.safetensors")
    # In memory as torch lays it out: some kernels give other last bits where numbers begin elsewhere, as in the file.
    layers = {layer: {name: part.clone() for name, part in parts.items()} for layer, parts in layers.items()}
    assert report.n_tensors == sum(map(len, layers.values()))
    with torch.no_grad():
        built = build_here(loaded, recipe)
        ours = patch_of(loaded.sites, layers, float(metadata["alpha"]))
        wanted = patched_logits(built, built.own)
        got = patched_logits(replace(built, patch=ours, alpha=ours.alpha), built.own)
    assert torch.equal(got, wanted)


def test_it_tells_model_recipe_and_format(tmp_path):
    engine = engine_of(model_of("llama"))
    export(engine, tmp_path / "factors.safetensors", recipe=COMPILED, layers="0,2", **TO)
    layers, metadata = read(tmp_path / "factors.safetensors")
    assert msgspec.json.decode(metadata.pop("recipe"), type=Recipe) == COMPILED
    assert metadata == {
        "format": "1",
        "icltui": __version__,
        "model": "llama",
        "fingerprint": engine.info.fingerprint,
        "alpha": "1.0",
        "layers": "0,2",
    }
    assert sorted(layers) == [0, 2]
    assert {name: tuple(tensor.shape) for name, tensor in layers[2].items()} == {
        "z": (7, 24),
        "dz": (7, 24),
        "delta": (7, 24),
        "g": (7, 40),
        "weights.read": (7, 24),
        "weights.write": (24, 7),
        "output.read": (7, 40),
        "output.write": (24, 7),
    }


def test_what_it_was_made_from_is_what_plain_hooks_see(tmp_path):
    """At the lowest layer, below which nothing acts."""
    loaded = model_of("llama")
    export(engine_of(loaded), tmp_path / "factors.safetensors", recipe=COMPILED, **TO)
    found = read(tmp_path / "factors.safetensors")[0][0]
    own = build_here(loaded, COMPILED).own
    fitted = [*own.ids.query, *own.continuation[:3]]
    dense = DenseModel(loaded.model, FAMILIES["llama"])
    with torch.no_grad():
        z_there, v_there, _ = dense.run([*own.ids.prefix, *own.ids.context, *fitted], 0)
        z, v, _ = dense.run([*own.ids.prefix, *fitted], 0)
    at = slice(-len(fitted), None)
    for name, wanted in (("z", z[at]), ("dz", z_there[at] - z[at]), ("delta", v_there[at] - v[at])):
        assert torch.allclose(found[name], wanted, atol=1e-5), name
    assert torch.allclose(
        found["z"] @ found["weights.read"].T @ found["weights.write"].T, found["dz"], atol=1e-4
    )
    assert torch.allclose(
        found["g"] @ found["output.read"].T @ found["output.write"].T, found["delta"], atol=1e-4
    )


def test_a_patch_per_step_and_a_file_that_is_there_are_refused(tmp_path):
    engine = engine_of(model_of("llama"))
    with pytest.raises(BadInput, match="a patch per step"):
        export(engine, tmp_path / "factors.safetensors", recipe=Recipe(), **TO)
    (tmp_path / "factors.safetensors").write_text("mine")
    with pytest.raises(BadInput, match="exists already"):
        export(engine, tmp_path / "factors.safetensors", **TO)
    assert (tmp_path / "factors.safetensors").read_text() == "mine"
