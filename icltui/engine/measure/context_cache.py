"""The context's key-value cache, as far as some copies of the query see it; they continue it side by side.

Enters: the cache of the context, and a number of tokens. Leaves: a cache of these tokens alone, in views, which never
grows: what is added to it is handed to the layer that adds it, and to nobody after that. So no copy is another's past,
nothing has to be dropped, and a layer's keys and values are in memory twice only while that layer works.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from icltui.engine.hooks.out_of_memory import run_as_fits
from icltui.engine.measure.forward_pass import KVCache, forward

States = Float[Tensor, "1 heads _tokens _width"]


class _FixedLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped
    """The first ``length`` keys and values of a layer."""

    def __init__(self, layer: DynamicLayer, length: int) -> None:
        super().__init__()
        self.keys, self.values = layer.keys[..., :length, :], layer.values[..., :length, :]
        self.dtype, self.device, self.is_initialized = layer.dtype, layer.device, True

    def update(
        self, key_states: States, value_states: States, *_: object, **__: object
    ) -> tuple[States, States]:
        """All keys and values that the new tokens see, which are kept nowhere."""
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


def extend(model: Any, cache: KVCache, tokens: Sequence[int]) -> None:
    """Run ``tokens`` after those in ``cache``, as many at once as the memory suffices for."""
    size = len(tokens)
    while tokens:
        length, left = cache.length, tokens

        def feed(n: int, left: Sequence[int] = left) -> None:
            forward(model, left[:n], cache)

        def undo(length: int = length) -> None:
            cache.restore(length)

        _, size = run_as_fits(feed, min(size, len(tokens)), "tokens of the context", undo)
        tokens = tokens[size:]


def first_tokens(cache: KVCache, length: int) -> KVCache:
    """The first ``length`` tokens of ``cache``, to be continued any number of times; ``cache`` stays as it is."""
    fixed = DynamicCache()
    # A layer that uses another layer's keys and values has none of its own.
    fixed.layers = [_FixedLayer(of, length) if of.is_initialized else of for of in cache.value.layers]
    return KVCache(fixed, length)
