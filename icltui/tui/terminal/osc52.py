"""Text on its way to the clipboard of the terminal, which may be at the far end of an SSH line.

Text enters, what is written to the terminal leaves: OSC 52, and inside tmux or GNU screen the same once more in a wrap
that lets it through. No terminal ever answers, so nobody knows whether it arrived.
"""

import base64
import re
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

LIMIT = 74_994
"""Most encoded bytes that terminals are known to take."""
_SCREEN_PIECE = 240
"""GNU screen passes no longer strings on."""


@runtime_checkable
class Copyable(Protocol):
    """A widget whose content can be copied."""

    def copied(self) -> str:
        """All of it as plain text: what is out of sight too."""
        ...


def copyable_text(text: str) -> str:
    """``text`` without half characters, which no encoding has."""
    return text.encode("utf-8", "replace").decode("utf-8")


def encoded_size(text: str) -> int:
    """How many bytes of base64 the text takes."""
    return -(-len(copyable_text(text).encode()) // 3) * 4


def passed_on(text: str, environ: Mapping[str, str]) -> str:
    """What is written besides OSC 52 itself where a multiplexer stands between: the same, wrapped.

    tmux hands a bare OSC 52 on with ``set-clipboard on``, and the wrapped one with ``allow-passthrough on``; each is
    off by default in some version, and twice does no harm.
    """
    sequence = f"\x1b]52;c;{base64.b64encode(copyable_text(text).encode()).decode()}\a"
    if environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environ.get("STY"):
        pieces = re.findall(rf"(?s).{{1,{_SCREEN_PIECE}}}", sequence)
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return ""
