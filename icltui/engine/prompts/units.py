"""Units of a context: the tokens, lines, sentences or separated parts that are measured one by one.

Enters: the context and its tokens. Leaves: a :class:`~icltui.values.Unit` for each, of whole tokens.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from icltui.values import Token, Unit
from icltui.values.errors import BadInput

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
        raise BadInput("the unit is empty: use token, line, sentence, or a separator such as ';'")
    if unit == "token":
        ends = list(range(len(edges)))
    else:
        cuts = _cuts(unit, context)
        if not cuts and starts:
            notes.append(f"unit {unit!r} never ends in the context: the whole context is one unit")
        ends = sorted({0, *(bisect_left(starts, cut) for cut in cuts), len(starts)})
    units = [
        Unit(
            index=i,
            text=context[edges[a] : edges[b]] or "".join(token.text for token in tokens[a:b]),
            tokens=b - a,
        )
        for i, (a, b) in enumerate(pairwise(ends), start=1)
    ]
    return units, tuple(ends), notes


def _cuts(unit: str, context: str) -> list[int]:
    """The character offsets at which a unit of the context ends."""
    pattern = {"line": re.compile(r"\n"), "sentence": _SENTENCE_END}.get(unit) or re.compile(re.escape(unit))
    return [match.end() for match in pattern.finditer(context)]
