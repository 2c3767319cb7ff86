"""Rows of tokens after one context, which runs once.

Enters: a loaded model and a prompt. Leaves: logits after any text that follows the prompt's context, and tokens that
the model writes there. Each row continues a copy of the context's key-value cache.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from dataclasses import replace as with_

import torch
from jaxtyping import Float
from msgspec.structs import replace
from torch import Tensor

from icltui.engine.generate.sampling import Sampler
from icltui.engine.measure.forward_pass import KVCache, forward
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.decoding import stop_tokens
from icltui.engine.prompts.prompt_check import check_known, check_length
from icltui.engine.prompts.tokenize import Ids, tokenize
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt


@dataclass
class ContextReader:
    """The context of ``prompt``; its query does not count."""

    loaded: LoadedModel
    prompt: Prompt
    start: tuple[int, ...] = ()
    """The row of tokens that is in ``cache``."""
    cache: KVCache = field(default_factory=KVCache)
    last: Float[Tensor, " vocabulary"] | None = None
    """Logits after that row."""

    def ids(self, query: str, n_more: int = 0) -> Ids | None:
        """The tokens of the context and ``query``; None where there is no room for them and ``n_more``.

        Raises:
            BadInput: the context alone cannot be read.
        """
        ids, _ = tokenize(self.loaded, replace(self.prompt, query=query))
        check_known(self.loaded, ids)
        try:
            check_length(self.loaded, ids, n_more)
        except BadInput:
            return None
        return ids

    def before(self, query: str, more: Sequence[int] = (), n_more: int = 0) -> Ids:
        """The tokens of the context and ``query``, which may be empty, then ``more``, with room for ``n_more``.

        Raises:
            BadInput: there is no room.
        """
        ids, _ = tokenize(self.loaded, replace(self.prompt, query=query or "a"))
        ids = with_(ids, query=(*(ids.query if query else ()), *more))
        check_known(self.loaded, ids)
        check_length(self.loaded, ids, n_more)
        return ids

    def comes_back(self, query: str) -> bool:
        """Whether there is room for ``query``, and its tokens after the context spell it, none of them a special one.

        Else a session, which keeps texts, could not make the same patch again.
        """
        ids, tokenizer = self.ids(query, n_more=1), self.loaded.tokenizer
        if ids is None:
            return False
        special = set(tokenizer.all_special_ids)
        # A chat's turn ends in special tokens of its template.
        own = [token for token in ids.query if not (self.prompt.chat and token in special)]
        return special.isdisjoint(own) and query.strip() in tokenizer.decode(own)

    def logits(self, ids: Ids) -> Float[Tensor, "tokens vocabulary"]:
        """Logits after each of the query's tokens, with the context."""
        return forward(self.loaded.model, ids.query, self._after_context(ids), logits_to_keep=_all(ids.query))

    def logits_without(self, ids: Ids) -> Float[Tensor, "tokens vocabulary"]:
        """Logits after each of the query's tokens, without the context."""
        row = ids.plain
        return forward(self.loaded.model, row, logits_to_keep=_all(row)[-len(ids.query) :])

    def write(self, ids: Ids, sampler: Sampler, on_token: Callable[[], object]) -> Iterator[int]:
        """Tokens that the model writes after ``ids``, until it ends the text; ``on_token`` may raise to stop."""
        on_token()
        cache = self._after_context(ids)
        row, step, stops = list(ids.query), 0, stop_tokens(self.loaded)
        while True:
            logits = forward(self.loaded.model, row, cache) if row else self.last
            assert logits is not None, "a context has tokens"
            token = sampler.draw(logits.log_softmax(-1), step)
            if token in stops:
                return
            yield token
            on_token()
            row, step = [token], step + 1

    def _after_context(self, ids: Ids) -> KVCache:
        start = (*ids.prefix, *ids.context)
        if not start:
            return KVCache()
        if self.start != start:
            self.start, self.cache = start, KVCache()
            self.last = forward(self.loaded.model, start, self.cache)
        return deepcopy(self.cache)


def _all(row: tuple[int, ...] | list[int]) -> Tensor:
    return torch.arange(len(row))
