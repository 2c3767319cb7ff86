"""Text for one line of a terminal: token text made safe and visible, cut to a width, and numbers.

A token can be any text: half a character, an escape sequence, markup. It reaches the screen only through
:func:`content`, :func:`passage`, :func:`fit` or, in an editor, :func:`drawn`.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from icltui.text.escape import glyph

CURSOR = "❯"
"""Mark before what is selected, for terminals without colours."""
_RARE = re.compile("[^ -~\t]")
_LINE_ENDS = {"\x85": "␤", "\u2028": "↵", "\u2029": "⁋"}
"""Unicode's line and paragraph ends, which have no control picture."""


def display(text: str) -> str:
    """``text`` on one line, printable: line ends, tabs, outer spaces and everything invisible made visible.

    >>> display(" a\\n")
    '·a⏎'
    >>> display("\\x1b[31m")
    '␛[31m'
    """
    inner = text.strip(" ")
    lead = len(text) - len(text.lstrip(" "))
    shown = "".join(map(glyph, inner))
    return "·" * lead + _carried(shown) + "·" * (len(text) - lead - len(inner))


def _carried(shown: str) -> str:
    """``shown`` with a carrier for a combining mark at its start, which would land on the cell before."""
    return "◌" + shown if unicodedata.category(shown[:1] or "x").startswith("M") else shown


def readable(text: str) -> str:
    """A part of a running text: spaces stay spaces, everything else invisible is shown.

    >>> readable(" a\\n")
    ' a⏎'
    """
    return _carried("".join(map(glyph, text)))


def content(text: str, style: str = "") -> Content:
    """``text`` on one line, for a widget; nothing in it is markup."""
    return Content.styled(display(text), style)


def passage(text: str, start: int = 0, end: int = 0, style: str = "") -> Content:
    """A running text: spaces stay spaces but for the first character; ``text[start:end]`` is in ``style``."""
    shown = [glyph(character) for character in text]
    if shown:
        shown[0] = "·" if text[0] == " " else _carried(shown[0])
    before, marked = "".join(shown[:start]), "".join(shown[start:end])
    return Content("".join(shown)).stylize(style, len(before), len(before) + len(marked))


@lru_cache(1024)
def drawn(line: str) -> str:
    """``line`` as an editor draws it: as many characters, each of them printable, so that the cursor's column is right.

    >>> drawn("a\\x1b[2J")
    'a␛[2J'
    """
    return _RARE.sub(lambda match: _drawn(match[0]), line)


@lru_cache(4096)
def _drawn(character: str) -> str:
    if len(shown := glyph(character)) == 1:
        return shown
    is_space = unicodedata.category(character) == "Zs"
    return character if is_space else _LINE_ENDS.get(character, "\N{REPLACEMENT CHARACTER}")


@lru_cache(4096)
def fit(text: str, width: int) -> str:
    """``text`` on exactly ``width`` cells of a terminal, cut with ``…`` or padded with spaces; no text is ``␣``."""
    shown = display(text) or "␣"
    if cell_len(shown) <= width:
        return set_cell_size(shown, max(width, 0))
    return set_cell_size(set_cell_size(shown, width - 1).rstrip(" ") + "…", width) if width > 0 else ""


def number(value: float | None, width: int) -> str:
    """``value`` in three digits, or three decimals up to 1, right-aligned on exactly ``width`` cells.

    A number that does not fit is cut to fewer digits, and to ``#`` where even one is too many or would read 0.

    >>> number(0.412, 7), number(1.2e-7, 7), number(None, 3)
    ('  0.412', '1.2e-07', '  ·')
    """
    if value is None or not math.isfinite(value):
        return "·".rjust(width)[: max(width, 0)]
    texts = (_digits(value, digits) for digits in (3, 2, 1))
    fits = (text for text in texts if len(text) <= width and (value == 0 or float(text) != 0))
    fitting = next(fits, "#" * width)
    return fitting.rjust(width)


def graduate(values: Sequence[float]) -> list[str]:
    """The numbers at an axis or a ramp, in three digits, or more where they would be equal.

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
    decimals = digits if round(size, digits) <= 1 else max(0, digits - whole)
    return f"{value:.{decimals}f}"
