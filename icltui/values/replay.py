"""What *replay* gives: a saved record against the same, computed again."""

from typing import Literal

from icltui.values.base import Record
from icltui.values.bounds import Count

Section = Literal["measurement", "generation", "verification", "compilation"]
DifferenceKind = Literal["changed", "tie", "words", "new"]
"""A result that is another one; candidates that swapped places within the tolerance; the program's own words, or the
way it took; what the record lacked when it was saved. Only ``changed`` counts against a session."""


class FieldReplay(Record, frozen=True):
    """All numbers of one field, such as ``rows[].delta_norm``."""

    field: str
    """Path of the field, without indices."""
    n_compared: Count
    """How many numbers the field has."""
    n_beyond: Count
    """How many differ by more than the tolerance."""
    largest: float
    """The largest absolute difference; where some are beyond the tolerance, the largest of those."""
    relative: float | None
    """``largest`` as a share of the field's scale, the largest magnitude among the saved ones; None where that is 0."""
    tolerance: float
    """What ``largest`` was held to."""
    at: str
    """The path of the number with the largest difference; empty where nothing differs."""
    saved: float | None
    """The number at ``at``; None where nothing differs."""
    recomputed: float | None
    """The number at ``at``, computed again."""


class Difference(Record, frozen=True):
    """Something that differs and is no decimal number: a token, a text, a truth, a count, or whether it is there."""

    kind: DifferenceKind
    at: str
    """Where, such as ``generation.lanes.patched.text``."""
    saved: str
    """The saved one in words, cut to a readable length."""
    recomputed: str
    """The recomputed one in words, cut to a readable length."""


class SectionReplay(Record, frozen=True):
    """One result of a session, computed again."""

    section: Section
    same: bool
    """Whether every number is within its tolerance and nothing else has changed."""
    n_numbers: Count
    """How many numbers were compared."""
    n_others: Count
    """How many tokens, texts, truths and counts were compared."""
    fields: tuple[FieldReplay, ...]
    """One for each field of numbers."""
    differences: tuple[Difference, ...]
    """Everything that differs and is no decimal number."""


class Replay(Record, frozen=True):
    """A session, computed again."""

    same: bool
    """Whether every section is the same."""
    held_to: str
    """The dtype whose rounding the tolerances allow for."""
    notes: tuple[str, ...]
    """What is not as it was when the session was saved: versions, device, dtype."""
    sections: tuple[SectionReplay, ...]
    """One for each result that the session holds."""
