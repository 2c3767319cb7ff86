"""A patch in a user's model on tiny random models of the families that differ most."""

import pytest
import torch

from icltui.notebook.patched import patched
from icltui.zoo.families import SITE_PATHS
from icltui.zoo.tiny_model import build, members
from tests.engine.small_models import make_tokenizer

CONTEXT, QUERY = "the sky is green. ", "the sky is"
FAMILIES = (
    *(
        "apertus",
        "bloom",
        "cohere",
        "cohere2",
        "deepseek_v3",
        "exaone4",
        "falcon",
        "falcon-sequential",
        "gemma",
    ),
    *(
        "gemma2",
        "gemma3_text",
        "glm4",
        "gpt2",
        "gpt_bigcode",
        "gpt_neo",
        "gpt_neox",
        "gpt_oss",
        "gptj",
        "granite",
    ),
    *(
        "granitemoe",
        "llama",
        "llama4_text",
        "mistral",
        "mixtral",
        "modernbert-decoder",
        "mpt",
        "nemotron",
        "olmo2",
    ),
    *("olmoe", "opt", "persimmon", "phi", "phi3", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next"),
    *("smollm3", "stablelm", "stablelm-parallel", "starcoder2"),
)


@pytest.mark.zoo
@pytest.mark.parametrize("family", [name for name in FAMILIES if name in members()])
@torch.no_grad()
def test_it_says_what_a_plain_pass_says_alone_and_in_a_batch(family):
    model, tokenizer = build(family), make_tokenizer()
    sites = SITE_PATHS.get(family)
    patch = patched(model, tokenizer, CONTEXT, QUERY, sites=sites)
    row = patch.inputs["input_ids"]
    wanted, plain = model(patch.inputs_with_context["input_ids"]).logits[0, -1], model(row).logits
    with patch:
        got = model(row).logits
        batch = model(row.repeat(3, 1)).logits
    with patched(model, tokenizer, CONTEXT, QUERY, sites=sites, control="random"):
        random = model(row).logits[0, -1]
    scale = float(wanted.abs().max())
    error = float((got[0, -1] - wanted).abs().max())
    assert torch.equal(model(row).logits, plain)
    assert error <= 5e-5 * scale + 2 * patch.noise
    assert float((batch[:, -1] - wanted).abs().max()) <= 5e-5 * scale + 2 * patch.noise
    if len(patch.layers) == patch.model_info.n_layers:
        away = min(float((plain[0, -1] - wanted).abs().max()), float((random - wanted).abs().max()))
        assert away > 100 * error
