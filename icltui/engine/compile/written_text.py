"""What a model wrote as a query: cleaned, or dropped with the reason.

Enters: a text. Leaves: a text without markup around it, or a :class:`Dropped`.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from icltui.engine.compile.context_reader import ContextReader

MOST_CHARACTERS = 400
_JOINERS = "\n\t\u200c\u200d"
"""Control characters that texts are written with: lines, columns, and what joins or parts letters and emoji."""
_MARKUP = " \t\n*_`#>\"'“”«»"
"""What a model writes around a question."""
_LABEL = re.compile(r"\A(?:\(?\d{1,3}[.):]|[-•]|(?:question|query|q)\s*\d*\s*:)\s*", re.IGNORECASE)


Reason = Literal[
    "empty",
    "unfinished",
    "no question",
    "no example of the list",
    "too long",
    "not plain text",
    "written twice",
    "with the whole context in it",
    "not what its tokens spell",
]
"""Why a text is no query."""


class Dropped(Exception):
    """The text is no query."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


def without_markup(text: str) -> str:
    """A question without number, label, quotes and markup around it.

    >>> without_markup('1. **Question:** "Who is Mia?"')
    'Who is Mia?'
    """
    while (shorter := _LABEL.sub("", text.strip(_MARKUP), count=1)) != text:
        text = shorter
    return text


def check_query(reader: ContextReader, query: str, others: Iterable[str]) -> None:
    """Refuse what cannot be a query.

    Raises:
        Dropped: it is empty, too long, not plain text, one of ``others``, holds the whole context, or is not what its
            tokens spell.
    """
    words = comparable(query)
    if not re.search(r"\w", query):
        raise Dropped("empty")
    if len(query) > MOST_CHARACTERS:
        raise Dropped("too long")
    if any(
        unicodedata.category(mark)[0] == "C" or mark == "\ufffd" for mark in query if mark not in _JOINERS
    ):
        raise Dropped("not plain text")
    if words in {comparable(other) for other in others}:
        raise Dropped("written twice")
    if comparable(reader.prompt.context) in words:
        raise Dropped("with the whole context in it")
    if not reader.comes_back(query):
        raise Dropped("not what its tokens spell")


def comparable(text: str) -> str:
    """The text as far as two texts count as one: without case and the number of spaces."""
    return " ".join(text.casefold().split())
