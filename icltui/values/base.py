"""What every record is, and what several of them are made of."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from icltui.values.bounds import TokenId
from icltui.values.frame import Columns, Library, make_frame


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every value here."""


class Table(Record, frozen=True):
    """Base of what has a table."""

    UNITS: ClassVar[Mapping[str, str]] = {}
    """The units of the table's columns that have one."""

    def columns(self) -> Columns:
        """The table's columns."""
        raise NotImplementedError

    def frame(self, library: Library | None = None) -> Any:
        """The table as a data frame of pandas or polars: the one named, else whichever is there.

        Numbers are int64 or float64, missing ones NaN in pandas (NA among integers) and null in polars; texts are
        strings as the model has them. The units of columns are in the ``attrs["units"]`` of pandas.

        Raises:
            BadInput: the library is not installed.
        """
        return make_frame(self.columns(), library, self.UNITS)


class Token(Record, frozen=True):
    """One token of the model's vocabulary."""

    id: TokenId
    """Index in the vocabulary."""
    text: str
    """For display: a token need not be a whole character."""


_Part = tuple[str, tuple[int, ...], tuple[int, ...]]


class PromptIds(Record, frozen=True):
    """The ids that went into the model: ``prefix + context + query``, or without the context."""

    prefix: tuple[TokenId, ...]
    """Kept with the context and without it: BOS, or a chat template's header."""
    context: tuple[TokenId, ...]
    """The context; empty where there is none."""
    query: tuple[TokenId, ...]
    """The last one is the token at which everything is measured."""
    queries: dict[str, tuple[TokenId, ...]] = {}
    """``context + query`` of each other query that the patch was compiled on, by the query's text."""
    other_context: dict[str, tuple[TokenId, ...]] = {}
    """The ids of the control's context, by its text."""
    background: str = ""
    """The digest of the text that a patch's metric is of; empty where there is none."""

    def unlike(self, others: "PromptIds") -> str:
        """Where ``others``, of the same text, differ from these ids, in words; empty where they do not."""
        parts = (
            ("before the text", self.prefix, others.prefix),
            ("of the context", self.context, others.context),
            ("of the query", self.query, others.query),
            *_of_both("of a query that the patch is compiled on", self.queries, others.queries),
            *_of_both("of the control's context", self.other_context, others.other_context),
        )
        changed = [
            f"other tokens {where} ({len(then)} then, {len(now)} now)"
            for where, then, now in parts
            if then != now
        ]
        if self.background and others.background and self.background != others.background:
            changed.append(f"another background text ({self.background} then, {others.background} now)")
        return "; ".join(changed)


def _of_both(where: str, then: dict[str, tuple[int, ...]], now: dict[str, tuple[int, ...]]) -> list[_Part]:
    return [(where, ids, now[text]) for text, ids in then.items() if text in now]


class Candidate(Record, frozen=True):
    """A possible next token."""

    token: Token
    probability: float
    """Probability in [0, 1]."""


class LogitError(Record, frozen=True):
    """Last-token logits against the contextual ones."""

    mse: float | None
    """Mean squared error over the vocabulary."""
    kl: float | None
    """KL(contextual ‖ these) in nats."""
    linf: float | None
    """Largest absolute difference."""
    top1_equal: bool
    """Whether both have the same most probable token."""
