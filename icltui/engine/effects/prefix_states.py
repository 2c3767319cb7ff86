"""What a patch of the context up to a unit aims at: the states of all of the query's tokens after that much context.

Enters: a prompt's tokens. Leaves: z and v of the query's tokens after the first i units, and the logits there. The
context runs once with a cache, where the model can continue any part of it; else it runs again for each unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture, States
from icltui.engine.hooks.site import Site
from icltui.engine.measure.context_cache import extend, first_tokens
from icltui.engine.measure.forward_pass import KVCache, forward, position_ids, token_row
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids
from icltui.values import Path
from icltui.values.prompt import Positions


@dataclass(frozen=True)
class PrefixStates:
    """The query after any number of a context's units."""

    loaded: LoadedModel
    sites: Sequence[Site]
    ids: Ids
    positions: Positions
    path: Path
    """``packed``: the model continues any part of one cache."""

    def after(self, unit: int) -> tuple[Float[Tensor, " vocabulary"], States]:
        """Logits after the query, and the states of its tokens, where only the first ``unit`` units are before it."""
        ids, q = self.ids, len(self.ids.query)
        gap = ids.ends[unit], ids.ends[-1]
        at = position_ids(ids, gap, self.positions)
        cache, row = None, token_row(ids, gap)
        if self.path == "packed":
            cache, row, at = first_tokens(self._context, len(ids.prefix) + gap[0]), list(ids.query), at[-q:]
        with attach(self.sites, capture := Capture(torch.arange(-q, 0))):
            logits = forward(self.loaded.model, row, cache, position_ids=at)
        return logits, capture.states()

    @cached_property
    def _context(self) -> KVCache:
        """All that is before the query; without a config the cache keeps its full length in sliding windows, too."""
        cache = KVCache(DynamicCache())
        extend(self.loaded.model, cache, [*self.ids.prefix, *self.ids.context])
        return cache
