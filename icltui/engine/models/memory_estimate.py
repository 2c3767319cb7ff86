"""The memory that a model will take, read from the headers of its files before it is loaded.

Enters: the tensors of a checkpoint, its configuration, the request. Leaves: an :class:`~icltui.values.Estimate`. With
L layers, h key-value heads of width e, MLP width m, hidden size d, vocabulary V, T = min(window, 4096) tokens, C tokens
in a chunk and b bytes per number a measure adds, with a query of one token and everything measured::

    b · T · (2 L h e + 2 m + 4 d)        the context's keys and values, and its own pass through one block
    + (1 + b) · T²                       that pass's causal mask, as SDPA is handed it and as it adds it
    + C · (b (12 d + 6 m) + 16 (T + C))  a chunk's own pass through one block, and how its masks come about
    + 16 · C · (V + L (m + d))           its logits four times in float32; what its matrices make of z, and v, of two
                                         chunks, as a chunk is freed once the next one is made
    + 1536 · L · T                       the rows that leave

and a quarter more, which the allocator keeps between the pieces. C is what :func:`chunk_tokens` says.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from icltui.api.messages import LoadModel
from icltui.engine.models.stored_tensors import StoredTensor
from icltui.text.units import in_gib
from icltui.values import Estimate
from icltui.values.bounds import SIZE

CONTEXT_TOKENS = 4096
CHUNK_TOKENS = 512
"""Query tokens in a chunk on a CPU: fewer make its matrix products slower, more its attention, which sees all keys."""
GPU_FACTOR = 16
"""Tokens of a chunk on a GPU per token of one on a CPU."""
CHUNK_BYTES = 2**28
"""Bytes that the activations, the mask and the logits of a chunk may take."""
ROW_BYTES = 1536
_BITS = {"8bit": 8, "4bit": 4}


def estimate_memory(
    stored: Mapping[str, StoredTensor],
    config: Any,
    request: LoadModel,
    dtype: Any,
    available: int,
    on_cpu: bool = True,
) -> Estimate:
    """The memory of the model in the dtype and quantization that ``request`` asks for."""
    if dtype == "auto":
        dtype = getattr(config, "dtype", None)
    is_fixed = dtype is None or getattr(config, "quantization_config", None) is not None
    width = 4 if dtype is None else dtype.itemsize
    bits = _BITS.get(request.quantize, 8 * width)

    def taken(tensor: StoredTensor) -> int:
        if is_fixed or not tensor.is_float:
            return tensor.n_bytes
        return tensor.n_numbers * (bits if len(tensor.shape) >= 2 else 8 * width) // 8

    return Estimate(
        n_parameters=_bounded(sum(tensor.n_numbers for tensor in stored.values())),
        weight_bytes=_bounded(sum(taken(tensor) for tensor in stored.values())),
        measure_bytes=_bounded(measure_bytes(config.get_text_config(decoder=True), width, on_cpu)),
        available_bytes=_bounded(available),
    )


def _bounded(size: int) -> int:
    """``size`` within what an estimate can hold: a config can claim any sizes, and a file any shapes."""
    return max(0, min(size, SIZE))


def measure_bytes(text_config: Any, width: int, on_cpu: bool = True) -> int:
    """The formula in this module's docstring, for numbers of ``width`` bytes."""

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
    # A gated MLP, whose first matrices are twice as wide as its last.
    size = chunk_tokens(width, hidden, 2 * inner, 2 * inner * layers, vocabulary, tokens, on_cpu=on_cpu)
    chunk = size * (block + 16 * (tokens + size) + 16 * (vocabulary + layers * (inner + hidden)))
    return 5 * (context + chunk + ROW_BYTES * layers * tokens) // 4


def chunk_tokens(
    width: int,
    hidden: int,
    widest: int,
    all_widths: int,
    vocabulary: int,
    n_tokens: int,
    n_query: int = 1,
    n_scores: int = 0,
    on_cpu: bool = True,
) -> int:
    """Query tokens that are measured together: as many as ``CHUNK_BYTES`` hold, and at least one copy's.

    Counted per token of ``width`` bytes a number: a dozen vectors of ``hidden``, W z of the ``widest`` MLP thrice, the
    mask, and the attention's ``n_scores`` per key where SDPA does not keep them to itself; per copy its logits thrice,
    and W z of every MLP, ``all_widths`` numbers, in float32.
    """
    n_keys = n_tokens + CHUNK_TOKENS
    per_token = width * (12 * hidden + 3 * widest + n_scores * n_keys) + 4 * n_keys
    per_copy = n_query * per_token + 12 * vocabulary + 4 * all_widths
    most = CHUNK_TOKENS if on_cpu else GPU_FACTOR * CHUNK_TOKENS
    return max(n_query, min(most, CHUNK_BYTES * n_query // per_copy))


def shortage(request: LoadModel, size_of: Callable[[LoadModel], Estimate]) -> str:
    """The bytes needed, the bytes free, and the options that would do; empty where the model fits."""
    estimated = size_of(request)
    if missing_bytes(estimated) <= 0:
        return ""
    options = {
        "--dtype bfloat16": replace(request, dtype="bfloat16"),
        "--quantize 4bit": replace(request, quantize="4bit"),
        "--device-map auto": replace(request, device="auto", device_map="auto"),
    }
    advice = [option for option, other in options.items() if missing_bytes(size_of(other)) <= 0]
    needed = estimated.weight_bytes + estimated.measure_bytes
    return (
        f"model {request.model!r} needs {in_gib(needed)} ({in_gib(estimated.weight_bytes)} of weights, "
        f"{in_gib(estimated.measure_bytes)} for a measure), and {in_gib(estimated.available_bytes)} are free: "
        f"try {', '.join([*advice, 'or a smaller model']) if advice else 'a smaller model'}"
    )


def missing_bytes(estimated: Estimate) -> int:
    """Bytes beyond what is free; 0 or less where the model fits."""
    return estimated.weight_bytes + estimated.measure_bytes - estimated.available_bytes
