"""Values as JSON for people, scripts and diffs: one short thing, such as a row of numbers, on each line."""

import json
import re
from typing import Any

import msgspec

_LINE = 560
"""What is shorter than this, in characters, stays on one line."""
_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def pretty(value: object) -> str:
    """Structs, lists and plain values as JSON of which each line holds as much as is read at one glance.

    Half characters, and those that a terminal would act on, are escaped.

    Raises:
        ValueError: a number in it is not finite.
    """
    text = _lay_out(msgspec.to_builtins(value), "")
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _lay_out(value: Any, indent: str) -> str:
    if not _is_long(value):
        flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if len(flat) <= _LINE or not isinstance(value, dict | list | tuple):
            return flat
    inner = indent + " "
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}: {_lay_out(item, inner)}" for key, item in value.items()
        ]
        opening, closing = "{}"
    else:
        parts = [_lay_out(item, inner) for item in value]
        opening, closing = "[]"
    body = ",\n".join(inner + part for part in parts)
    return f"{opening}\n{body}\n{indent}{closing}"


def _is_long(value: Any) -> bool:
    """Whether it holds too many things for one line; found without writing them, which may take a second each."""
    if not isinstance(value, dict | list | tuple):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return len(value) > _LINE // 3 or any(map(_is_long, inner))
