"""What every record is, and what several of them are made of."""

import msgspec

from icltui.bounds import TokenId


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every value here."""


class Token(Record, frozen=True):
    """One token: its id, and its text for display (whole tokens need not be whole characters)."""

    id: TokenId
    text: str


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
