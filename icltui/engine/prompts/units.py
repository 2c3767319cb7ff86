"""Units of a context: the tokens, lines, sentences or separated parts that are measured one by one.

Enters: the context and its tokens. Leaves: a :class:`~icltui.values.Unit` for each, of whole tokens.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from icltui.values import Token, Unit
from icltui.values.errors import BadInput
from icltui.values.unit_choice import AUTO, FEWEST, MOST, SHORT, UnitChoice

_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*(?=\s|$)|[。！？｡]+[」』”’）】]*|\n+")
"""The end of a sentence; Chinese and Japanese put no space after their stops."""


def split_units(
    unit: str, context: str, edges: Sequence[int], tokens: Sequence[Token]
) -> tuple[list[Unit], tuple[int, ...], list[str]]:
    """The units, the number of tokens in the first i of them (i from 0), and notes for the user.

    A token belongs to the unit in which it starts; no unit is empty, nor its text. ``edges`` are the characters at
    which the tokens begin, and the end of the last one. Where the next token covers all that a unit does, such as the
    space before a word, the unit's text is that of its tokens.

    Raises:
        BadInput: no unit is named.
    """
    notes: list[str] = []
    starts = edges[:-1]
    if not unit:
        raise BadInput("the unit is empty: use auto, token, line, sentence, or a separator such as ';'")
    choice = UnitChoice.parse(unit)
    if choice.kind == AUTO:
        kind, ends = _fitting(context, starts)
        if kind != "token":
            notes.append(
                f"{len(starts):,} tokens of context are measured by {kind}; unit token measures each"
            )
    else:
        ends = _ends(choice.kind, context, starts)
    if starts and len(ends) == 2 and choice.kind not in (AUTO, "token") and not _cuts(choice.kind, context):
        notes.append(f"unit {unit!r} never ends in the context: the whole context is one unit")
    pieces = _opened(ends, choice.opened)
    if missing := [number for number in choice.opened if number >= len(ends)]:
        notes.append(f"unit {missing[0]:,} is not there to be opened: the context has {len(ends) - 1:,}")
    units = [
        Unit(
            index=i,
            text=context[edges[a] : edges[b]] or "".join(token.text for token in tokens[a:b]),
            tokens=b - a,
            part_of=part_of,
        )
        for i, (a, b, part_of) in enumerate(pieces, start=1)
    ]
    return units, (0, *(b for _, b, _ in pieces)), notes


def _fitting(context: str, starts: Sequence[int]) -> tuple[str, list[int]]:
    """The kind of units that ``auto`` stands for, and where they end: few enough to be read, or else every token."""
    if len(starts) > SHORT:
        for kind in ("sentence", "line"):
            ends = _ends(kind, context, starts)
            if FEWEST < len(ends) <= MOST + 1:
                return kind, ends
    return "token", _ends("token", context, starts)


def _ends(kind: str, context: str, starts: Sequence[int]) -> list[int]:
    """The number of tokens in the first i units, i from 0."""
    if kind == "token":
        return list(range(len(starts) + 1))
    return sorted({0, *(bisect_left(starts, cut) for cut in _cuts(kind, context)), len(starts)})


def _opened(ends: Sequence[int], opened: Sequence[int]) -> list[tuple[int, int, int]]:
    """First token, end and larger unit of each unit, those that are ``opened`` cut into their tokens."""
    pieces = []
    for number, (a, b) in enumerate(pairwise(ends), start=1):
        if number in opened and b - a > 1:
            pieces += [(at, at + 1, number) for at in range(a, b)]
        else:
            pieces.append((a, b, 0))
    return pieces


def _cuts(unit: str, context: str) -> list[int]:
    """The character offsets at which a unit of the context ends."""
    pattern = {"line": re.compile(r"\n"), "sentence": _SENTENCE_END}.get(unit) or re.compile(re.escape(unit))
    return [match.end() for match in pattern.finditer(context)]
