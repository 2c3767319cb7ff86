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
}
"""The configuration of each shape."""


def random_model(shape: str, dtype: str, device: str) -> LoadedModel:
    """A model of ``shape`` with the same random weights each time.

    Raises:
        BadInput: no such shape, dtype or device.
    """
    name = full_name(shape)
    wanted = getattr(torch, dtype, None)
    if not (isinstance(wanted, torch.dtype) and wanted.is_floating_point):
        raise BadInput(f"dtype {dtype!r} is none of a model with random weights: use float32 or bfloat16")
    config = SHAPES[name]()
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=wanted).requires_grad_(False)
        for key, parameter in model.named_parameters():
            if parameter.ndim == 1 and key.endswith("weight"):
                parameter.normal_(1.0, 0.5)  # with all ones, ‖z‖ and h would not depend on the context
    return wrap_model(model.to(pick_device(device)), _byte_tokenizer(config.vocab_size), name)


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
