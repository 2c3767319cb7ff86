"""Texts, numbers and JSON as every database takes them."""

import math
import re
from collections.abc import Mapping
from typing import Any

from icltui.text.escape import glyph

MOST_TEXT = 10_000
"""Characters of a text: a longer one is cut, and ends with …."""
_MOST_ITEMS = 1_000
"""Of a list in JSON, such as a recipe's queries; a longer one ends with …."""
_NOT_STORED = re.compile("[\0\ud800-\udfff]")
"""What PostgreSQL refuses in a text: NUL, and halves of characters."""


def stored_text(text: str) -> str:
    """The text with NUL as ␀ and half a character as its number, :data:`MOST_TEXT` characters at most.

    >>> stored_text("a\\0b\\udc80")
    'a␀b\\\\udc80'
    """
    text = _NOT_STORED.sub(lambda match: glyph(match[0]), text[: MOST_TEXT + 1])
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"


def stored_or_none(text: str | None) -> str | None:
    """:func:`stored_text` of a text that may be missing."""
    return None if text is None else stored_text(text)


def stored_number(value: float | None) -> float | None:
    """None too where it is not finite, which not every database holds."""
    return value if value is not None and math.isfinite(value) else None


def stored_json(value: Any) -> Any:
    """Plain JSON whose texts are stored ones, and whose lists have an end."""
    if isinstance(value, str):
        return stored_text(value)
    if isinstance(value, Mapping):
        return {stored_text(name): stored_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [*map(stored_json, value[:_MOST_ITEMS]), *(["…"] if len(value) > _MOST_ITEMS else [])]
    return value
