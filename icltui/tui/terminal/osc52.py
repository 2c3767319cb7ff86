"""The terminal's clipboard by OSC 52, which works over SSH; inside tmux or GNU screen the sequence is wrapped as well.

No terminal confirms it, so nobody knows whether the text arrived.
"""

import base64
import re
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

LIMIT = 74_994
"""Most encoded bytes that terminals take."""
_SCREEN_PIECE = 240
"""Most characters of a string that GNU screen passes on."""


@runtime_checkable
class Copyable(Protocol):
    """A widget whose content can be copied."""

    def copied(self) -> str:
        """The whole content as plain text, also what is out of sight."""
        ...


def copyable_text(text: str) -> str:
    """``text`` without half characters (lone surrogates), which cannot be encoded."""
    return text.encode("utf-8", "replace").decode("utf-8")


def encoded_size(text: str) -> int:
    """The bytes of the text in base64."""
    return -(-len(copyable_text(text).encode()) // 3) * 4


def passed_on(text: str, environ: Mapping[str, str]) -> str:
    """OSC 52 wrapped for tmux or GNU screen, or nothing outside them; it is written besides the bare sequence.

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
