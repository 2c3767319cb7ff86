"""Something that differs, in words that can be read at one glance.

Enters: what was saved and what was computed again. Leaves: a :class:`~icltui.values.Difference`.
"""

from typing import Any

import msgspec

from icltui.values import Difference, DifferenceKind, Token

_LONGEST = 48
_BEFORE = 12
"""Characters shown in front of where two long texts part."""


def difference(kind: DifferenceKind, at: str, saved: object, again: object) -> Difference:
    """It, with as much of both as is needed to see that they differ."""
    if isinstance(saved, str) and isinstance(again, str):
        saved, again = _where_they_part(saved, again)
    return Difference(kind=kind, at=at, saved=_words(saved), recomputed=_words(again))


def _where_they_part(saved: str, again: str) -> tuple[str, str]:
    """Both texts from shortly before they part, where that is far behind."""
    same = next((k for k, (a, b) in enumerate(zip(saved, again, strict=False)) if a != b), None)
    start = (min(len(saved), len(again)) if same is None else same) - _BEFORE
    return (f"…{saved[start:]}", f"…{again[start:]}") if start > 0 else (saved, again)


def _words(value: Any) -> str:
    match value:
        case None:
            text = "none"
        case msgspec.UnsetType():
            text = "absent"
        case bool():
            text = "true" if value else "false"
        case float():
            text = f"{value:.6g}"
        case Token(id=number, text=token):
            text = f"{number} {token!r}"
        case str():
            text = repr(value)
        case tuple() if value and all(isinstance(entry, str) for entry in value):
            text = "; ".join(value)
        case tuple() | dict():
            text = f"{len(value)} entries"
        case msgspec.Struct():
            text = "there"
        case _:
            text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
