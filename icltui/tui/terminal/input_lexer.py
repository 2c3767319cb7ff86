"""The lexer of a terminal's input: typed text, escape sequences, pastes, and replies to queries, which are dropped.

A sequence may come in several reads: an incomplete one is held until its rest comes or a time has passed. The grammar
is that of ECMA-48, with what xterm's "Control Sequences", kitty's documents, rxvt and the Linux console add to it;
8-bit controls are read as the 7-bit ones.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

BURST = 0.03
"""Seconds within which what follows an Escape belongs to it: a person's keys are further apart."""
SILENCE = 1.0
"""Seconds without a byte after which a sequence or a reply is given up."""
PASTE_SILENCE = 10.0
"""Seconds without a byte after which a paste ends; its rest would be typed."""
PASTE_LIMIT = 2**24
"""Most characters of one paste."""
REPLY_LIMIT = 2**24
"""Most characters of one reply: a clipboard may be long."""
_ANSWER = 128
"""Most characters that are kept of a reply."""
_SEQUENCE_LIMIT = 256
"""Most characters of any other sequence."""

_ESC = "\x1b"
_CSI = r"(?:\x1b\[|[\x9b\udc9b])"
_SS3 = r"(?:\x1bO|[\x8f\udc8f])"
_OSC = r"(?:\x1b\]|[\x9d\udc9d])"
_DCS = r"(?:\x1bP|[\x90\udc90])"
_APC = r"(?:\x1b_|[\x9f\udc9f])"
_BEGINS = r"\x1b\x8f\x90\x9b\x9d\x9f"
"""Characters that end a text; a byte that is not UTF-8 is a lone surrogate (PEP 383)."""
_TOKEN = re.compile(
    rf"""(?P<text> [^{_BEGINS}\ud800-\udfff]+ )
    | (?P<paste> {_CSI} 200~ )
    | (?P<reply> {_OSC} (?=[\dlL]) | {_DCS} (?=[!$+\d<=>?@]) | {_APC} (?=G) )
    | (?P<sequence>
        {_CSI} (?: \[[A-E] | M[^\x1b]{{3}} | \d+\$ | (?![\[M]) [0-?]*[ -/]*[@-~] )
        | {_SS3} [\d;]*[ -~]
        | \x1b/Z )
    | (?P<broken> {_CSI} [ -?]+ | {_SS3} [\d;]+ )
    | (?P<alt> \x1b [^\x1b\ud800-\udfff] )
    | (?P<escape> \x1b )
    | (?P<unreadable> [\ud800-\udfff]+ )
    | (?P<stray> . )""",
    re.VERBOSE | re.DOTALL,
)
_HELD = re.compile(
    rf"""(?: \x1b[\]P_/]? | {_CSI} (?! \d+\$\Z ) (?: \[ | M[^\x1b]{{0,2}} | [0-?]*[ -/]* ) | {_SS3} [\d;]*
    | [\x90\x9d\x9f\udc90\udc9d\udc9f] ) \Z""",
    re.VERBOSE,
)
"""An incomplete sequence at the end of the input."""
_MORE = re.compile(r"[\[O\]P_/][ -~]")
"""The rest of a sequence whose Escape came in the read before; nobody types it in one read."""
_LATE = re.compile(
    r"\[[\d<=>?] | \[\[?[A-Z](?=\Z|\x1b) | O[A-DFHP-S](?=\Z|\x1b) | /Z\Z | \][\dlL] | P[!$+\d>@] | _G",
    re.VERBOSE,
)
"""The rest of a sequence whose Escape was already returned as a key: only what cannot be typed text."""
_BODY = re.compile(r"[^\x00-\x1f\x9c\udc9c]*")
_END_OF_REPLY = re.compile(r"\x1b\\|[\x07\x9c\udc9c]")
_END_OF_PASTE = re.compile(rf"{_CSI}201~")
_HELD_IN_PASTE = re.compile(r"(?:\x1b|(?:\x1b\[|[\x9b\udc9b])(?:2(?:01?)?)?)\Z")
_UNREADABLE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class TypedText:
    """Characters that were typed, one key each."""

    text: str


@dataclass(frozen=True)
class EscapeSequence:
    """A whole escape sequence in seven bits, Alt and a character included."""

    text: str


@dataclass(frozen=True)
class EscapeKey:
    """The Escape key."""


@dataclass(frozen=True)
class PastedText:
    """A bracketed paste."""

    text: str
    """The text, with U+FFFD for each byte that is not UTF-8."""
    n_unreadable: int
    """The number of such bytes."""
    n_lost: int
    """Characters beyond ``PASTE_LIMIT``."""


@dataclass(frozen=True)
class UndecodedBytes:
    """Bytes outside a paste that are no UTF-8."""

    n: int


@dataclass(frozen=True)
class GraphicsAnswer:
    """What a terminal says about a picture (kitty's protocol)."""

    text: str


Piece = TypedText | EscapeSequence | EscapeKey | PastedText | UndecodedBytes | GraphicsAnswer


class InputLexer:
    """The state of one terminal's input.

    Args:
        escape_delay: seconds after which an Escape that nothing followed is the key.
    """

    def __init__(self, escape_delay: float) -> None:
        self._escape_delay = escape_delay
        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._came = float("-inf")
        self._had_escape = False
        """Whether the last piece was an Escape, returned as the key."""
        self._open: _OpenPaste | _OpenReply | None = None

    @property
    def deadline(self) -> float | None:
        """When :meth:`expire` is due; None while nothing is held."""
        if self._open is not None:
            return self._came + self._open.silence
        if not self._held:
            return None
        return self._came + (self._escape_delay if self._held == _ESC else SILENCE)

    def feed(self, data: bytes, now: float) -> Iterator[Piece]:
        """The complete pieces of the input so far."""
        text = self._decoder.decode(data)
        yield from self._meet_escape(text, now - self._came)
        self._held, self._came = self._held + text, now
        while self._held:
            if self._open is not None:
                self._held, is_over = self._open.take(self._held)
                if not is_over:
                    return
                yield from self._close()
            elif _HELD.match(self._held) and len(self._held) <= _SEQUENCE_LIMIT:
                return
            else:
                yield from self._take()

    def expire(self, now: float) -> Iterator[Piece]:
        """The pieces whose rest has not come in time, or nothing where they are given up."""
        if self.deadline is None or now < self.deadline:
            return
        held, self._held = self._held, ""
        if self._open is not None:
            self._open.add(held)
            yield from self._close()
        elif held == _ESC:
            self._had_escape = True
            yield EscapeKey()
        elif len(held) == 2 and held[0] == _ESC:
            yield EscapeSequence(held)

    def _meet_escape(self, text: str, gap: float) -> Iterator[Piece]:
        """Decide whether ``text`` continues the Escape of the read before."""
        if self._held == _ESC and self._open is None and gap > BURST and not _MORE.match(text):
            self._held = ""
            yield EscapeKey()
        elif self._had_escape and gap <= SILENCE and _LATE.match(text):
            self._held = _ESC  # the key was returned, but the rest is no text
        self._had_escape = False

    def _take(self) -> Iterator[Piece]:
        """The first piece of what is held."""
        match = _TOKEN.match(self._held)
        assert match is not None, "any character is at least a stray one"
        self._held, found = self._held[match.end() :], match[0]
        match match.lastgroup:
            case "text":
                yield TypedText(found)
            case "sequence" | "alt":
                yield EscapeSequence(_in_seven_bits(found))
            case "escape":
                yield EscapeKey()
            case "unreadable":
                yield UndecodedBytes(len(found))
            case "paste":
                self._open = _OpenPaste()
            case "reply":
                self._open = _OpenReply()

    def _close(self) -> Iterator[Piece]:
        if isinstance(self._open, _OpenPaste):
            yield self._open.paste()
        elif self._open is not None and self._open.text.startswith("G"):
            yield GraphicsAnswer(self._open.text)
        self._open = None


class _OpenPaste:
    """A paste whose end has not come yet."""

    silence: ClassVar[float] = PASTE_SILENCE

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._n = 0

    def take(self, held: str) -> tuple[str, bool]:
        """The rest of ``held`` after the paste, and whether the paste has ended."""
        end = _END_OF_PASTE.search(held)
        stop = end or _HELD_IN_PASTE.search(held, max(0, len(held) - len("\x1b[201~")))
        self.add(held[: stop.start()] if stop else held)
        return (held[end.end() :] if end else held[stop.start() :] if stop else ""), end is not None

    def add(self, text: str) -> None:
        """Keep ``text``, up to the limit."""
        self._parts.append(text[: max(0, PASTE_LIMIT - self._n)])
        self._n += len(text)

    def paste(self) -> PastedText:
        """The whole paste."""
        text, n_unreadable = _UNREADABLE.subn("\ufffd", "".join(self._parts))
        return PastedText(text, n_unreadable, max(0, self._n - PASTE_LIMIT))


class _OpenReply:
    """A reply whose end has not come yet; all but its beginning is dropped."""

    silence: ClassVar[float] = SILENCE

    def __init__(self) -> None:
        self._n = 0
        self.text = ""
        """The beginning, as much of it as an answer about a picture has."""

    def take(self, held: str) -> tuple[str, bool]:
        """The rest of ``held`` after the reply, and whether the reply has ended; any key ends one that was cut off."""
        body = _BODY.match(held)
        rest = held[body.end() :] if body else held
        self._n += len(held) - len(rest)
        self.text += held[: min(len(held) - len(rest), _ANSWER - len(self.text))]
        if rest in ("", _ESC):
            return rest, self._n > REPLY_LIMIT
        end = _END_OF_REPLY.match(rest)
        return rest[end.end() if end else 0 :], True

    def add(self, text: str) -> None:
        """Drop ``text``."""


def _in_seven_bits(sequence: str) -> str:
    """The sequence with its introducer as Escape and a character, also where that came as one 8-bit control."""
    if sequence[0] == _ESC:
        return sequence
    return _ESC + chr((ord(sequence[0]) & 0xFF) - 0x40) + sequence[1:]
