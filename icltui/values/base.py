"""What every record is, and what several of them are made of."""

import msgspec

from icltui.values.bounds import TokenId


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every value here."""


class Token(Record, frozen=True):
    """One token: its id, and its text for display (whole tokens need not be whole characters)."""

    id: TokenId
    text: str


_Part = tuple[str, tuple[int, ...], tuple[int, ...]]


class PromptIds(Record, frozen=True):
    """The ids that went into the model: ``prefix + context + query``, or without the context."""

    prefix: tuple[TokenId, ...]
    """Kept in both runs: BOS, or a chat template's header."""
    context: tuple[TokenId, ...]
    query: tuple[TokenId, ...]
    queries: dict[str, tuple[TokenId, ...]] = {}
    """``context + query`` of each other query that the patch was compiled on, by its text."""
    other_context: dict[str, tuple[TokenId, ...]] = {}
    """Of the control, by its text."""

    def unlike(self, others: "PromptIds") -> str:
        """Where ``others``, of the same text, differ from these ones, in words; empty where they do not."""
        parts = (
            ("in front of the text", self.prefix, others.prefix),
            ("of the context", self.context, others.context),
            ("of the query", self.query, others.query),
            *_of_both("of a query that the patch is compiled on", self.queries, others.queries),
            *_of_both("of the control's context", self.other_context, others.other_context),
        )
        return "; ".join(
            f"other tokens {where} ({len(then)} then, {len(now)} now)"
            for where, then, now in parts
            if then != now
        )


def _of_both(where: str, then: dict[str, tuple[int, ...]], now: dict[str, tuple[int, ...]]) -> list[_Part]:
    return [(where, ids, now[text]) for text, ids in then.items() if text in now]


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
