"""Values as JSON for people, scripts and diffs: one short thing, such as a row of numbers, on each line."""

import json
import re
from math import isfinite
from typing import Any

import msgspec

_LINE = 560
"""What is shorter than this, in characters, stays on one line."""
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
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
    """The value from the inside out: each thing is written once, and what fits goes on its line."""
    if isinstance(value, dict):
        inner = indent + " "
        parts = [f"{_scalar(key)}: {_lay_out(item, inner)}" for key, item in value.items()]
        return _joined(parts, indent, "{", "}")
    if isinstance(value, list | tuple):
        inner = indent + " "
        return _joined([_lay_out(item, inner) for item in value], indent, "[", "]")
    return _scalar(value)


def _joined(parts: list[str], indent: str, opening: str, closing: str) -> str:
    is_short = sum(map(len, parts)) + 2 * max(len(parts), 1) <= _LINE
    if is_short and not any("\n" in part for part in parts):
        return f"{opening}{', '.join(parts)}{closing}"
    inner = f",\n{indent} "
    return f"{opening}\n{indent} {inner.join(parts)}\n{indent}{closing}"


def _scalar(value: Any) -> str:
    if type(value) is float and isfinite(value):
        return repr(value)
    return _ENCODE(value)
