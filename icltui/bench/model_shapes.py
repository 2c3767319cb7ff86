"""Shapes of models by name, filled with random weights on the spot, whose tokens are bytes.

A shape's name enters; a :class:`~icltui.engine.models.loaded_model.LoadedModel` leaves. What a model costs depends on
its shape alone, so that no weights need to be downloaded.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    OlmoeConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from icltui.engine.models.device import pick_device
from icltui.engine.models.loaded_model import LoadedModel, wrap_model
from icltui.values.errors import BadInput

SMALL = "random Llama, 6 layers, width 384"
RANDOM_LLAMA: dict[str, int] = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "vocab_size": 8192,
    "max_position_embeddings": 32768,
}
REAL = ("GPT-2 124M", "SmolLM2-135M", "Qwen3-0.6B")
"""Shapes of models that people use."""
GPU = ("Qwen3-0.6B", "Llama-8B", "OLMoE-7B")
"""Shapes for a GPU: a small one, one that its memory traffic bounds, and one with 64 experts a layer."""
SHAPES: Mapping[str, Callable[[], Any]] = {
    SMALL: lambda: LlamaConfig(**RANDOM_LLAMA),
    "GPT-2 124M": GPT2Config,
    "SmolLM2-135M": partial(
        LlamaConfig,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49152,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    ),
    "Qwen3-0.6B": partial(
        Qwen3Config,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        vocab_size=151936,
        max_position_embeddings=40960,
        tie_word_embeddings=True,
    ),
    "Llama-8B": partial(
        LlamaConfig,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128256,
        max_position_embeddings=131072,
    ),
    "OLMoE-7B": partial(
        OlmoeConfig,
        hidden_size=2048,
        intermediate_size=1024,
        num_hidden_layers=16,
        num_attention_heads=16,
        num_key_value_heads=16,
        num_experts=64,
        num_experts_per_tok=8,
        vocab_size=50304,
        max_position_embeddings=8192,
        pad_token_id=None,
        eos_token_id=None,
    ),
}
"""The configuration of each shape."""


_TINY: Mapping[str, int] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "vocab_size": 512,
}
"""Sizes of a model of the same build that takes no time."""


def shape_config(shape: str, tiny: bool = False) -> Any:
    """The configuration of ``shape``; ``tiny``: at sizes that take no time."""
    make = SHAPES[full_name(shape)]
    if not tiny or not isinstance(make, partial):
        return make()
    return make(**{name: size for name, size in _TINY.items() if name in make.keywords})


def weight_bytes(shape: str, dtype: str) -> int:
    """The bytes of the weights, without making them."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape_config(shape))
    n_tied: int = model.num_parameters()
    return n_tied * int(getattr(torch, dtype).itemsize)


def random_model(shape: str, dtype: str, device: str, tiny: bool = False) -> LoadedModel:
    """A model of ``shape`` with the same random weights each time, made on the device itself.

    Raises:
        BadInput: no such shape, dtype or device.
    """
    name = full_name(shape)
    wanted = getattr(torch, dtype, None)
    if not (isinstance(wanted, torch.dtype) and wanted.is_floating_point):
        raise BadInput(f"dtype {dtype!r} is none of a model with random weights: use float32 or bfloat16")
    config, place = shape_config(name, tiny), pick_device(device)
    used = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(devices=used), place:  # the caller's random numbers stay as they are
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=wanted).requires_grad_(False)
        for key, parameter in model.named_parameters():
            if parameter.ndim == 1 and key.endswith("weight"):
                parameter.normal_(1.0, 0.5)  # with all ones, ‖z‖ and h would not depend on the context
    return wrap_model(model.to(place), _byte_tokenizer(config.vocab_size), name)


def full_name(shape: str) -> str:
    """The shape's name, of which a part may be given, in any case.

    Raises:
        BadInput: no shape or several shapes have such a name.
    """
    found = [name for name in SHAPES if shape.lower() in name.lower()]
    if len(found) != 1:
        raise BadInput(f"{shape!r} names no shape or several of them: use one of {', '.join(REAL)}")
    return found[0]


def _byte_tokenizer(n_tokens: int) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are bytes; no text has the rest of the vocabulary."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    unused = [f"<{index}>" for index in range(len(alphabet), n_tokens)]
    bytes_only = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate([*alphabet, *unused])}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_only.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=bytes_only)
