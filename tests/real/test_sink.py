"""An attention sink: where it is, what is kept against it, what reports say of it, what a kept token is worth."""

import json

import msgspec
import pytest
import torch

from icltui.api import run_to_result
from icltui.api.messages import Generate, Measure, Verify
from icltui.report.generate import generate_json, generate_text
from icltui.report.measure_json_csv import measure_json
from icltui.report.measure_tables import measure_table
from icltui.report.verify import verify_json, verify_table
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.real.conftest import CAPITALS, CODE

pytestmark = pytest.mark.real
START = "<|im_start|>"
"""What the file names as the token to begin with."""
LABELS = "".join(
    f"{word}: {label}\n"
    for word, label in {
        "apple": "fruit",
        "carrot": "vegetable",
        "rose": "flower",
        "oak": "tree",
        "salmon": "fish",
        "eagle": "bird",
    }.items()
)
FITTED = ("pear:", "potato:", "lily:", "maple:")
OTHERS = ("cabbage:", "orchid:")


@pytest.mark.parametrize("dtype", ["engine", "half"])
@pytest.mark.parametrize("text", [CAPITALS.context, CODE.context], ids=["capitals", "code"])
@torch.no_grad()
def test_the_first_position_of_any_text_is_a_sink(text, dtype, request):
    """By residual norms of a plain forward pass: the named layers show it, each more than every other layer."""
    engine = request.getfixturevalue(dtype)
    sink, ratios = engine.info.sink, []

    def compare(_, args):
        lengths = args[0][0].float().norm(dim=-1)
        ratios.append(float(lengths[0] / lengths[1:].median()))

    norms = [block.post_attention_layernorm for block in engine.loaded.model.model.layers]
    hooks = [norm.register_forward_pre_hook(compare) for norm in norms]
    engine.loaded.model(torch.tensor([engine.loaded.tokenizer(text).input_ids]))
    for hook in hooks:
        hook.remove()
    named = [ratios[layer] for layer in sink.layers]
    others = [ratio for layer, ratio in enumerate(ratios) if layer not in sink.layers]
    assert sink.position == 0
    assert min(named) >= 10
    assert min(named) > max(others)
    assert max(named) == pytest.approx(sink.ratio, rel=0.2)


@torch.no_grad()
def test_later_tokens_attend_to_it(engine):
    """By the weights of attention, which the model's slow kernel gives: more than to all other tokens together."""
    row = torch.tensor([engine.loaded.tokenizer(CAPITALS.context).input_ids])
    model, kernel = engine.loaded.model, engine.loaded.model.config._attn_implementation
    try:
        model.set_attn_implementation("eager")
        attention = model(row, output_attentions=True).attentions[20][0]
    finally:
        model.set_attn_implementation(kernel)
    assert attention.sum(-1).allclose(torch.ones(()))
    assert float(attention[:, 1:, 0].mean()) > 0.5


def runs(engine, prompt):
    """The three reports as documents for scripts and as text for people."""
    info, layers = engine.info, "20,29"
    measured = run_to_result.measure(engine, Measure(prompt=prompt, layers=layers))
    proof = run_to_result.verify(engine, Verify(prompt=prompt, layers=layers))
    made = run_to_result.generate(engine, Generate(prompt=prompt, layers=layers, n_tokens=1))
    documents = (
        measure_json(info, prompt, measured),
        verify_json(info, prompt, proof),
        generate_json(info, prompt, made),
    )
    texts = (
        measure_table(info, prompt, measured, 500),
        verify_table(info, proof, 500),
        generate_text(info, made, 500),
    )
    return [json.loads(document) for document in documents], texts


def test_auto_keeps_one_token_and_every_report_says_so(engine):
    documents, texts = runs(engine, CAPITALS)
    for document in documents:
        assert [token["text"] for token in document["kept_prefix"]] == [START]
        assert document["sink"]["position"] == 0
    for text in texts:
        assert f"kept before the text in both runs: {START}" in text
        assert "warning" not in text


def test_with_nothing_kept_every_report_warns(engine):
    documents, texts = runs(engine, msgspec.structs.replace(CAPITALS, bos="never"))
    for document in documents:
        assert (document["kept_prefix"], document["sink"]["position"]) == ([], 0)
    for text in texts:
        assert "warning: nothing is kept before the text" in text


def test_a_compiled_patch_carries_over_with_a_kept_token_alone(engine):
    """Mean KL on queries that it is not fitted on, over that without a patch: see the manual, *models*."""
    recipe = Recipe(mode="compiled", queries=FITTED, n_fitted=1, ridge=0.01)
    worth = {}
    for bos in ("auto", "never"):
        prompt = Prompt(context=LABELS, query=OTHERS[0], bos=bos)
        made = run_to_result.generate(
            engine, Generate(prompt=prompt, recipe=recipe, n_tokens=1, lanes=("patched",), holdout=OTHERS[1:])
        )
        other = next(test for test in made.patch.tests if test.what == "other queries")
        assert other.n_tokens == 2 * len(OTHERS)
        assert other.kl_plain > 1, "there is something to be won"
        worth[bos] = other.kl / other.kl_plain
    assert worth["auto"] < 0.5 < 0.8 < worth["never"], worth
