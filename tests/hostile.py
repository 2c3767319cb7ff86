"""Texts that have broken terminals, markup parsers and column counts, and ways to put them wherever a text is."""

import unicodedata
from collections.abc import Callable, Iterable
from itertools import cycle
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from rich.cells import cell_len
from wcwidth import wcwidth

TOKENS = (
    "[/INST]",
    "[/]",
    "a [/ b",
    "[red]x[/red]",
    "[@click=app.quit]x[/]",
    "\x1b[31mred\x1b[0m",
    "\x1b[2J\x1b]0;title\x07",
    "\x1b]52;c;aGk=\x1b\\",
    "\x9b31m",
    "\x9f\x00\x7f\x08",
    "\ud800",
    "\udc80\udcff",
    "漢字かな",
    "ｗｉｄｅ",
    "שלום \u202eabc\u2067",
    "مرحبا",
    "👩\u200d👩\u200d👧",
    "🇩🇪",
    "🇩",
    "👍🏽",
    "🏽",
    "☝🏽",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    "\u0301",
    "e\u0301\u0302\u0303",
    "\u1112\u1161\u11ab",
    "क्षि",
    "\u200b\u200d\ufeff\u2060",
    "\xad\u034f",
    "\xa0\u3000",
    "\u2028x\u2029",
    "line\nbreak\r\n",
    "\t tab ",
    "   ",
    "",
    "x" * 300,
    "漢" * 150,
)
PIECES = st.one_of(st.sampled_from(TOKENS), st.text(st.characters(categories=None), max_size=12))
"""Any text there is; lone surrogates and control characters are among the characters."""
TEXTS = st.lists(PIECES, min_size=1, max_size=4).map("".join)

T = TypeVar("T")


def poisoned(value: T, texts: Iterable[str]) -> T:
    """``value`` with another of ``texts``, round and round, in place of each text that is free to be any."""
    supply = cycle(texts)
    return _poison(value, msgspec.inspect.type_info(type(value)), lambda: next(supply))  # type: ignore[no-any-return]


def _poison(value: Any, kind: Any, text: Callable[[], str]) -> Any:
    match kind:
        case msgspec.inspect.StructType(fields=fields):
            changes = {f.name: _poison(getattr(value, f.name), f.type, text) for f in fields}
            return msgspec.structs.replace(value, **changes)
        case msgspec.inspect.VarTupleType(item_type=item):
            return tuple(_poison(each, item, text) for each in value)
        case msgspec.inspect.DictType(key_type=key, value_type=held):
            return {_poison(k, key, text): _poison(v, held, text) for k, v in value.items()}
        case msgspec.inspect.UnionType(types=kinds):
            return next((_poison(value, k, text) for k in kinds if _is_of(value, k)), value)
        case msgspec.inspect.StrType(pattern=None):  # one with a pattern is refused when it is read
            return text()
        case _:
            return value


def _is_of(value: Any, kind: Any) -> bool:
    match kind:
        case msgspec.inspect.StructType(cls=cls):
            return isinstance(value, cls)
        case msgspec.inspect.VarTupleType():
            return isinstance(value, tuple)
        case msgspec.inspect.DictType():
            return isinstance(value, dict)
        case msgspec.inspect.StrType():
            return isinstance(value, str)
        case _:
            return False


def cells_of(line: str) -> int:
    """How many cells a terminal gives to ``line``; fails where it would act on it, or where terminals disagree.

    Some add up the characters, others draw a cluster of them as one; what is safe is as wide for both.
    """
    unsafe = [character for character in line if not _is_safe(character)]
    assert not unsafe, f"{unsafe} would reach the terminal in {line!r}"
    line.encode("utf-8")
    one_by_one = sum(wcwidth(character) for character in line)
    assert one_by_one == cell_len(line), f"terminals disagree on the width of {line!r}"
    return one_by_one


def _is_safe(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"
