"""The terminal that the explorer is drawn on: the modes it is set to, its size, its encoding."""

import os
import sys
from typing import Protocol, runtime_checkable

from textual import constants

_FULL_SCREEN = "\x1b[?1047h\x1b[?25l\x1b[?7l\x1b[?1004h\x1b[?2004h"
"""The alternate screen, no cursor, no line wrap, and word of focus and of pastes."""
_MOUSE = "\x1b[?1000h\x1b[?1003h\x1b[?1015h\x1b[?1006h"
_KITTY_KEYS = "\x1b[=25u"
"""The kitty keyboard protocol, set rather than pushed onto the terminal's stack of modes."""


@runtime_checkable
class ResettableDriver(Protocol):
    """A driver that can reset its terminal."""

    def reset(self) -> None:
        """Set the terminal's modes again, and send ``TerminalReset``."""
        ...


def modes(mouse: bool) -> str:
    """The sequences that put a terminal into full-screen mode; they can be sent again at any time."""
    return _FULL_SCREEN + (_MOUSE if mouse else "") + ("" if constants.DISABLE_KITTY_KEY else _KITTY_KEYS)


def size() -> tuple[int, int] | None:
    """Columns and lines of the terminal itself, whatever the environment says; None where it is no terminal."""
    for stream in (sys.__stderr__, sys.__stdin__):
        try:
            columns, lines = os.get_terminal_size(stream.fileno()) if stream else (0, 0)
        except (OSError, ValueError):  # no terminal, or closed
            continue
        if columns and lines:
            return columns, lines
    return None


def encoding_notice() -> str:
    """The notice where the locale is not UTF-8, in which the screen is written all the same."""
    encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
    if encoding.lower().replace("-", "").replace("_", "") == "utf8":
        return ""
    return (
        f"the locale's encoding is {encoding}, the screen is written in UTF-8: "
        "if it looks garbled, set both the terminal and LC_ALL to UTF-8"
    )
