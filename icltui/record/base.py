"""What every record is, and what several of them are made of."""

import msgspec

from icltui.bounds import TokenId


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every value here."""


class Token(Record, frozen=True):
    """One token: its id, and its text for display (whole tokens need not be whole characters)."""

    id: TokenId
    text: str


class PromptIds(Record, frozen=True):
    """The ids that went into the model: ``prefix + context + query``, or without the context."""

    prefix: tuple[TokenId, ...]
    """Kept in both runs: BOS, or a chat template's header."""
    context: tuple[TokenId, ...]
    query: tuple[TokenId, ...]

    def unlike(self, others: "PromptIds") -> str:
        """Where ``others``, of the same text, differ from these ones, in words; empty where they do not."""
        parts = (
            ("in front of the text", self.prefix, others.prefix),
            ("of the context", self.context, others.context),
            ("of the query", self.query, others.query),
        )
        return "; ".join(
            f"other tokens {where} ({len(then)} then, {len(now)} now)"
            for where, then, now in parts
            if then != now
        )


class Candidate(Record, frozen=True):
    """A possible next token."""

    token: Token
    probability: float


class LogitError(Record, frozen=True):
    """Last-token logits against the contextual ones."""

    mse: float | None
    kl: float | None
    linf: float | None
    top1_equal: bool
