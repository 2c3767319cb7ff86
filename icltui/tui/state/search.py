"""Where a word is: in a measurement's units and the next tokens they led to, or in lines of text. Without Textual.

The case counts only where the word has a capital letter. A space matches any gap, a line's end among them; a word
may run over several pieces, and is found where it begins.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from icltui.tui.state.measurement_so_far import MeasuredUnits

_GLYPHS = str.maketrans("·⏎⇥", "   ")
"""What the table shows for a gap is a gap here too."""


@dataclass(frozen=True)
class Search:
    """A word, the places where it begins, ascending, and which of them the cursor is at."""

    word: str = ""
    places: tuple[int, ...] = ()
    at: int | None = None
    """An index into ``places``; None: the cursor is elsewhere."""

    @property
    def place(self) -> int | None:
        """Where the cursor belongs, if it is at a match."""
        return None if self.at is None else self.places[self.at]

    def at_place(self, place: int) -> "Search":
        """At the match at ``place``, if there is one."""
        at = bisect_left(self.places, place)
        return replace(self, at=at if self.places[at : at + 1] == (place,) else None)

    def from_place(self, start: int) -> "Search":
        """At the first match from ``start`` on; after the last one, at the first."""
        if not self.places:
            return replace(self, at=None)
        return replace(self, at=bisect_left(self.places, start) % len(self.places))

    def step(self, here: int, steps: int) -> "Search":
        """At the next match after ``here`` (``steps`` = 1) or the one before it (−1), round and round."""
        if not self.places:
            return replace(self, at=None)
        at = bisect_right(self.places, here) if steps > 0 else bisect_left(self.places, here) - 1
        return replace(self, at=at % len(self.places))

    def words(self) -> str:
        """``3/17``, or that there is nothing."""
        if not self.word:
            return ""
        if not self.places:
            return "not found"
        return f"{'·' if self.at is None else self.at + 1}/{len(self.places)}"


def pattern(word: str) -> re.Pattern[str]:
    """What ``word`` matches.

    >>> bool(pattern("rome").search("ROME")), bool(pattern("Rome").search("ROME"))
    (True, False)
    """
    gaps = re.split(r"\s+", word.translate(_GLYPHS))
    return re.compile(r"\s+".join(map(re.escape, gaps)), re.IGNORECASE if word == word.lower() else 0)


def find_in_pieces(word: str, pieces: Iterable[str]) -> tuple[int, ...]:
    """The pieces in which ``word`` begins, the gap before its first letter left out.

    >>> find_in_pieces("of rome", ["King", " of", " Ro", "me"])
    (1,)
    """
    texts = list(pieces)
    ends = list(accumulate(map(len, texts)))
    found = pattern(word).finditer("".join(texts)) if word else ()
    return tuple(dict.fromkeys(bisect_right(ends, _first_letter(match)) for match in found))


def _first_letter(match: re.Match[str]) -> int:
    """Where the match's first visible character is: in ' Rome' the token itself, not a blank before it."""
    gap = len(match[0]) - len(match[0].lstrip())
    return match.start() + (gap if gap < len(match[0]) else 0)


def find_in_units(word: str, measured: MeasuredUnits) -> tuple[int, ...]:
    """The measured units in which ``word`` begins, and those where a likeliest next token that holds it comes up."""
    if not word:
        return ()
    units = range(1, measured.last_unit + 1)
    begun = {place + 1 for place in find_in_pieces(word, (measured.unit_text(unit) for unit in units))}
    wanted = pattern(word)
    turns = (unit for unit in range(measured.last_unit + 1) if unit == 0 or measured.has_changed(unit))
    return tuple(sorted(begun.union(unit for unit in turns if wanted.search(_next_text(measured, unit)))))


def find_in_lines(word: str, lines: Sequence[str]) -> tuple[int, ...]:
    """The rows of a text in which ``word`` begins; rows that were wrapped at a blank read on."""
    return find_in_pieces(word, (line.rstrip() + "\n" for line in lines))


def _next_text(measured: MeasuredUnits, unit: int) -> str:
    prediction = measured.prediction(unit)
    return prediction.top[0].token.text if prediction and prediction.top else ""
