"""Compares a saved record with the same record computed again.

Enters: both, and how much rounding to allow for. Leaves: a :class:`~icltui.values.SectionReplay`: every field of
numbers with its largest difference, and everything else that differs. Seconds are left out. The rule:

* A number may differ by what :mod:`icltui.replay.tolerance` allows.
* Whatever is no such number (ids, texts, truths, counts, whether it is there) must be equal; a token that was drawn or
  that is the most probable one must be, however near the next one was.
* Less probable candidates may swap places, and the last may give way to another one, where the probabilities allow
  it: a ``tie``.
* The program's own sentences, whether the prefixes were packed, and the proof's tolerance may differ: ``words``.
* What the saved record lacks altogether, being older or made without it, may be there now: ``new``.
"""

import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from icltui.replay.tolerance import Tolerances
from icltui.replay.walk_pairs import Pair, walk_pairs
from icltui.values import (
    Candidate,
    Difference,
    DifferenceKind,
    FieldReplay,
    Record,
    Section,
    SectionReplay,
    Token,
)

_LONGEST = 48
_BEFORE = 12
"""Characters shown before the point at which two long texts part."""


class _FieldNumbers:
    """The numbers of one field compared so far."""

    def __init__(self, name: str, scale: float) -> None:
        self.name, self.scale = name, scale
        self.n_compared = self.n_beyond = 0
        self.largest, self.tolerance = 0.0, 0.0
        self.worst: Pair | None = None
        """Where ``largest`` is."""

    def add(self, pair: Pair, tolerance: float) -> None:
        distance = abs(pair.saved - pair.recomputed)
        is_beyond = distance > tolerance
        if distance and (is_beyond, distance) > (self.n_beyond > 0, self.largest):
            self.largest, self.tolerance, self.worst = distance, tolerance, pair
        self.n_compared += 1
        self.n_beyond += is_beyond

    def replay(self) -> FieldReplay:
        return FieldReplay(
            field=self.name,
            n_compared=self.n_compared,
            n_beyond=self.n_beyond,
            largest=_finite(self.largest),
            relative=_finite(self.largest / self.scale) if self.scale else None,
            tolerance=_finite(self.tolerance),
            at="" if self.worst is None else self.worst.at,
            saved=None if self.worst is None else self.worst.saved,
            recomputed=None if self.worst is None else self.worst.recomputed,
        )


def compare(section: Section, saved: Record, again: Record, dtype: str) -> SectionReplay:
    """What differs between ``saved`` and ``again``; ``dtype``: the one whose rounding is allowed for."""
    scales, held = _survey(section, saved)
    limits, fields, n_others = Tolerances(saved, dtype), dict[str, _FieldNumbers](), 0
    differences: list[Difference] = []
    for pair in walk_pairs(Pair(section, section, saved, again)):
        if pair.is_ranking:
            n_others += len(pair.saved)
            differences += _ranks_that_differ(pair, limits.allowed_share(pair.field))
        if pair.is_open:
            continue
        if pair.kind == "changed" and _are_numbers(pair.saved, pair.recomputed):
            field = fields.setdefault(pair.field, _FieldNumbers(pair.field, scales[pair.field]))
            field.add(pair, limits.allowed(pair.at, pair.field, field.scale))
            continue
        n_others += 1
        if pair.saved != pair.recomputed and not limits.is_noise(pair.at, pair.field):
            is_lost = pair.kind == "new" and pair.field in held
            differences.append(
                _difference("changed" if is_lost else pair.kind, pair.at, pair.saved, pair.recomputed)
            )
    replays = tuple(field.replay() for field in fields.values())
    return SectionReplay(
        section=section,
        same=not any(f.n_beyond for f in replays) and all(d.kind != "changed" for d in differences),
        n_numbers=sum(f.n_compared for f in replays),
        n_others=n_others,
        fields=replays,
        differences=tuple(differences),
    )


def _survey(section: Section, saved: Record) -> tuple[dict[str, float], set[str]]:
    """The largest magnitude in each field of numbers; and the fields that the record does not lack."""
    scales: dict[str, float] = {}
    held = set()
    for pair in walk_pairs(Pair(section, section, saved, saved)):
        if _are_numbers(pair.saved, pair.saved):
            scales[pair.field] = max(scales.get(pair.field, 0.0), abs(pair.saved))
        if pair.saved not in (None, (), {}, ""):
            held.add(pair.field)
    return scales, held


def _are_numbers(saved: object, again: object) -> bool:
    """Whether both are decimal numbers; a whole number counts or names something."""
    return isinstance(saved, float) and isinstance(again, float)


def _ranks_that_differ(pair: Pair, share: float) -> Iterator[Difference]:
    """The ranks that another candidate has."""
    for rank, (saved, again) in enumerate(zip(pair.saved, pair.recomputed, strict=False)):
        if saved.token != again.token:
            could_swap = (
                rank and _may_swap(saved, pair.recomputed, share) and _may_swap(again, pair.saved, share)
            )
            yield _difference(
                "tie" if could_swap else "changed", f"{pair.at}[{rank}].token", saved.token, again.token
            )


def _may_swap(candidate: Candidate, others: tuple[Candidate, ...], share: float) -> bool:
    """Whether the candidate is as probable among the others, or where it is not one, may be just below the last."""
    found = [other.probability for other in others if other.token == candidate.token]
    mine, slack = candidate.probability, share * candidate.probability
    return abs(mine - found[0]) <= slack if found else mine - others[-1].probability <= slack


def _finite(value: float) -> float:
    """``value``, at most the largest float, since JSON has no infinity."""
    return min(value, sys.float_info.max)


def _difference(kind: DifferenceKind, at: str, saved: object, again: object) -> Difference:
    """Something that differs, with as much of both as is needed to see it."""
    if isinstance(saved, str) and isinstance(again, str):
        saved, again = _where_they_part(saved, again)
    return Difference(kind=kind, at=at, saved=_words(saved), recomputed=_words(again))


def _where_they_part(saved: str, again: str) -> tuple[str, str]:
    """Both texts from shortly before they part, where that is far from their start."""
    same = next((k for k, (a, b) in enumerate(zip(saved, again, strict=False)) if a != b), None)
    start = (min(len(saved), len(again)) if same is None else same) - _BEFORE
    return (f"…{saved[start:]}", f"…{again[start:]}") if start > 0 else (saved, again)


def _words(value: Any) -> str:
    match value:
        case None:
            text = "none"
        case msgspec.UnsetType():
            text = "absent"
        case bool():
            text = "true" if value else "false"
        case float():
            text = f"{value:.6g}"
        case Token(id=number, text=token):
            text = f"{number} {token!r}"
        case str():
            text = repr(value)
        case tuple() if value and all(isinstance(entry, str) for entry in value):
            text = "; ".join(value)
        case tuple() | dict():
            text = f"{len(value)} entries"
        case msgspec.Struct():
            text = "there"
        case _:
            text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
