"""What *replay* gives: a saved record against the same, computed again."""

from typing import Literal

from icltui.values.base import Record
from icltui.values.bounds import Count

Section = Literal["measurement", "generation", "verification"]
DifferenceKind = Literal["changed", "tie", "words", "new"]
"""A result that is another one; candidates that swapped places within the tolerance; the program's own words, or the
way it took; what the record lacked when it was saved. Only ``changed`` counts against a session."""


class FieldReplay(Record, frozen=True):
    """All numbers of one field, such as ``rows[].delta_norm``."""

    field: str
    """Where they stand, without indices."""
    n_compared: Count
    n_beyond: Count
    """How many differ by more than the tolerance."""
    largest: float
    """The largest absolute difference; where some are beyond the tolerance, the largest of those."""
    relative: float | None
    """The same as a share of the field's scale, the largest magnitude among the saved ones; None where that is 0."""
    tolerance: float
    """What ``largest`` was held to."""
    at: str
    """Where it is; empty where nothing differs."""
    saved: float | None
    recomputed: float | None


class Difference(Record, frozen=True):
    """Something that is no such number and differs: a token, a text, a truth, a count, or whether it is there."""

    kind: DifferenceKind
    at: str
    saved: str
    """In words, cut to a length that can be read."""
    recomputed: str


class SectionReplay(Record, frozen=True):
    """One result of a session, computed again."""

    section: Section
    same: bool
    """Whether every number is within its tolerance and nothing else has changed."""
    n_numbers: Count
    n_others: Count
    """How many tokens, texts, truths and counts were compared."""
    fields: tuple[FieldReplay, ...]
    differences: tuple[Difference, ...]


class Replay(Record, frozen=True):
    """A session, computed again."""

    same: bool
    held_to: str
    """The dtype whose rounding the tolerances allow for."""
    notes: tuple[str, ...]
    """What is not as it was when the session was saved: versions, device, dtype."""
    sections: tuple[SectionReplay, ...]
