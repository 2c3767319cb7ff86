"""The header of a GGUF file: its settings, and the name, shape, type and place of each tensor.

Enters: a file. Leaves: a :class:`GgufHeader`. No count in the file is believed: whatever would reach beyond the file's
end, or beyond what a header can be, is refused before it is read. The format is described in ggml's ``docs/gguf.md``.
"""

import math
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from icltui.storage.paths import shown
from icltui.values.errors import ModelError, reason_of

MAGIC = b"GGUF"
MOST_BYTES = 2**28
"""Bytes of a header; the largest vocabularies take 20 MB."""
MOST_ENTRIES = 2**22
"""Settings, tensors, or entries of a list; the largest known list has half a million merges."""
MOST_DIMENSIONS = 4
MOST_KEPT = 4096
"""Entries of a list of numbers that is kept: a list per layer is, the scores of a vocabulary are not."""
FLOATS = frozenset({"F32", "F16", "BF16"})
MOST_ALIGNMENT = 2**16
_WIDTHS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""The format's types of numbers, as ``struct`` names them."""
_STRING, _LIST = 8, 9

Setting = str | int | float | bool | list[int | float | bool]


@dataclass(frozen=True)
class GgufTensor:
    """A tensor as the header describes it."""

    shape: tuple[int, ...]
    """In torch's order."""
    type: str
    """The name of its blocks in ggml: F32, Q4_1."""
    start: int
    """The position of its first byte after the header."""
    n_bytes: int


@dataclass(frozen=True)
class GgufHeader:
    """All that a GGUF file holds but its numbers and its vocabulary."""

    file: Path
    settings: Mapping[str, Setting]
    """Lists of strings, and long ones of numbers, are left out."""
    left_out: Mapping[str, int]
    """The number of entries of each list that is not among the settings."""
    tensors: Mapping[str, GgufTensor]
    data_start: int
    """The position in the file from which the tensors' are counted."""

    def text(self, key: str) -> str:
        """A setting that is a string; empty where it is not there."""
        value = self.settings.get(key)
        return value if isinstance(value, str) else ""

    @property
    def architecture(self) -> str:
        """The architecture as llama.cpp names it: llama, qwen2moe."""
        return self.text("general.architecture")

    @property
    def blocks(self) -> str:
        """The type of the blocks that hold most of the numbers that are packed, Q4_1; empty where none are."""
        sizes: Counter[str] = Counter()
        for tensor in self.tensors.values():
            sizes[tensor.type] += math.prod(tensor.shape)
        return next((kind for kind, _ in sizes.most_common() if kind not in FLOATS), "")


@dataclass(frozen=True)
class _LeftOut:
    """A list that is not kept."""

    n_entries: int


class _Damaged(Exception):
    """What is wrong with a file, as the end of a sentence about it."""


def read_header(file: Path) -> GgufHeader:
    """The header of ``file``, whose tensors lie within it.

    Raises:
        ModelError: the file cannot be read, is no GGUF, is cut off, or claims what no file can hold.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            return _read(file, _Cursor(opened, size), size)
    except OSError as error:
        raise ModelError(f"{shown(file)} cannot be read: {reason_of(error)}") from error
    except _Damaged as damage:
        raise ModelError(f"{shown(file)} {damage}") from None


class _Cursor:
    """Reads a file from its beginning to the end of its header."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.position, self.end = file, 0, min(size, MOST_BYTES)
        self.is_whole = size <= MOST_BYTES

    def check(self, n_bytes: int) -> None:
        """Refuse to read what is not there."""
        if n_bytes > self.end - self.position:
            fault = (
                "is cut off in its header" if self.is_whole else f"has a header of over {MOST_BYTES:,} bytes"
            )
            raise _Damaged(f"{fault}: download it again")

    def take(self, n_bytes: int) -> bytes:
        self.check(n_bytes)
        self.position += n_bytes
        return self.file.read(n_bytes)

    def value(self, code: str) -> int | float | bool:
        width = struct.calcsize(f"<{code}")
        read = self.take(width)
        if len(read) < width:  # the file became shorter while it was read
            raise _Damaged("is cut off in its header: download it again")
        value: int | float | bool = struct.unpack(f"<{code}", read)[0]
        return value

    def number(self, code: str) -> int:
        return int(self.value(code))

    def count(self, what: str, least: int) -> int:
        """A number of things that take ``least`` bytes each."""
        n = self.number("Q")
        if n > MOST_ENTRIES:
            raise _Damaged(f"claims {_size(n)} {what}, more than any model has: download it again")
        self.check(n * least)
        return n

    def text(self) -> str:
        try:
            return self.take(self.number("Q")).decode("utf-8")
        except UnicodeDecodeError:
            raise _Damaged("holds text that is not UTF-8: download it again") from None


def _read(file: Path, cursor: _Cursor, size: int) -> GgufHeader:
    if cursor.end < len(MAGIC) or cursor.take(len(MAGIC)) != MAGIC:
        raise _Damaged(
            "is no GGUF file, as it does not begin with the letters GGUF: give a .gguf file or a model's folder"
        )
    version = cursor.number("I")
    if version not in (2, 3):
        is_turned = version in (2 << 24, 3 << 24)
        kind = "a big-endian file" if is_turned else f"of version {version}"
        raise _Damaged(f"is {kind}: GGUF files of version 2 and 3, little-endian, can be read")
    n_tensors, n_settings = cursor.count("tensors", 24), cursor.count("settings", 13)
    settings: dict[str, Setting] = {}
    left_out: dict[str, int] = {}
    for _ in range(n_settings):
        key = cursor.text()
        value = _value(cursor, cursor.number("I"))
        if isinstance(value, _LeftOut):
            left_out[key] = value.n_entries
        else:
            settings[key] = value
    listed = [_tensor(cursor) for _ in range(n_tensors)]
    data_start = _data_start(cursor.position, settings.get("general.alignment", 32))
    needed = max((data_start + tensor.start + tensor.n_bytes for _, tensor in listed), default=0)
    if needed > size:
        raise _Damaged(f"is cut off: it has {size:,} of {_size(needed)} bytes: download it again")
    if len(tensors := dict(listed)) < n_tensors:
        raise _Damaged("names a tensor twice: download it again")
    return GgufHeader(file, settings, left_out, tensors, data_start)


def _value(cursor: _Cursor, kind: int) -> Setting | _LeftOut:
    if code := _WIDTHS.get(kind):
        return cursor.value(code)
    if kind == _STRING:
        return cursor.text()
    if kind != _LIST:
        raise _Damaged(f"has a setting of the unknown type {kind}: download it again")
    return _list(cursor, cursor.number("I"))


def _list(cursor: _Cursor, kind: int) -> Setting | _LeftOut:
    """A short list of numbers; another list is passed over."""
    if kind == _STRING:
        n_strings = cursor.count("strings in a list", 8)
        for _ in range(n_strings):
            cursor.text()
        return _LeftOut(n_strings)
    if (code := _WIDTHS.get(kind)) is None:
        raise _Damaged(f"has a list of the unknown type {kind}: download it again")
    n = cursor.count("numbers in a list", struct.calcsize(f"<{code}"))
    numbers = cursor.take(n * struct.calcsize(f"<{code}"))
    return list(struct.unpack(f"<{n}{code}", numbers)) if n <= MOST_KEPT else _LeftOut(n)


def _tensor(cursor: _Cursor) -> tuple[str, GgufTensor]:
    name, n_dimensions = cursor.text(), cursor.number("I")
    if n_dimensions > MOST_DIMENSIONS:
        raise _Damaged(
            f"claims a tensor of {n_dimensions:,} dimensions, where {MOST_DIMENSIONS} are the most"
        )
    shape = tuple(cursor.number("Q") for _ in range(n_dimensions))[::-1]
    kind, start = cursor.number("I"), cursor.number("Q")
    if kind not in block_types():
        raise _Damaged(
            f"holds {name!a} in blocks of type {kind}, which the gguf package does not know: update it"
        )
    type_name, n_per_block, block_bytes = block_types()[kind]
    if (shape[-1] if shape else 1) % n_per_block:
        raise _Damaged(f"holds {name!a} in rows that are no whole blocks: download it again")
    n_bytes = math.prod(shape) // n_per_block * block_bytes
    return name, GgufTensor(shape, type_name, start, n_bytes)


@cache
def block_types() -> dict[int, tuple[str, int, int]]:
    """By the format's number: a type's name, the numbers in one of its blocks, and the block's bytes."""
    from gguf import GGML_QUANT_SIZES  # here, as only a model that is a GGUF needs it

    return {int(kind): (kind.name, *sizes) for kind, sizes in GGML_QUANT_SIZES.items()}


def _data_start(end: int, alignment: Setting) -> int:
    """The first position after a header of ``end`` bytes that is a multiple of the alignment."""
    if type(alignment) is not int or not 0 < alignment <= MOST_ALIGNMENT:
        raise _Damaged("has an alignment that is none: download it again")
    return -(-end // alignment) * alignment


def _size(value: int) -> str:
    return f"{value:,}" if value < 10**15 else "more than 10^15"
