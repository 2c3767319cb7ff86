"""Two records of one type walked through together, from the whole down to each number, token and text.

Enters: a :class:`Pair` of them. Leaves: pairs of their parts, each with its path and its field. What one has and the
other lacks is paired with ``None``, or, of a name in a table, with ``UNSET``. Seconds are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET

from icltui.values import Candidate, DifferenceKind, LayerFit, Token

_LEFT_OUT = ("seconds",)
_WORDS = ("note", "notes", "verdict", "caveat", "path", "tolerance", "allowed")
"""The program's own sentences, the way that it took, and what it held its proof to."""
_AT_A_THRESHOLD = ("rank", "shift_rank")
"""Of tokens that nearly depend on each other, rounding decides how many singular values count."""
_EMPTY: tuple[Any, ...] = (None, (), {}, "")


@dataclass(frozen=True)
class Pair:
    """One part of both records."""

    at: str
    """Its path, such as ``measurement.rows[3].z_norm``."""
    field: str
    """Its path without indices, such as ``measurement.rows[].z_norm``."""
    saved: Any
    recomputed: Any
    kind: DifferenceKind = "changed"
    """What it is where both differ."""

    @property
    def is_open(self) -> bool:
        """Whether the pair is compared part by part."""
        if self.kind in ("words", "new") or type(self.saved) is not type(self.recomputed):
            return False
        return isinstance(self.saved, msgspec.Struct | tuple | dict) and not isinstance(self.saved, Token)

    @property
    def is_ranking(self) -> bool:
        """Whether the pair is a list of possible next tokens, whose ranks are judged together."""
        return (
            isinstance(self.saved, tuple)
            and self.is_open
            and any(isinstance(c, Candidate) for c in self.saved)
        )

    def named(self, name: str, saved: Any, recomputed: Any, kind: DifferenceKind = "changed") -> "Pair":
        """A part of the pair."""
        return Pair(f"{self.at}.{name}", f"{self.field}.{name}", saved, recomputed, kind)


def walk_pairs(pair: Pair) -> Iterator[Pair]:
    """The pair, then all that it is made of."""
    yield pair
    if pair.is_open:
        for part in _parts(pair):
            yield from walk_pairs(part)


def _parts(pair: Pair) -> Iterator[Pair]:
    saved, recomputed = pair.saved, pair.recomputed
    if isinstance(saved, Candidate):  # its token is judged with those before and after it
        yield pair.named("probability", saved.probability, recomputed.probability)
    elif isinstance(saved, tuple):
        if len(saved) != len(recomputed):
            yield pair.named("length", len(saved), len(recomputed))
        for index, entries in enumerate(zip(saved, recomputed, strict=False)):
            yield Pair(f"{pair.at}[{index}]", f"{pair.field}[]", *entries)
    elif isinstance(saved, dict):
        for key in saved | recomputed:
            kind: DifferenceKind = "changed" if key in saved else "new"
            yield pair.named(str(key), saved.get(key, UNSET), recomputed.get(key, UNSET), kind)
    else:
        yield from _fields(pair)


def _fields(pair: Pair) -> Iterator[Pair]:
    struct: type[msgspec.Struct] = type(pair.saved)
    for name in struct.__struct_fields__:
        if name in _LEFT_OUT:
            continue
        saved, recomputed = getattr(pair.saved, name), getattr(pair.recomputed, name)
        kind: DifferenceKind = "changed"
        if name in _WORDS or (struct is LayerFit and name in _AT_A_THRESHOLD):
            kind = "words"
        elif saved in _EMPTY and recomputed not in _EMPTY and name in _optional(struct):
            kind = "new"
        yield pair.named(name, saved, recomputed, kind)


@cache
def _optional(struct: type[msgspec.Struct]) -> frozenset[str]:
    """The fields that older files lack: those that are empty where nothing is given."""
    return frozenset(
        field.name
        for field in msgspec.structs.fields(struct)
        if field.default_factory is dict or any(field.default is empty for empty in _EMPTY)
    )
