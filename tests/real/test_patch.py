"""What a patch says and what leaves the program: text for text, token for token, adapter against patch."""

import msgspec
import pytest
import torch
from peft import PeftModel

from icltui.api import run_to_result
from icltui.api.messages import Export, Generate
from icltui.values.recipe import Recipe
from tests.real.conftest import CAPITALS, PROMPTS

pytestmark = pytest.mark.real
KEPT = msgspec.structs.replace(CAPITALS, bos="always")
"""With a kept first token, without which the query's own first token is the attention sink."""


@pytest.mark.parametrize(("name", "dtype"), [*((name, "engine") for name in PROMPTS), ("capitals", "half")])
def test_a_patch_per_step_says_what_the_context_says(name, dtype, request):
    n_tokens = {"engine": 8, "half": 4}[dtype]  # of those in bfloat16 each takes as long as eight
    made = run_to_result.generate(
        request.getfixturevalue(dtype), Generate(prompt=PROMPTS[name], n_tokens=n_tokens)
    )
    assert made.lanes["patched"].token_ids == made.lanes["context"].token_ids
    assert made.lanes["plain"].token_ids != made.lanes["context"].token_ids, "else an empty patch would do"
    assert made.agreement["patched"].first_difference is None


@pytest.mark.parametrize("bos", ["never", "always"])
def test_a_compiled_patch_is_exact_on_its_tokens(bos, engine):
    prompt = msgspec.structs.replace(CAPITALS, bos=bos)
    made = run_to_result.generate(engine, Generate(prompt=prompt, recipe=Recipe(mode="compiled"), n_tokens=4))
    fitted = next(test for test in made.patch.tests if test.what == "fitted tokens")
    assert fitted.n_tokens > 8
    assert fitted.equal == fitted.n_tokens > fitted.equal_plain
    assert fitted.kl < 1e-4 * fitted.kl_plain
    assert len(made.patch.layers) == 30
    for fit in made.patch.layers:
        # ε√κ of what least squares leaves of float32
        assert fit.error <= 1e-6 * max(1.0, fit.condition) ** 0.5 * 10


@pytest.mark.parametrize("mode", ["frozen", "compiled"])
def test_an_adapter_for_peft_does_what_the_patch_does(mode, engine, tmp_path):
    recipe = Recipe(mode=mode, n_fitted=4)
    folder = tmp_path / "adapter"
    report = run_to_result.export(engine, Export(prompt=KEPT, recipe=recipe, path=str(folder)))
    assert report.largest_difference < 1e-4 * report.logit_scale < report.largest_effect
    assert report.left_out == ()
    assert report.kl_exported < 1e-4
    ids = run_to_result.generate(engine, Generate(prompt=KEPT, lanes=("context",), n_tokens=1)).ids
    model, row = engine.loaded.model, torch.tensor([[*ids.prefix, *ids.query]])
    with torch.no_grad():
        context = model(torch.tensor([[*ids.prefix, *ids.context, *ids.query]])).logits[0, -1].log_softmax(-1)
        before = model(row).logits
        adapted = PeftModel.from_pretrained(model, folder)
        try:
            after = adapted(row).logits[0, -1].log_softmax(-1)
        finally:
            adapted.unload()
        assert torch.equal(model(row).logits, before)
    plain = before[0, -1].log_softmax(-1)
    kl, kl_plain = (float((context.exp() * (context - other)).sum()) for other in (after, plain))
    assert kl < 1e-3 * kl_plain
