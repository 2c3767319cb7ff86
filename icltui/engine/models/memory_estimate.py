"""What a model will take, before it is loaded: read from the headers of its files.

Enters: a :class:`~icltui.engine.models.checkpoint.Source`, its configuration, the request. Leaves: an
:class:`~icltui.values.Estimate`, and the size of each tensor. With L layers, h key-value heads of width e, MLP width
m, hidden size d, vocabulary V, T = min(window, 4096) tokens, C tokens in a chunk and b bytes per number a measure
adds, with a query of one token and everything measured::

    b · T · (2 L h e + 2 m + 4 d)        the context's keys and values, and its own pass through one block
    + (1 + b) · T²                       that pass's causal mask, as SDPA is handed it and as it adds it
    + C · (b (12 d + 6 m) + 16 (T + C))  a chunk's own pass through one block, and how its masks come about
    + 16 · C · (V + L (m + d))           its logits four times in float32; what its matrices make of z, and v, of two
                                         chunks, as the one before goes when the next one is there
    + 1536 · L · T                       the rows that leave

and a quarter more, which the allocator keeps between the pieces. C is at most 256, on a GPU 4096, and less where a
chunk would take more than 256 MiB in the words of :func:`icltui.engine.measure.prefixes.chunk_tokens`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi
from msgspec.structs import replace
from safetensors import SafetensorError, safe_open

from icltui.api.messages import LoadModel
from icltui.engine.models.checkpoint import Source, weight_files
from icltui.text.units import in_gib
from icltui.values import Estimate
from icltui.values.bounds import SIZE
from icltui.values.errors import ModelError

CONTEXT_TOKENS = 4096
CHUNK_TOKENS = 512
CHUNK_BYTES = 2**28
ROW_BYTES = 1536
_BITS = {"8bit": 8, "4bit": 4}


@dataclass(frozen=True)
class Stored:
    """A tensor as its file describes it."""

    shape: tuple[int, ...]
    dtype: str
    """In the words of safetensors: F32, BF16, F8_E4M3, I64, BOOL."""

    @property
    def n_numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        bits = re.search(r"\d+", self.dtype)
        return self.n_numbers * (int(bits[0]) if bits else 8) // 8

    @property
    def is_float(self) -> bool:
        return self.dtype.startswith(("F", "BF"))


def stored_tensors(source: Source) -> dict[str, Stored]:
    """Every tensor of the checkpoint, by name; empty where that cannot be known without loading it."""
    if source.folder is None:
        return _hub_headers(source)
    return {
        name: tensor
        for file in weight_files(source.folder)
        for name, tensor in (_safe_header if file.suffix == ".safetensors" else _pickle_header)(file).items()
    }


def estimate(
    stored: dict[str, Stored],
    config: Any,
    request: LoadModel,
    dtype: Any,
    available: int,
    on_cpu: bool = True,
) -> Estimate:
    """What the model takes in the numbers that ``request`` asks for."""
    if dtype == "auto":
        dtype = getattr(config, "dtype", None)
    is_fixed = dtype is None or getattr(config, "quantization_config", None) is not None
    width = 4 if dtype is None else dtype.itemsize
    bits = _BITS.get(request.quantize, 8 * width)

    def taken(tensor: Stored) -> int:
        if is_fixed or not tensor.is_float:
            return tensor.n_bytes
        return tensor.n_numbers * (bits if len(tensor.shape) >= 2 else 8 * width) // 8

    return Estimate(
        n_parameters=_told(sum(tensor.n_numbers for tensor in stored.values())),
        weight_bytes=_told(sum(taken(tensor) for tensor in stored.values())),
        measure_bytes=_told(measure_bytes(config.get_text_config(decoder=True), width, on_cpu)),
        available_bytes=_told(available),
    )


def _told(size: int) -> int:
    """As much of it as may be told: a config can claim any sizes, and a file any shapes."""
    return max(0, min(size, SIZE))


def measure_bytes(text_config: Any, width: int, on_cpu: bool = True) -> int:
    """The formula at the top of this page, for numbers of ``width`` bytes."""

    def field(name: str, default: int) -> int:
        value = getattr(text_config, name, None)
        if isinstance(value, (list, tuple)):  # one per layer
            value = max(value, default=None)
        return value if isinstance(value, int) else default

    hidden, layers, vocabulary = (field(n, 0) for n in ("hidden_size", "num_hidden_layers", "vocab_size"))
    heads, inner = field("num_attention_heads", 1), field("intermediate_size", 4 * hidden)
    cache = 2 * layers * field("num_key_value_heads", heads) * field("head_dim", hidden // max(heads, 1))
    tokens = min(field("max_position_embeddings", CONTEXT_TOKENS), CONTEXT_TOKENS)
    context = width * tokens * (cache + 2 * inner + 4 * hidden) + (1 + width) * tokens**2
    block = width * (12 * hidden + 6 * inner)
    counted = block + 4 * (tokens + CHUNK_TOKENS) + 12 * vocabulary + 8 * layers * inner
    size = max(1, min(CHUNK_TOKENS if on_cpu else 16 * CHUNK_TOKENS, CHUNK_BYTES // counted))
    chunk = size * (block + 16 * (tokens + size) + 16 * (vocabulary + layers * (inner + hidden)))
    return 5 * (context + chunk + ROW_BYTES * layers * tokens) // 4


def misfit(request: LoadModel, size_of: Callable[[LoadModel], Estimate]) -> str:
    """What is needed, what is free, and the ways out that would do; empty where the model fits."""
    estimated = size_of(request)
    if lacking(estimated) <= 0:
        return ""
    ways = {
        "--dtype bfloat16": replace(request, dtype="bfloat16"),
        "--quantize 4bit": replace(request, quantize="4bit"),
        "--device-map auto": replace(request, device="auto", device_map="auto"),
    }
    advice = [way for way, other in ways.items() if lacking(size_of(other)) <= 0]
    needed = estimated.weight_bytes + estimated.measure_bytes
    return (
        f"model {request.model!r} needs {in_gib(needed)} ({in_gib(estimated.weight_bytes)} of weights, "
        f"{in_gib(estimated.measure_bytes)} for a measure), and {in_gib(estimated.available_bytes)} are free: "
        f"try {', '.join([*advice, 'or a smaller model']) if advice else 'a smaller model'}"
    )


def lacking(estimated: Estimate) -> int:
    """Bytes that are not there; 0 or less where it fits."""
    return estimated.weight_bytes + estimated.measure_bytes - estimated.available_bytes


def _safe_header(file: Path) -> dict[str, Stored]:
    if not file.is_file():
        raise ModelError(
            f"folder {str(file.parent)!r} lacks {file.name}, a part of its weights: download it again"
        )
    try:
        with safe_open(file, framework="np") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 -- no mapping
            return {name: Stored(tuple(s.get_shape()), s.get_dtype()) for name, s in slices.items()}
    except SafetensorError as error:
        raise ModelError(f"{str(file)!r} is damaged or cut off: download it again") from error


_DTYPE_LETTERS = {"float": "F", "bfloat": "BF", "int": "I", "uint": "U"}


def _pickle_header(file: Path) -> dict[str, Stored]:
    """Shapes without the numbers; nothing but tensors is unpickled."""
    try:
        tensors = torch.load(file, map_location="meta", weights_only=True, mmap=True)
    except RuntimeError:  # a format of before 2020, which cannot be read in parts
        tensors = torch.load(file, map_location="meta", weights_only=True)
    return {name: Stored(tuple(t.shape), _spelled(t.dtype)) for name, t in tensors.items()}


def _spelled(dtype: torch.dtype) -> str:
    """torch's ``bfloat16`` as safetensors' ``BF16``."""
    word = str(dtype).removeprefix("torch.")
    letters = re.match(r"[a-z]+", word)
    return _DTYPE_LETTERS.get(letters[0] if letters else "", "I") + str(8 * dtype.itemsize)


def _hub_headers(source: Source) -> dict[str, Stored]:
    try:
        found = HfApi().get_safetensors_metadata(source.place, revision=source.revision)
    except Exception:  # noqa: BLE001 -- an estimate is a courtesy; what is really wrong shows when loading
        return {}
    return {
        name: Stored(tuple(tensor.shape), tensor.dtype)
        for file in found.files_metadata.values()
        for name, tensor in file.tensors.items()
    }
