"""A reader for transformers, which asks gguf's ``GGUFReader`` three times for the settings and tensors of a file.

Enters: a header that was read before. Leaves: an object with the reader's ``fields`` and ``tensors``. gguf's own makes
five arrays of every word of the vocabulary: for 49,152 words each reading takes 2 s and 150 MB.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import gguf
import numpy as np
import transformers

from icltui.engine.models.gguf_header import GgufHeader, Setting, block_types

_CODES = {bool: 7, str: 8, int: 11, float: 12}
"""The format's widest type of each kind."""
_LIST = 9
WORDS = "tokenizer.ggml.tokens"


@dataclass(frozen=True)
class _Field:
    """A setting as gguf's ``ReaderField`` holds it: its values are the parts that ``data`` numbers."""

    types: list[int]
    parts: list[Any]
    data: list[int]


@dataclass(frozen=True)
class _Tensor:
    """A tensor as gguf's ``ReaderTensor`` holds it."""

    name: str
    tensor_type: Any
    data: np.ndarray
    """The rows of its blocks as bytes, which are read from the file when they are used."""


class HeaderReader:
    """The part of gguf's ``GGUFReader`` that transformers uses."""

    def __init__(self, header: GgufHeader) -> None:
        self.fields = {key: _field(value) for key, value in header.settings.items()}
        if f"{header.architecture}.vocab_size" not in self.fields:
            # Of the words transformers then asks for the number alone.
            n_words = header.left_out.get(WORDS, 0)
            self.fields[WORDS] = _Field([_LIST, _CODES[str]], [b""], [0] * n_words)
        self.tensors = list(_tensors(header))


def _field(value: Setting) -> _Field:
    if isinstance(value, list):
        code = _CODES[type(value[0])] if value else _CODES[int]
        return _Field([_LIST, code], [[entry] for entry in value], list(range(len(value))))
    return _Field([_CODES[type(value)]], [value.encode() if isinstance(value, str) else [value]], [0])


def _tensors(header: GgufHeader) -> Iterator[_Tensor]:
    sizes = {name: (n_per_block, n_bytes) for name, n_per_block, n_bytes in block_types().values()}
    mapped = np.asarray(np.memmap(header.file, mode="r"))  # a view of it is quicker than one of a memmap
    for name, tensor in header.tensors.items():
        n_per_block, block_bytes = sizes[tensor.type]
        rows = (*tensor.shape[:-1], tensor.shape[-1] // n_per_block * block_bytes) if tensor.shape else (-1,)
        start = header.data_start + tensor.start
        data = mapped[start : start + tensor.n_bytes].reshape(rows)
        yield _Tensor(name, gguf.GGMLQuantizationType[tensor.type], data)


@contextmanager
def reading_once(header: GgufHeader) -> Iterator[None]:
    """In the ``with`` block transformers is given ``header`` where it asks for gguf's reader.

    Before version 5.20 it also takes the vocabulary from it: there gguf's own is left. gguf's table of names, which
    transformers asks for at every module and which takes as long to make as there are layers, is made once.
    """
    own_reader, own_names = gguf.GGUFReader, gguf.get_tensor_name_map
    if hasattr(transformers, "GgufConfig"):
        gguf.GGUFReader = lambda _path: HeaderReader(header)
    gguf.get_tensor_name_map = cache(own_names)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = own_reader, own_names
