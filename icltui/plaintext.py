"""Tables and paragraphs as plain text of a given width: no colour, no markup, and nothing a terminal acts on."""

import io
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
"""Printable, says Unicode, and yet nothing is seen of them."""
_NARROWEST = 80
"""Below this a terminal wraps the lines, which shows more than cut numbers would."""


def visible(text: str) -> str:
    """``text`` on one line, each character that does not print replaced by one or some that do.

    >>> visible("a\\n\\x1b[31m")
    'a⏎␛[31m'
    """
    return "".join(map(glyph, text))


def token_text(text: str) -> str:
    """As :func:`visible`, and the spaces around it as dots.

    >>> token_text(" Rome ")
    '·Rome·'
    """
    if not (inner := text.strip(" ")):
        return "·" * len(text)
    lead = text.index(inner)
    return "·" * lead + visible(inner) + "·" * (len(text) - lead - len(inner))


def number(value: float | None) -> str:
    """A number in three digits; a dot where there is none.

    >>> number(0.41234), number(None)
    ('0.412', '·')
    """
    return "·" if value is None else f"{value:.3g}"


def words(title: str) -> Column:
    """A column of text, which is cut where the table is too wide."""
    return Column(title, overflow="ellipsis")


def numbers(*titles: str) -> list[Column]:
    """Columns of numbers, which are never cut while there is text to cut."""
    return [Column(title, justify="right", no_wrap=True) for title in titles]


def table(columns: Iterable[Column], rows: Iterable[Iterable[str]]) -> Table:
    """A table with one line for each row."""
    made = Table(*columns, box=None, padding=(0, 1), pad_edge=False, collapse_padding=True)
    for row in rows:
        made.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
    return made


def render(parts: Iterable[RenderableType], width: int) -> str:
    """The parts one below the other, with an empty line between them."""
    page = io.StringIO()
    console = Console(
        file=page, width=max(width, _NARROWEST), color_system=None, force_terminal=False, legacy_windows=False
    )
    for part in parts:
        console.print(Text(part) if isinstance(part, str) else part)
        console.print()
    lines = [line.rstrip() for line in page.getvalue().split("\n")]
    return "\n".join(lines).rstrip("\n") + "\n"


def glyph(character: str) -> str:
    """One character as a terminal may show it: itself, or something printable in its place."""
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
    if character.isprintable() and code not in _VARIATION_SELECTORS and character not in _BLANKS:
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
