"""The terminal that the explorer is drawn on: the modes it is set to, its size, its encoding."""

import os
import sys
from typing import Protocol, runtime_checkable

from textual import constants

_FULL_SCREEN = "\x1b[?1047h\x1b[?25l\x1b[?7l\x1b[?1004h\x1b[?2004h"
"""The alternate screen, no cursor, no line wrap, and word of focus and of pastes."""
_MOUSE = "\x1b[?1000h\x1b[?1003h\x1b[?1015h\x1b[?1006h"
_KITTY_KEYS = "\x1b[=25u"
"""Keys that are told apart, all of them, with their text: set, and not put on top of what is set already."""


@runtime_checkable
class ResettableDriver(Protocol):
    """A driver whose terminal may be put into its state again."""

    def renew(self) -> None:
        """Do so, and send ``TerminalReset``."""
        ...


def modes(mouse: bool) -> str:
    """What puts a terminal that knows nothing of us into the state in which we draw; no harm to one that does."""
    return _FULL_SCREEN + (_MOUSE if mouse else "") + ("" if constants.DISABLE_KITTY_KEY else _KITTY_KEYS)


def size() -> tuple[int, int] | None:
    """Columns and lines of the terminal itself, whatever the environment says; None where it does not tell."""
    for stream in (sys.__stderr__, sys.__stdin__):
        try:
            columns, lines = os.get_terminal_size(stream.fileno()) if stream else (0, 0)
        except (OSError, ValueError):  # no terminal, or closed
            continue
        if columns and lines:
            return columns, lines
    return None


def encoding_notice() -> str:
    """What to tell where the locale is none of UTF-8, in which the screen is written all the same."""
    encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
    if encoding.lower().replace("-", "").replace("_", "") == "utf8":
        return ""
    return (
        f"the locale's encoding is {encoding}, the screen is written in UTF-8: "
        "if it looks garbled, set both the terminal and LC_ALL to UTF-8"
    )
