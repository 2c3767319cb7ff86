"""Text of any origin as characters that a terminal shows and does not act on."""

_JOINING = frozenset(
    (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), *range(0x1F1E6, 0x1F200), *range(0x1F3FB, 0x1F400))
)
"""Variation selectors, the letters of flags and skin tones: terminals disagree on the width of what they are in."""
_BLANKS = "\u034f\u115f\u1160\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
"""Characters that are printable to Unicode, and that no terminal shows."""


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
    if character.isprintable() and code not in _JOINING and character not in _BLANKS:
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
