"""What a model wrote as a query: cleaned, or dropped with the reason.

Enters: a text. Leaves: a text without markup around it, or a :class:`Dropped`.
"""

import re
import unicodedata
from collections.abc import Iterable

from icltui.engine.compile.context_reader import ContextReader

MOST_CHARACTERS = 400
_MARKUP = " \t*_`#>\"'“”«»"
"""What a model writes around a question."""
_LABEL = re.compile(r"\A(?:\(?\d{1,3}[.):]|[-•]|(?:question|query|q)\s*\d*\s*:)\s*", re.IGNORECASE)


class Dropped(Exception):
    """The text is no query; the message says why, in a few words."""


def without_markup(text: str) -> str:
    """A question without number, label, quotes and markup around it.

    >>> without_markup('1. **Question:** "Who is Mia?"')
    'Who is Mia?'
    """
    shorter = text.strip(_MARKUP)
    while shorter != text:
        text, shorter = shorter, _LABEL.sub("", shorter, count=1).strip(_MARKUP)
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
        unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Co", "Cn") for mark in query if mark not in "\n\t"
    ):
        raise Dropped("not plain text")
    if words in {comparable(other) for other in others}:
        raise Dropped("written twice")
    if comparable(reader.prompt.context) in words:
        raise Dropped("the whole context in it")
    if not _comes_back(reader, query):
        raise Dropped("not what its tokens spell")


def comparable(text: str) -> str:
    """The text as far as two texts count as one: without case and the number of spaces."""
    return " ".join(text.casefold().split())


def _comes_back(reader: ContextReader, query: str) -> bool:
    """Whether the query's tokens after the context spell it, none of them a special one."""
    ids, tokenizer = reader.ids(query, n_more=1), reader.loaded.tokenizer
    if ids is None:
        return False
    special = set(tokenizer.all_special_ids)
    own = ids.query if not reader.prompt.chat else [token for token in ids.query if token not in special]
    return not special & set(own) and query.strip() in tokenizer.decode(own)
