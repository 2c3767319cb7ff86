"""What is typed to see some of the rows: ``kl_plain > 1``, ``tags:capital``, ``paris or rome``. Text becomes a tree.

A filter is terms, joined by blanks or ``and`` (both must hold) and by ``or``; ``not`` or ``-`` before a term turns it
round, and brackets group. A term is a comparison (``kl_plain > 1``, ``kl_patched < kl_plain``, ``answer = Rome``,
``delta_norms[-1] >= 2``), ``column:text``, or a text that is looked for in every column.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NoReturn

from icltui.values.errors import BadInput

Operator = Literal["<", "<=", ">", ">=", "=", "!=", ":"]

LONGEST = 2_000
"""Characters of a filter."""
_DEEPEST = 40
"""Brackets and turns within each other."""


@dataclass(frozen=True)
class Operand:
    """One side of a comparison: a column's name, or a value as it was typed."""

    text: str
    is_quoted: bool = False
    """Whether it was typed in quotes, and is a value in any case."""
    index: int | None = None
    """Which of a column's several values, from 0, or from the end where it is negative."""


@dataclass(frozen=True)
class ColumnComparison:
    """A column beside a value or another column."""

    column: Operand
    operator: Operator
    value: Operand


@dataclass(frozen=True)
class AnyText:
    """A text in whichever column."""

    text: str


@dataclass(frozen=True)
class Not:
    """What does not hold."""

    term: "Filter"


@dataclass(frozen=True)
class Joined:
    """All or any of some terms."""

    how: Literal["and", "or"]
    terms: tuple["Filter", ...]


Filter = ColumnComparison | AnyText | Not | Joined

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<quoted>"[^"]*"|'[^']*')
    | (?P<open_quote>["'])
    | (?P<operator><=|>=|!=|==|=|<|>|≤|≥|≠|:)
    | (?P<bracket>[()])
    | (?P<word>[^\s"'()<>=!:≤≥≠]+|!)
    )""",
    re.VERBOSE,
)
_SAME: dict[str, Operator] = {"==": "=", "≤": "<=", "≥": ">=", "≠": "!="}
_INDEXED = re.compile(r"(.+)\[(-?\d{1,6})\]\Z")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_filter(text: str) -> Filter | None:
    """The filter that ``text`` says; None where it says nothing.

    Raises:
        BadInput: it cannot be read: where, what was expected, and an example.

    >>> read = parse_filter("kl_plain > 1")
    >>> isinstance(read, ColumnComparison) and (read.column.text, read.operator, read.value.text)
    ('kl_plain', '>', '1')
    """
    if len(text) > LONGEST:
        raise BadInput(f"the filter has {len(text):,} characters: at most {LONGEST:,} are read")
    tokens = list(_tokens(text))
    return _Parser(tokens, len(text)).whole() if tokens else None


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            _refuse(f"{text[at:].strip()[:20]!r} cannot be read")
        if match.lastgroup == "open_quote":
            _refuse(f"the quote at character {match.start('open_quote') + 1} is not closed")
        yield _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        at = match.end()


def _refuse(why: str) -> NoReturn:
    raise BadInput(f"{why}, as in kl_plain > 1 or tags:capital")


class _Parser:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[_Token], end: int) -> None:
        self._tokens, self._at, self._end, self._depth = tokens, 0, end, 0

    def whole(self) -> Filter:
        """The whole filter."""
        read = self._any()
        if (token := self._peek()) is not None:
            _refuse(f"{token.text!r} at character {token.at + 1} has no bracket to close")
        return read

    def _peek(self, ahead: int = 0) -> _Token | None:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def _is(self, kind: str, *texts: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and token.kind == kind and (not texts or token.text.lower() in texts)

    def _take(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _any(self) -> Filter:
        terms = [self._all()]
        while self._is("word", "or", "||", "|"):
            self._take()
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else Joined("or", tuple(terms))

    def _all(self) -> Filter:
        terms = [self._turned()]
        while (
            self._peek() is not None
            and not self._is("word", "or", "||", "|")
            and not self._is("bracket", ")")
        ):
            if self._is("word", "and", "&&", "&"):
                self._take()
            terms.append(self._turned())
        return terms[0] if len(terms) == 1 else Joined("and", tuple(terms))

    def _turned(self) -> Filter:
        self._depth += 1
        if self._depth > _DEEPEST:
            _refuse(f"more than {_DEEPEST} brackets or turns within each other")
        try:
            if self._is("word", "not", "!") and not self._is("operator", ahead=1):
                self._take()
                return Not(self._turned())
            if (
                self._is("word")
                and (word := self._tokens[self._at]).text[0] == "-"
                and not _is_number(word.text)
            ):
                self._tokens[self._at] = _Token("word", word.text[1:], word.at + 1)
                if not word.text[1:]:
                    self._take()
                return Not(self._turned())
            return self._term()
        finally:
            self._depth -= 1

    def _term(self) -> Filter:
        if self._is("bracket", "("):
            opened = self._take()
            inner = self._any()
            if not self._is("bracket", ")"):
                _refuse(f"the bracket at character {opened.at + 1} is not closed")
            self._take()
            return inner
        first = self._operand("a word or a comparison")
        if not self._is("operator"):
            return AnyText(first.text if first.index is None else f"{first.text}[{first.index}]")
        sign = self._take().text
        operator: Operator = _SAME.get(sign, sign)  # type: ignore[arg-type]
        return ColumnComparison(first, operator, self._operand(f"a value after {sign!r}"))

    def _operand(self, what: str) -> Operand:
        token = self._peek()
        if token is None:
            _refuse(f"the filter ends where {what} should be")
        if token.kind not in ("word", "quoted"):
            _refuse(f"{token.text!r} at character {token.at + 1} is where {what} should be")
        self._take()
        if token.kind == "quoted":
            return Operand(token.text[1:-1], is_quoted=True)
        indexed = _INDEXED.match(token.text)
        return Operand(indexed[1], index=int(indexed[2])) if indexed else Operand(token.text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
