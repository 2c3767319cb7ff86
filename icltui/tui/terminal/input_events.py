"""The input of a terminal as Textual's messages: keys, mouse and pastes; late replies are dropped.

Textual's parser decides what a sequence means; it gets whole sequences alone, since it would type the rest of others.
"""

from collections.abc import Iterator

from textual import constants, events
from textual._xterm_parser import XTermParser
from textual.message import Message

from icltui.tui.terminal.graphics import REPLY
from icltui.tui.terminal.input_lexer import (
    EscapeKey,
    EscapeSequence,
    GraphicsAnswer,
    InputLexer,
    PastedText,
    Piece,
    TypedText,
    UndecodedBytes,
)
from icltui.tui.terminal.messages import PasteTruncated, TerminalReply, UndecodableInput

_KEPT = ("last_x", "last_y", "mouse_pixels", "terminal_size", "terminal_pixel_size")
"""The parser's attributes that describe the terminal."""

_DIGITS = "0123456789"

_SHORTEST_TEXT = 32
_FEWEST_WORDS = 4
"""What is in one read, at least, of a text that nobody typed: keys that waited for a slow line are no words."""
_REST = 0.05
"""Seconds after a read of such a text within which the next one is more of it."""

_LONGEST = 32
"""Characters of a sequence: Textual's parser takes a longer one for text."""


class InputEvents:
    """The messages of one terminal's input."""

    def __init__(self, escape_delay: float = constants.ESCAPE_DELAY) -> None:
        self._lexer = InputLexer(escape_delay)
        self._parser = XTermParser()
        self._text_came = float("-inf")
        """When text last came that nobody typed."""

    @property
    def deadline(self) -> float | None:
        """When :meth:`expire` is due; None while nothing is incomplete."""
        return self._lexer.deadline

    def feed(self, data: bytes, now: float) -> Iterator[Message]:
        """The messages that ``data``, read at ``now``, completes."""
        for piece in self._lexer.feed(data, now):
            if isinstance(piece, TypedText) and self._is_pasted(piece.text, now):
                self._text_came = now
                yield events.Paste(piece.text.replace("\0", ""))
            else:
                yield from self._messages(piece)

    def expire(self, now: float) -> Iterator[Message]:
        """The messages of what stayed incomplete until ``now``."""
        for piece in self._lexer.expire(now):
            yield from self._messages(piece)

    def _is_pasted(self, text: str, now: float) -> bool:
        """Whether a terminal that does not mark its pastes was given this one: its letters must run no commands."""
        is_rest = now - self._text_came <= _REST
        return is_rest or (len(text) >= _SHORTEST_TEXT and len(text.split()) >= _FEWEST_WORDS)

    def _messages(self, piece: Piece) -> Iterator[Message]:
        match piece:
            case TypedText(text):
                yield from self._parse(text)
            case EscapeKey():
                yield events.Key("escape", "\x1b")
            case GraphicsAnswer(text):
                yield TerminalReply(text)
            case EscapeSequence(text) if REPLY.fullmatch(text):
                yield TerminalReply(text)
            case EscapeSequence(text):
                yield from self._sequence(text)
            case PastedText(text, n_unreadable, n_lost):
                yield events.Paste(text.replace("\0", ""))
                if n_unreadable:
                    yield UndecodableInput(n_unreadable, is_paste=True)
                if n_lost:
                    yield PasteTruncated(n_lost)
            case UndecodedBytes(n):
                yield UndecodableInput(n, is_paste=False)

    def _sequence(self, sequence: str) -> Iterator[Message]:
        if (
            len(sequence) == 2 and sequence[1] in _DIGITS
        ):  # Textual knows it as what one terminal types for it
            yield events.Key(f"alt+{sequence[1]}", None)
            return
        found = self._parse(sequence) if len(sequence) <= _LONGEST else []
        if not found and len(sequence) == 2:  # Escape and a character that are no key of their own
            found = [_with_alt(event) for event in self._parse(sequence[1])]
        yield from found

    def _parse(self, text: str) -> list[Message]:
        """Textual's messages for ``text``, without keys of half a character."""
        try:
            found = list(self._parser.feed(text))
        except Exception:  # noqa: BLE001 -- whatever a terminal sends must not end the thread that reads
            found = []
        if not found:  # it may wait for the rest of what it does not know, or be broken
            self._parser = _successor(self._parser)
        return [message for message in found if not _is_half(message)]


def _with_alt(message: Message) -> Message:
    """The key with Alt, by Textual's name."""
    if not isinstance(message, events.Key) or len(message.key) != 1:
        return message
    shift = "shift+" if message.key.isupper() else ""
    return events.Key(f"alt+{shift}{message.key.lower()}", message.character)


def _is_half(message: Message) -> bool:
    """A key of half a character (a lone surrogate), which no text may hold."""
    character = message.character if isinstance(message, events.Key) else None
    return character is not None and any("\ud800" <= each <= "\udfff" for each in character)


def _successor(parser: XTermParser) -> XTermParser:
    new = XTermParser()
    for name in _KEPT:
        if hasattr(parser, name):
            setattr(new, name, getattr(parser, name))
    return new
