"""A cache that many continue and none changes."""

import torch
from transformers import DynamicCache

from icltui.engine.measure.context_cache import first_tokens
from icltui.engine.measure.forward_pass import KVCache, forward
from tests.engine.small_models import tiny

ROW = [7, 11, 13, 17, 19, 23]


def test_first_tokens_are_continued_as_if_there_were_no_others():
    model = tiny("llama").model
    cache = KVCache(DynamicCache())
    with torch.inference_mode():
        forward(model, ROW, cache)
        before = [layer.keys.clone() for layer in cache.value.layers]
        for length in (0, 2, 6, 2):  # again after others have gone on from it
            alone = forward(model, [*ROW[:length], 5, 3])
            fixed = first_tokens(cache, length)
            for _ in range(2):
                fixed.length = length
                torch.testing.assert_close(forward(model, [5, 3], fixed), alone, rtol=0, atol=1e-6)
    assert cache.length == len(ROW)
    assert all(torch.equal(a, layer.keys) for a, layer in zip(before, cache.value.layers, strict=True))
