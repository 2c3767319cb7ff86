"""A distribution over next tokens: its top tokens, its entropy, its distance to another.

Enters: log-probabilities. Leaves: records. Entropies and divergences are in nats.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

from icltui.engine.prompts.token_texts import as_tokens
from icltui.values import Candidate, Prediction, Token

N_CANDIDATES = 5


def finite_or_none(value: float | Tensor) -> float | None:
    """``number`` for a record: None when it is not finite."""
    number = float(value)
    return number if math.isfinite(number) else None


def finite_rows(table: Float[Tensor, "rows columns"]) -> list[list[float | None]]:
    """The numbers of a table for records: None where one is not finite."""
    return [[number if math.isfinite(number) else None for number in line] for line in table.tolist()]


def kl_divergence(
    log_p: Float[Tensor, " vocabulary"], log_q: Float[Tensor, "*rows vocabulary"]
) -> Float[Tensor, "*rows"]:
    """KL(p ‖ q) in nats of each q; never below 0."""
    p = log_p.exp()
    possible = p > 0
    if not possible.all():  # 0 times infinity is NaN, and counts as 0
        p, log_p, log_q = p[possible], log_p[possible], log_q[..., possible]
    return (log_p - log_q).mul_(p).sum(-1).clamp_min(0.0)


def entropy(log_p: Float[Tensor, "*rows vocabulary"]) -> Float[Tensor, "*rows"]:
    """−Σ p ln p in nats of each row; never below 0."""
    terms = log_p.exp().mul_(log_p).nan_to_num_(nan=0.0)
    return terms.sum(-1).clamp_max(0.0).neg().add(0.0)  # never −0


@dataclass
class Vocabulary:
    """Tokens by id, each decoded once."""

    tokenizer: Any
    known: dict[int, Token] = field(default_factory=dict)

    def token(self, index: int) -> Token:
        """The token of the id ``index``, with its text."""
        if index not in self.known:
            self.known[index] = as_tokens(self.tokenizer, (index,))[0]
        return self.known[index]

    def candidates(self, log_p: Float[Tensor, "rows vocabulary"]) -> list[tuple[Candidate, ...]]:
        """The most probable next tokens of each row."""
        top = log_p.topk(min(N_CANDIDATES, log_p.shape[-1]))
        return [
            tuple(Candidate(token=self.token(i), probability=p) for i, p in zip(ids, ps, strict=True))
            for ids, ps in zip(top.indices.tolist(), top.values.exp().tolist(), strict=True)
        ]


def predict(
    vocabulary: Vocabulary,
    units: tuple[int, ...],
    logits: Float[Tensor, "rows vocabulary"],
    full: Float[Tensor, " vocabulary"] | None,
) -> list[Prediction]:
    """The predictions of ``units``; ``full``: log-probabilities after the full context, once they are known."""
    log_p = logits.log_softmax(-1)
    entropies = entropy(log_p).tolist()
    kls = [None] * len(units) if full is None else kl_divergence(full.to(log_p.device), log_p).tolist()
    return [
        Prediction(
            unit=unit,
            top=top,
            entropy=finite_or_none(nats),
            kl_to_full=None if kl is None else finite_or_none(kl),
        )
        for unit, top, nats, kl in zip(units, vocabulary.candidates(log_p), entropies, kls, strict=True)
    ]


def top_candidates(tokenizer: Any, log_p: Float[Tensor, " vocabulary"]) -> tuple[Candidate, ...]:
    """The most probable next tokens of one distribution."""
    return Vocabulary(tokenizer).candidates(log_p[None])[0]
