"""What joining adapters gives: one patch of several contexts, and how much each of them loses to the others.

R as in :mod:`icltui.values.compilation`: 1 as with the query's own context, 0 as without it, below 0 worse than none.
"""

from icltui.values.base import Record
from icltui.values.bounds import Count, TokenCount


class JoinedContext(Record, frozen=True):
    """One of the contexts, tested on its own queries."""

    name: str
    """Name of its adapter's folder when it was joined."""
    n_fitted: Count
    """How many of its queries the joined patch is fitted on."""
    is_unseen: bool
    """Whether the test queries were held out from the beginning; else they are some of those that the adapter was
    compiled on, and every patch of the test was made without them."""
    n_queries: Count
    """Test queries at which the context changes something."""
    n_unchanged: Count
    """Test queries at which it changes nothing: left out of every number here."""
    r_alone: float | None
    """Median R of the patch of this context alone."""
    r_joined: float | None
    """Median R of the joined patch."""
    r_concatenated: float | None
    """Median R where all contexts' own patches are added up and not solved together."""
    r_others: tuple[float | None, ...]
    """Median R of each context's own patch, in the order of the contexts; its own is ``r_alone``."""
    kl_others: tuple[float | None, ...]
    """What each context's own patch does to these queries: mean KL(model ‖ patched model) per token, in nats."""
    collateral: float | None
    """What its own patch does to unrelated text: mean KL(model ‖ patched model) per token, in nats."""


class AnswerConflict(Record, frozen=True):
    """A query of several contexts, to which they have different answers: no patch gives both."""

    query: str
    """Its text."""
    contexts: tuple[str, ...]
    """Names of the contexts."""
    answers: tuple[str, ...]
    """The beginning of each context's answer."""


class JoinedPatch(Record, frozen=True):
    """Several contexts as one patch."""

    contexts: tuple[JoinedContext, ...]
    """One for each."""
    conflicts: tuple[AnswerConflict, ...]
    """Queries that it cannot answer in every context's way."""
    n_tokens: Count
    """How many tokens it is fitted on."""
    rank: TokenCount
    """The largest rank of its parts."""
    collateral: float | None
    """What it does to unrelated text: mean KL(model ‖ patched model) per token, in nats."""
    collateral_concatenated: float | None
    """The same of all contexts' own patches added up."""
    n_collateral: Count
    """How many tokens of unrelated text both are means over."""
    seconds: float
    """Duration of the whole job, the model's loading aside."""
    files: tuple[str, ...] = ()
    """Paths of the written files."""
    left_out: tuple[str, ...] = ()
    """What the adapter cannot carry, in sentences."""
    notes: tuple[str, ...] = ()
    """What the user should know, in sentences."""
