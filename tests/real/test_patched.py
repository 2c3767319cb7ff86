"""A patch in a user's model with trained weights: what the model's own generate says through it."""

import pytest
import torch

import icltui
from icltui.engine.local import LocalEngine
from tests.real.conftest import CAPITALS

pytestmark = pytest.mark.real


@torch.no_grad()
def test_frozen_and_compiled_patches_equal_the_context_where_they_are_made(engine: LocalEngine) -> None:
    assert engine.loaded is not None
    model, tokenizer = engine.loaded.model, engine.loaded.tokenizer
    how = {"max_new_tokens": 4, "do_sample": False}
    texts = CAPITALS.context, CAPITALS.query
    for options in ({"mode": "frozen"}, {"mode": "compiled", "n_fitted": 4}):
        patch = icltui.patched(model, tokenizer, *texts, **options)
        wanted, plain = model(**patch.inputs_with_context).logits[0, -1], model(**patch.inputs).logits[0, -1]
        n, n_whole = (row["input_ids"].shape[1] for row in (patch.inputs, patch.inputs_with_context))
        with patch:
            error = float((model(**patch.inputs).logits[0, -1] - wanted).abs().max())
            said = model.generate(**patch.inputs, **how)[0, n:]
        assert error <= 20 * patch.noise
        assert error < 1e-3 * float((plain - wanted).abs().max())
        assert torch.equal(model(**patch.inputs).logits[0, -1], plain)
        assert torch.equal(patch.inputs["input_ids"], tokenizer(texts[1], return_tensors="pt")["input_ids"])
        lanes = icltui.generate(model, tokenizer, *texts, **options, bos="never", n_tokens=4).lanes
        assert tuple(said.tolist()) == lanes["patched"].token_ids
        if patch.recipe.mode == "compiled":
            assert torch.equal(said, model.generate(**patch.inputs_with_context, **how)[0, n_whole:])
