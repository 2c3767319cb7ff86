"""Tiny random models of several families, with the names of their parts written out by hand.

The hand-written names are the independent reference: the engine must find the same places by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Olmo2Config,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from icltui.engine.models.loaded_model import LoadedModel, wrap_model

D, M, V, LAYERS = 24, 40, 300, 3
_COMMON: dict[str, Any] = {
    "vocab_size": V,
    "hidden_size": D,
    "intermediate_size": M,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "max_position_embeddings": 64,
}


@dataclass(frozen=True)
class Family:
    """A configuration and where its parts are."""

    config: Callable[[], Any]
    blocks: str
    mlp: str
    residual: str
    """The module whose input is v; ``parallel`` when v is block input plus attention output."""
    matrices: tuple[str, ...]
    """Inside the MLP: what reads z, as attribute paths of weights of shape (inner, hidden)."""
    down: str | None = None
    """Inside the MLP: the down projection, where an output patch on it is exact."""
    transposed: bool = False
    norm_behind: str | None = None
    """Inside the MLP: a down projection whose output a norm follows, so that an output patch on it is not exact."""

    @property
    def g(self) -> str | None:
        """Inside the MLP: what g is the input of; None for a mixture of experts."""
        return self.down or self.norm_behind


FAMILIES = {
    "gpt2": Family(
        lambda: GPT2Config(vocab_size=V, n_embd=D, n_layer=LAYERS, n_head=4, n_inner=M, n_positions=64),
        "transformer.h",
        "mlp",
        "ln_2",
        ("c_fc.weight",),
        "c_proj",
        transposed=True,
    ),
    "llama": Family(
        lambda: LlamaConfig(**_COMMON),
        "model.layers",
        "mlp",
        "post_attention_layernorm",
        ("gate_proj.weight", "up_proj.weight"),
        "down_proj",
    ),
    "qwen3": Family(
        lambda: Qwen3Config(**_COMMON),
        "model.layers",
        "mlp",
        "post_attention_layernorm",
        ("gate_proj.weight", "up_proj.weight"),
        "down_proj",
    ),
    "mistral": Family(
        lambda: MistralConfig(**_COMMON, sliding_window=5),
        "model.layers",
        "mlp",
        "post_attention_layernorm",
        ("gate_proj.weight", "up_proj.weight"),
        "down_proj",
    ),
    "gemma3": Family(
        lambda: Gemma3TextConfig(
            **_COMMON,
            sliding_window=5,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
        "model.layers",
        "mlp",
        "pre_feedforward_layernorm",
        ("gate_proj.weight", "up_proj.weight"),
        norm_behind="down_proj",
    ),
    "olmo2": Family(
        lambda: Olmo2Config(**{k: v for k, v in _COMMON.items() if k != "head_dim"}),
        "model.layers",
        "mlp",
        "mlp",
        ("gate_proj.weight", "up_proj.weight"),
        norm_behind="down_proj",
    ),
    "gpt_neox": Family(
        lambda: GPTNeoXConfig(
            vocab_size=V,
            hidden_size=D,
            intermediate_size=M,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            max_position_embeddings=64,
        ),
        "gpt_neox.layers",
        "mlp",
        "parallel",
        ("dense_h_to_4h.weight",),
        "dense_4h_to_h",
    ),
    "mixtral": Family(
        lambda: MixtralConfig(**_COMMON, num_local_experts=4, num_experts_per_tok=2),
        "model.layers",
        "mlp",
        "post_attention_layernorm",
        ("gate.weight", "experts.gate_up_proj"),
    ),
}


def attribute(root: Any, path: str) -> Any:
    """``a.b.c`` of ``root``."""
    for name in path.split("."):
        root = getattr(root, name)
    return root


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, and BOS in front."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<s>": 0} | {c: k for k, c in enumerate(alphabet, start=1)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")


@cache
def tiny(family: str, dtype: torch.dtype = torch.float64) -> LoadedModel:
    """A random model of the family, its weights large enough for attention to matter; shared, never changed."""
    return make_tiny(family, dtype)


def make_tiny(family: str, dtype: torch.dtype = torch.float64) -> LoadedModel:
    """The same, a copy of one's own."""
    torch.manual_seed(0)
    config = FAMILIES[family].config()
    model = AutoModelForCausalLM.from_config(
        config, experts_implementation="eager"
    )  # grouped kernels lack float64
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            torch.nn.init.normal_(parameter, std=0.25)
        elif name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    model.generation_config.eos_token_id = None
    return wrap_model(model.to(dtype), make_tokenizer(), family)
