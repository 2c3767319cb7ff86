"""How far a lane is from the context's distribution along the lane's own text.

Enters: the tokens of a lane, and its logits at each. Leaves: KL(with the context ‖ this lane), where both are
conditioned on the query and on the same tokens, the lane's own. Where the lane's text is still the context lane's, that
is what both lanes give; later the context has to read the lane's text, many tokens in one pass.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.measure.forward_pass import KVCache, forward
from icltui.engine.measure.predictions import finite_or_none, kl_divergence
from icltui.engine.patch.build import PatchSpec
from icltui.values import Lane

TOGETHER = 32
"""Tokens that are read in one pass, so that no more distributions are kept."""


@dataclass
class _Follower:
    """The context as it reads one lane's text."""

    cache: KVCache
    n_read: int
    """Tokens of the whole row that are in the cache."""
    waiting: list[Tensor] = field(default_factory=list)
    """Log-probabilities of the lane that are not compared yet; the last is of its newest token."""
    tokens: Sequence[int] = ()
    found: dict[int, float | None] = field(default_factory=dict)


@dataclass
class LanesInContext:
    """Reads the lanes' texts in the context of ``spec``; the context itself is read once, and only if it must be."""

    spec: PatchSpec
    _read: KVCache | None = None
    _lanes: dict[Lane, _Follower] = field(default_factory=dict)

    def add(self, lane: Lane, tokens: Sequence[int], logits: Float[Tensor, " vocabulary"]) -> None:
        """Takes the lane's next token, the last of ``tokens``, and the logits that it was drawn from."""
        if lane not in self._lanes:
            self._lanes[lane] = _Follower(copy.deepcopy(self._context()), len(self.spec.ids.full) - 1)
        follower = self._lanes[lane]
        follower.waiting.append(logits.log_softmax(-1))
        follower.tokens = tokens
        if len(follower.waiting) == TOGETHER:
            self._compare(follower)

    def divergences(self, lane: Lane) -> dict[int, float | None]:
        """The divergence in nats by the index of the token, of all that were added; None where it is not finite.

        The lane begins anew.
        """
        follower = self._lanes.pop(lane, None)
        if follower is None:
            return {}
        if follower.waiting:
            self._compare(follower)
        return follower.found

    def _context(self) -> KVCache:
        """The prompt but for its last token, which each lane reads itself."""
        if self._read is None:
            self._read = KVCache()
            if before_last := self.spec.ids.full[:-1]:
                forward(self.spec.loaded.model, before_last, self._read)
        return self._read

    def _compare(self, follower: _Follower) -> None:
        row = [*self.spec.ids.full, *follower.tokens[:-1]]
        unread, n = row[follower.n_read :], len(follower.waiting)
        keep = torch.arange(len(unread) - n, len(unread))
        logits = forward(self.spec.loaded.model, unread, follower.cache, logits_to_keep=keep)
        first = len(follower.tokens) - n
        for index, (theirs, ours) in enumerate(zip(logits, follower.waiting, strict=True), first):
            kl = kl_divergence(theirs.log_softmax(-1), ours.to(theirs.device))
            follower.found[index] = finite_or_none(kl)
        follower.n_read, follower.waiting = len(row), []
