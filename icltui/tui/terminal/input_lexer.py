"""What a terminal sends, cut where one thing ends: typed text, a key's sequence, a paste, an answer that nobody awaits.

Bytes enter, with the time at which they came; pieces leave. A sequence may come in several reads: what is not whole is
held until its rest comes or the line falls silent. The grammar is that of ECMA-48, with what xterm's "Control
Sequences", kitty's documents, rxvt and the Linux console add to it; controls in eight bits are read as those in seven.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

BURST = 0.03
"""Seconds within which what follows an Escape belongs to it: two keys of one person lie further apart."""
SILENCE = 1.0
"""Seconds without a byte after which the rest of a sequence, or of an answer, comes no more."""
PASTE_SILENCE = 10.0
"""The same inside a paste, whose rest would be typed."""
PASTE_LIMIT = 2**24
"""Most characters of one paste."""
ANSWER_LIMIT = 2**24
"""Most characters of one answer: a clipboard may be long."""
_SEQUENCE_LIMIT = 256
"""Most characters of any other sequence."""

_ESC = "\x1b"
_CSI = r"(?:\x1b\[|[\x9b\udc9b])"
_SS3 = r"(?:\x1bO|[\x8f\udc8f])"
_OSC = r"(?:\x1b\]|[\x9d\udc9d])"
_DCS = r"(?:\x1bP|[\x90\udc90])"
_APC = r"(?:\x1b_|[\x9f\udc9f])"
_BEGINS = r"\x1b\x8f\x90\x9b\x9d\x9f"
"""What text ends at; a byte that is no UTF-8 stands as a lone surrogate (PEP 383)."""
_TOKEN = re.compile(
    rf"""(?P<text> [^{_BEGINS}\ud800-\udfff]+ )
    | (?P<paste> {_CSI} 200~ )
    | (?P<answer> {_OSC} (?=[\dlL]) | {_DCS} (?=[!$+\d<=>?@]) | {_APC} (?=G) )
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
"""The beginning of something, at the end of what has come."""
_MORE = re.compile(r"[\[O\]P_/][ -~]")
"""What nobody types in one read: the rest of a sequence whose Escape came a moment before."""
_LATE = re.compile(
    r"\[[\d<=>?] | \[\[?[A-Z](?=\Z|\x1b) | O[A-DFHP-S](?=\Z|\x1b) | /Z\Z | \][\dlL] | P[!$+\d>@] | _G",
    re.VERBOSE,
)
"""The same where the Escape has been given out since, and much may have been typed: sequences alone."""
_BODY = re.compile(r"[^\x00-\x1f\x9c\udc9c]*")
_END_OF_ANSWER = re.compile(r"\x1b\\|[\x07\x9c\udc9c]")
_END_OF_PASTE = re.compile(rf"{_CSI}201~")
_HELD_IN_PASTE = re.compile(r"(?:\x1b|(?:\x1b\[|[\x9b\udc9b])(?:2(?:01?)?)?)\Z")
_UNREADABLE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class TypedText:
    """Characters that were typed, one key each."""

    text: str


@dataclass(frozen=True)
class EscapeSequence:
    """A whole escape sequence, in seven bits; Alt and a character also is one."""

    text: str


@dataclass(frozen=True)
class EscapeKey:
    """The key itself."""


@dataclass(frozen=True)
class PastedText:
    """What came between the brackets of a paste."""

    text: str
    """With U+FFFD for each byte that could not be read."""
    n_unreadable: int
    """How many those were."""
    n_lost: int
    """Characters beyond ``PASTE_LIMIT``."""


@dataclass(frozen=True)
class UndecodedBytes:
    """Bytes outside a paste that are no UTF-8."""

    n: int


Piece = TypedText | EscapeSequence | EscapeKey | PastedText | UndecodedBytes


class InputLexer:
    """Where the stream of one terminal stands.

    Args:
        escape_delay: seconds after which an Escape that nothing followed is the key.
    """

    def __init__(self, escape_delay: float) -> None:
        self._escape_delay = escape_delay
        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._came = float("-inf")
        self._had_escape = False
        """Whether what came last was an Escape that was given out as the key."""
        self._open: _OpenPaste | _OpenAnswer | None = None

    @property
    def deadline(self) -> float | None:
        """When ``expire`` is due; None while nothing is held."""
        if self._open is not None:
            return self._came + self._open.silence
        if not self._held:
            return None
        return self._came + (self._escape_delay if self._held == _ESC else SILENCE)

    def feed(self, data: bytes, now: float) -> Iterator[Piece]:
        """What is whole of all that has come."""
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
        """What is given out, or given up, because its rest has not come in time."""
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
        """Whether ``text`` goes on what an Escape in the read before began."""
        if self._held == _ESC and self._open is None and gap > BURST and not _MORE.match(text):
            self._held = ""
            yield EscapeKey()
        elif self._had_escape and gap <= SILENCE and _LATE.match(text):
            self._held = _ESC  # its key is out, but the rest is no text
        self._had_escape = False

    def _take(self) -> Iterator[Piece]:
        """The first thing of what is held."""
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
            case "answer":
                self._open = _OpenAnswer()

    def _close(self) -> Iterator[Piece]:
        if isinstance(self._open, _OpenPaste):
            yield self._open.paste()
        self._open = None


class _OpenPaste:
    """A paste whose end has not come yet."""

    silence: ClassVar[float] = PASTE_SILENCE

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._n = 0

    def take(self, held: str) -> tuple[str, bool]:
        """What of ``held`` is left behind the paste, and whether it has ended."""
        end = _END_OF_PASTE.search(held)
        stop = end or _HELD_IN_PASTE.search(held, max(0, len(held) - len("\x1b[201~")))
        self.add(held[: stop.start()] if stop else held)
        return (held[end.end() :] if end else held[stop.start() :] if stop else ""), end is not None

    def add(self, text: str) -> None:
        """Keep ``text``, up to the limit."""
        self._parts.append(text[: max(0, PASTE_LIMIT - self._n)])
        self._n += len(text)

    def paste(self) -> PastedText:
        """All of it."""
        text, n_unreadable = _UNREADABLE.subn("\ufffd", "".join(self._parts))
        return PastedText(text, n_unreadable, max(0, self._n - PASTE_LIMIT))


class _OpenAnswer:
    """The string of an answer whose end has not come yet; nothing of it is kept."""

    silence: ClassVar[float] = SILENCE

    def __init__(self) -> None:
        self._n = 0

    def take(self, held: str) -> tuple[str, bool]:
        """What of ``held`` is left behind the answer, and whether it has ended: at any key, where it was cut off."""
        body = _BODY.match(held)
        rest = held[body.end() :] if body else held
        self._n += len(held) - len(rest)
        if rest in ("", _ESC):
            return rest, self._n > ANSWER_LIMIT
        end = _END_OF_ANSWER.match(rest)
        return rest[end.end() if end else 0 :], True

    def add(self, text: str) -> None:
        """Leave ``text``."""


def _in_seven_bits(sequence: str) -> str:
    """The introducer as Escape and a character, where it came as one control of eight bits."""
    if sequence[0] == _ESC:
        return sequence
    return _ESC + chr((ord(sequence[0]) & 0xFF) - 0x40) + sequence[1:]
