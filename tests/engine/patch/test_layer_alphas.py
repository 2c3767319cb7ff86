"""A layer's own strength multiplies its patch alone, in every mode, and what is exported carries it."""

import pytest
import torch
from msgspec.structs import replace as with_changes
from safetensors.torch import load_file

from icltui.api.messages import Export, Generate, GenerationEnded, PatchTested
from icltui.api.option_table import check_options
from icltui.api.progress_callback import ignore_progress
from icltui.engine.generate.generate import make_decoder
from icltui.engine.generate.last_patch import LastPatch
from icltui.engine.local import LocalEngine
from icltui.engine.patch.build import BuiltPatch, PatchSpec, build_patch
from icltui.engine.patch.evaluate import tokens_to_test
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, strengths_of
from tests.engine.small_models import make_tiny, tiny

IDS = Ids((1,), (5, 9, 2, 77), (30, 4, 81), (0, 1, 2, 3, 4))
PROMPT = Prompt(context="abcd", query="ef")
MODES = [
    Recipe(),
    Recipe(mode="frozen"),
    Recipe(mode="frozen", carrier="bias", alpha=0.7),
    Recipe(mode="compiled", n_fitted=2, ridge=1e-3),
]


def spec(recipe: Recipe) -> PatchSpec:
    loaded = tiny("llama")
    return PatchSpec(loaded, loaded.sites, IDS, "reset", recipe)


def asked(recipe: Recipe, **options):
    loaded = tiny("llama")
    request = Generate(prompt=PROMPT, recipe=recipe, n_tokens=3, **options)
    events = list(LocalEngine(loaded, loaded.describe("packed")).run(request, lambda: False))
    made = next(event.generation for event in events if isinstance(event, GenerationEnded))
    return made.fit["patched"], [event.patch for event in events if isinstance(event, PatchTested)]


@pytest.mark.parametrize("recipe", MODES)
def test_all_layers_at_one_strength_are_that_strength_of_all(recipe):
    half = with_changes(recipe, alpha=recipe.alpha / 2)
    each = with_changes(recipe, layer_alphas="0=0.5,1=0.5,2=0.5")
    ours, theirs = asked(each)[0], asked(half)[0]
    assert ours.mse == pytest.approx(theirs.mse, rel=1e-5)
    assert ours.kl == pytest.approx(theirs.kl, rel=1e-4)
    assert asked(recipe)[0].mse != pytest.approx(theirs.mse, rel=1e-2)


@torch.no_grad()
@pytest.mark.parametrize(("alpha", "text"), [(1.0, "1=0.3"), (0.7, "0=0.5,2=1.6"), (1.3, "0=0,1=0")])
def test_per_step_each_layer_goes_its_own_share_of_the_way(alpha, text):
    """Against hooks on whole modules: z + a (z_C - z) into the MLP, and a (v_C - v) onto the block's output."""
    asked = spec(Recipe(alpha=alpha, layer_alphas=text))
    ours = make_decoder([asked], BuiltPatch(asked, alpha=alpha), "patched").prefill()[0]
    shares = {layer: alpha * strengths_of(text).get(layer, 1.0) for layer in range(3)}
    model, q = asked.loaded.model, len(IDS.query)
    seen, missing, handles = {}, {}, []

    def keep(layer, inputs, z):
        seen[layer] = inputs[0][:, -q:].clone(), z[:, -q:].clone()

    def go(layer, inputs, z):
        v_context, z_context = seen[layer]
        missing[layer] = shares[layer] * (v_context - inputs[0][:, -q:])
        z = z.clone()
        z[:, -q:] += shares[layer] * (z_context - z[:, -q:])
        return z

    def add(layer, output):
        output = output[0] if isinstance(output, tuple) else output
        output[:, -q:] += missing[layer]

    blocks = model.model.layers
    for layer, block in enumerate(blocks):
        norm = block.post_attention_layernorm
        handles.append(norm.register_forward_hook(lambda _, args, z, n=layer: keep(n, args, z)))
    model(torch.tensor([IDS.full]), use_cache=False)
    for layer, block in enumerate(blocks):
        handles.pop(0).remove()
        norm = block.post_attention_layernorm
        handles.append(norm.register_forward_hook(lambda _, args, z, n=layer: go(n, args, z)))
        handles.append(block.register_forward_hook(lambda _, __, out, n=layer: add(n, out)))
    try:
        theirs = model(torch.tensor([IDS.plain]), use_cache=False).logits[0, -1]
    finally:
        for handle in handles:
            handle.remove()
    torch.testing.assert_close(ours, theirs.to(ours), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_a_layer_at_zero_adds_nothing_and_the_others_stay():
    whole = build_patch(spec(MODES[3]))
    less = build_patch(spec(with_changes(MODES[3], layer_alphas="1=0")))
    x = torch.randn(4, 32, dtype=torch.float64)
    for layer, part in less.patch.layers.items():
        theirs = whole.patch.layers[layer].weights(x[:, : part.weights.read.shape[1]])
        assert torch.equal(
            part.weights(x[:, : part.weights.read.shape[1]]), 0 * theirs if layer == 1 else theirs
        )


@torch.no_grad()
def test_a_constant_shift_has_its_layers_strength_too():
    recipe = Recipe(mode="frozen", carrier="bias")
    whole, less = (
        build_patch(spec(with_changes(recipe, layer_alphas=text))).patch for text in ("", "1=0.25")
    )
    for layer, part in less.layers.items():
        share = 0.25 if layer == 1 else 1.0
        torch.testing.assert_close(part.bias, share * whole.layers[layer].bias, rtol=0, atol=0)
        torch.testing.assert_close(part.weights.write, share * whole.layers[layer].weights.write)
        assert part.output is None


@torch.no_grad()
def test_the_patch_is_not_built_again_for_it():
    last = LastPatch()
    first = last.build(spec(MODES[3]), ignore_progress)
    tokens = last.test_tokens(first, ignore_progress)
    other = last.build(spec(with_changes(MODES[3], layer_alphas="0=0.3,2=1.4")), ignore_progress)
    assert other.fitted is first.fitted
    assert last.test_tokens(other, ignore_progress) is tokens
    fresh = build_patch(other.spec)
    for layer, part in other.patch.layers.items():
        assert torch.equal(part.weights.write, fresh.patch.layers[layer].weights.write)
        assert torch.equal(part.output.write, fresh.patch.layers[layer].output.write)
    assert last.build(spec(MODES[3]), ignore_progress).patch is first.patch
    assert tokens_to_test(other).parts.keys() == tokens.parts.keys()


@pytest.mark.parametrize(
    "text", ["0=2.5", "0=-0.1", "0=nan", "0=0.5;1=0.6", "0", "=1", "-1=1", "99999=1", "0=1e0"]
)
def test_a_strength_that_cannot_be_is_refused(text):
    with pytest.raises(BadInput, match="strength"):
        check_options(Recipe(layer_alphas=text))


def test_a_layer_that_the_model_lacks_is_refused():
    with pytest.raises(BadInput, match="this model has layers 0 to 2"):
        asked(Recipe(layer_alphas="3=0.5"))


def test_an_adapter_carries_it(tmp_path):
    """It is read back into an untouched model and compared with the patch; its B has each layer's share."""
    written = {}
    for text in ("", "1=0.25"):
        loaded = make_tiny("llama")
        path = tmp_path / f"a{text}"
        recipe = Recipe(mode="frozen", layer_alphas=text)
        request = Export(prompt=PROMPT, recipe=recipe, format="peft", path=str(path))
        *_, ended = LocalEngine(loaded, loaded.describe("packed")).run(request, lambda: False)
        assert ended.report.largest_difference < 1e-4
        written[text] = load_file(path / "adapter_model.safetensors")
    for name, whole in written[""].items():
        if "lora_B" in name:
            share = 0.25 if ".layers.1." in name else 1.0
            torch.testing.assert_close(written["1=0.25"][name], share * whole)


def test_factors_which_are_of_strength_1_are_refused(tmp_path):
    loaded = tiny("llama")
    recipe = Recipe(mode="frozen", layer_alphas="0=0.5")
    request = Export(prompt=PROMPT, recipe=recipe, format="factors", path=str(tmp_path / "f.safetensors"))
    with pytest.raises(BadInput, match="factors are of layers at strength 1"):
        list(LocalEngine(loaded, loaded.describe("packed")).run(request, lambda: False))
