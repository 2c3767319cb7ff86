"""What goes into one line of a terminal: token text made safe and visible, cut to a width, and numbers.

A token is any text at all: half a character, an escape sequence, markup. It reaches the screen through
:func:`content` or :func:`fit` and in no other way.
"""

import math
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from textual.content import Content

_VARIATION_SELECTORS = range(0xFE00, 0xFE10)


def display(text: str) -> str:
    """``text`` on one line, printable: line ends, tabs, outer spaces and everything invisible made visible.

    >>> display(" a\\n")
    '·a⏎'
    >>> display("\\x1b[31m")
    '␛[31m'
    """
    inner = text.strip(" ")
    lead = len(text) - len(text.lstrip(" "))
    shown = "".join(map(_visible, inner))
    if unicodedata.category(shown[:1] or "x").startswith("M"):
        shown = "◌" + shown  # else the mark would land on the neighbouring cell
    return "·" * lead + shown + "·" * (len(text) - lead - len(inner))


def _visible(character: str) -> str:
    code = ord(character)
    if character == "\n":
        return "⏎"
    if character == "\t":
        return "⇥"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    # Terminals disagree on the width of a character with a variation selector behind it.
    if character.isprintable() and code not in _VARIATION_SELECTORS:
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def content(text: str, style: str = "") -> Content:
    """``text`` as a widget may show it: one line, nothing in it read as markup."""
    return Content.styled(display(text), style)


@lru_cache(4096)
def fit(text: str, width: int) -> str:
    """``text`` on exactly ``width`` cells of a terminal, cut with ``…`` or padded with spaces."""
    shown = display(text)
    if cell_len(shown) <= width:
        return set_cell_size(shown, max(width, 0))
    return set_cell_size(set_cell_size(shown, width - 1).rstrip(" ") + "…", width) if width > 0 else ""


def number(value: float | None, width: int) -> str:
    """``value`` in at most three digits, right-aligned on exactly ``width`` cells.

    A number that does not fit is cut to fewer digits, and to ``#`` where even one is too many.

    >>> number(0.412, 7), number(1.2e-7, 7), number(None, 3)
    ('  0.412', '1.2e-07', '  ·')
    """
    if value is None or not math.isfinite(value):
        return "·".rjust(width)[: max(width, 0)]
    texts = (_digits(value, digits) for digits in (3, 2, 1))
    fitting = next((text for text in texts if len(text) <= width), "#" * width)
    return fitting.rjust(width)


def graduate(values: Sequence[float]) -> list[str]:
    """The numbers at an axis or a ramp, in three digits or as many as tell them apart.

    >>> graduate([0.5, 1.0]), graduate([0.0082001, 0.0082002])
    (['0.5', '1'], ['0.0082001', '0.0082002'])
    """
    n_different = len(set(values))
    tried = ([f"{value:.{digits}g}" for value in values] for digits in range(3, 18))
    return next(texts for texts in tried if len(set(texts)) == n_different)


def _digits(value: float, digits: int) -> str:
    size = abs(value)
    if size == 0:
        return "0"
    if not 0.00995 <= size < 99_995:
        return f"{value:.{digits - 2 if digits > 1 else 0}e}"
    whole = len(str(int(size)))
    decimals = max(0, digits - whole) if size >= 1 else digits
    return f"{value:.{decimals}f}"
