"""The memory that a model will take, read from the headers of its files before it is loaded.

Enters: the tensors of a checkpoint, its configuration, the request. Leaves: an :class:`~icltui.values.Estimate`. A
measure adds, for T = min(window, 4096) tokens, a query of one token and everything measured, the context's pass and
one chunk of copies, see :class:`MeasureCost`, 1536 bytes for each row that leaves, and a quarter more, which the
allocator keeps between the pieces.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from icltui.api.messages import LoadModel
from icltui.engine.models.stored_tensors import StoredTensor
from icltui.text.units import in_bytes
from icltui.values import Estimate
from icltui.values.bounds import SIZE

CONTEXT_TOKENS = 4096
CHUNK_TOKENS = 256
"""Query tokens in a chunk on a CPU: fewer make its matrix products slower, more its attention, which sees all keys,
and its activations larger."""
GPU_CHUNK_TOKENS = 2048
"""Query tokens in a chunk on a GPU: so many keep it busy for longer than it takes to launch their kernels, and their
attention to each other, which the mask takes away, costs less than their matrix products."""
CHUNK_BYTES = 2**29
"""Bytes that a chunk may take on a CPU, where more would make nothing faster."""
CHUNK_SHARE = 0.5
"""Share of the free memory that a chunk may take, on any device: the rest is for what no formula foresees."""
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

    weights = sum(taken(tensor) for tensor in stored.values())
    text_config = config.get_text_config(decoder=True)
    return Estimate(
        n_parameters=_bounded(sum(tensor.n_numbers for tensor in stored.values())),
        weight_bytes=_bounded(weights),
        measure_bytes=_bounded(measure_bytes(text_config, width, on_cpu, available - weights)),
        available_bytes=_bounded(available),
    )


def _bounded(size: int) -> int:
    """``size`` within what an estimate can hold: a config can claim any sizes, and a file any shapes."""
    return max(0, min(size, SIZE))


def measure_bytes(text_config: Any, width: int, on_cpu: bool = True, free: int | None = None) -> int:
    """The formula in this module's docstring, for numbers of ``width`` bytes; ``free``: bytes beside the weights."""

    names = ("hidden_size", "num_hidden_layers", "vocab_size")
    hidden, layers, vocabulary = (largest(text_config, name, 0) for name in names)
    inner = largest(text_config, "intermediate_size", 4 * hidden)
    tokens = min(largest(text_config, "max_position_embeddings", CONTEXT_TOKENS), CONTEXT_TOKENS)
    cost = MeasureCost(
        width=width,
        hidden=hidden,
        widest=2 * inner,  # a gated MLP, whose first matrices are twice as wide as its last
        all_widths=2 * inner * layers,
        vocabulary=vocabulary,
        n_layers=layers,
        cached=cached_per_layer(text_config, hidden),
        n_blocks=layers,
        n_tokens=tokens,
        on_cpu=on_cpu,
    )
    rows = ROW_BYTES * layers * tokens
    spare = None if free is None else 4 * free // 5 - rows
    return 5 * (cost.context + cost.chunk(cost.tokens_in_chunk(spare)) + rows) // 4


def largest(text_config: Any, name: str, default: int) -> int:
    """A number of the config, the largest where it has one per layer; ``default`` where it has none."""
    value = getattr(text_config, name, None)
    if isinstance(value, (list, tuple)):
        value = max(value, default=None)
    return value if isinstance(value, int) else default


def cached_per_layer(text_config: Any, hidden: int) -> int:
    """Numbers that the key-value cache keeps of a token at one layer."""
    heads = largest(text_config, "num_attention_heads", 1)
    width = largest(text_config, "head_dim", hidden // max(heads, 1))
    return 2 * largest(text_config, "num_key_value_heads", heads) * width


@dataclass(frozen=True)
class MeasureCost:
    """The bytes that a packed measure takes beside the weights."""

    width: int
    """Bytes of a number that the model computes with."""
    hidden: int
    widest: int
    """Width of W z at the layer where it is largest."""
    all_widths: int
    """Width of W z of all selected layers."""
    vocabulary: int
    n_layers: int
    """Number of the selected layers."""
    cached: int
    """Numbers that the key-value cache keeps of a token at one layer."""
    n_blocks: int
    """Number of the model's layers."""
    n_tokens: int
    """Tokens of the whole prompt."""
    n_query: int = 1
    n_scores: int = 0
    """Numbers per query token and key that attention keeps, where SDPA does not keep them to itself."""
    on_cpu: bool = True

    @property
    def context(self) -> int:
        """The context's keys and values, once more at one layer; its pass through one block, and its mask."""
        per_token = self.cached * (self.n_blocks + 1) + self.widest + 4 * self.hidden
        per_pair = 1 + self.width * (1 + self.n_scores)
        return self.width * self.n_tokens * per_token + per_pair * self.n_tokens**2

    def chunk(self, n: int) -> int:
        """A chunk of copies with ``n`` query tokens in all, and what is known of the full context beside it."""
        return n * self._of_token + -(-n // self.n_query) * self._of_copy + self._of_full

    @property
    def most_tokens(self) -> int:
        """Query tokens of a chunk beyond which nothing becomes faster."""
        return CHUNK_TOKENS if self.on_cpu else GPU_CHUNK_TOKENS

    @property
    def _of_token(self) -> int:
        """Vectors, W z thrice, one layer's keys and values, attention, and how the masks come about."""
        n_keys = self.n_tokens + self.most_tokens
        numbers = 20 * self.hidden + 3 * self.widest + 2 * self.cached + self.n_scores * n_keys
        return self.width * numbers + 16 * n_keys

    @property
    def _of_copy(self) -> int:
        """Three rows of logits, and what the layers keep, a part of it twice while it is stacked.

        Kept are z, v and the block's output of each layer, as they are captured and as they are stacked, and W z where
        the model computes it precisely enough; else it is made layer by layer.
        """
        wide = max(4, self.width)
        images = self.all_widths if self.width >= 4 else 0
        return wide * (3 * self.vocabulary + images + 6 * self.widest + 8 * self.hidden * self.n_layers)

    @property
    def _of_full(self) -> int:
        """The full context's logits, log-probabilities and probabilities, and its states."""
        return max(4, self.width) * (4 * self.vocabulary + self.all_widths + 4 * self.hidden * self.n_layers)

    def tokens_in_chunk(self, free: int | None = None) -> int:
        """Query tokens that are measured together, and at least one copy's; ``free``: bytes beside the weights.

        As many as a share of the memory holds that the context leaves, and as make anything faster.
        """
        budgets = [CHUNK_BYTES] if self.on_cpu else []
        if free is not None:
            budgets.append(int(CHUNK_SHARE * max(0, free - self.context)))
        per_copy = self.n_query * self._of_token + self._of_copy
        sizes = [self.most_tokens, *((b - self._of_full) * self.n_query // max(1, per_copy) for b in budgets)]
        return max(self.n_query, min(sizes))


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
        f"model {request.model!r} needs {in_bytes(needed)} ({in_bytes(estimated.weight_bytes)} of weights, "
        f"{in_bytes(estimated.measure_bytes)} for a measure), and {in_bytes(estimated.available_bytes)} are free: "
        f"try {', '.join([*advice, 'or a smaller model']) if advice else 'a smaller model'}"
    )


def missing_bytes(estimated: Estimate) -> int:
    """Bytes beyond what is free; 0 or less where the model fits."""
    return estimated.weight_bytes + estimated.measure_bytes - estimated.available_bytes
