"""Tiny GGUF files, written with gguf as llama.cpp's converter writes them, and their blocks read by hand."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Blocks
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedTokenizerFast, Qwen2Config

TEMPLATE = "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
_COMMON: dict[str, Any] = {
    "vocab_size": 259,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
CONFIGS = {
    "llama": lambda **more: LlamaConfig(**(_COMMON | {"head_dim": 16} | more)),
    "qwen2": lambda **more: Qwen2Config(**(_COMMON | {"tie_word_embeddings": True} | more)),
    "gpt2": lambda **more: GPT2Config(
        **(
            {"vocab_size": 259, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_inner": 256, "n_positions": 64}
            | more
        )
    ),
}
_TURNED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
"""Weights of GPT-2 whose first axis is the input."""


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte but for "ab" and " 1", words split as by GPT-2, and BOS before the text."""
    words = ["<s>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab", "Ġ1"]
    tokenizer = Tokenizer(
        models.BPE(vocab={word: k for k, word in enumerate(words)}, merges=[("a", "b"), ("Ġ", "1")])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")


def make_model(architecture: str, dtype: torch.dtype = torch.float32, **config: Any) -> Any:
    """A random model whose biases and norms are not those of a fresh one."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(CONFIGS[architecture](**config))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=0.0 if parameter.ndim >= 2 else 0.5, std=0.25)
    return model.to(dtype).eval().requires_grad_(False)


def write_gguf(
    file: Path,
    model: Any,
    architecture: str,
    blocks: Blocks = Blocks.F32,
    settings: dict[str, Any] | None = None,
    tensors: dict[str, np.ndarray] | None = None,
    split: str = "gpt-2",
) -> Path:
    """The model and its tokenizer as a GGUF; matrices in ``blocks``, all else in float32.

    ``split`` names the rule by which a text is split into words.
    """
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_type("model")
    _write_sizes(writer, model.config)
    _write_tokenizer(writer, make_tokenizer(), split)
    for key, value in (settings or {}).items():
        add = {
            str: writer.add_string,
            bool: writer.add_bool,
            int: writer.add_uint32,
            float: writer.add_float32,
        }
        add[type(value)](key, value)
    for name, values in {**_stored(model, architecture), **(tensors or {})}.items():
        if values.ndim >= 2 and blocks != Blocks.F32:
            writer.add_tensor(name, gguf.quantize(values, blocks), raw_dtype=blocks)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _write_sizes(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", 0) or config.n_inner)
    writer.add_head_count(config.num_attention_heads)
    if config.model_type == "gpt2":
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    if config.model_type == "llama":
        writer.add_rope_dimension_count(config.head_dim)


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerFast, split: str) -> None:
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list([word for word, _ in vocabulary])
    writer.add_token_types([3 if word in special else 1 for word, _ in vocabulary])
    writer.add_token_merges(["a b", "Ġ 1"])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.bos_token_id)
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)


def _stored(model: Any, architecture: str) -> dict[str, np.ndarray]:
    """The model's tensors under llama.cpp's names and in its layout."""
    config = model.config
    kind = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    stored = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        base, _, suffix = name.rpartition(".")
        values = tensor.float().numpy()
        if architecture == "llama" and base.endswith(("q_proj", "k_proj")):
            values = _interleaved(
                values, config.num_attention_heads if "q_proj" in base else config.num_key_value_heads
            )
        if architecture == "gpt2" and name.endswith(_TURNED):
            values = np.ascontiguousarray(values.T)
        stored[f"{names.get_name(base)}.{suffix}"] = values
    return stored


def _interleaved(values: np.ndarray, n_heads: int) -> np.ndarray:
    """Rows in llama.cpp's order: the two halves of each head in turn."""
    return values.reshape(n_heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def rounded(values: np.ndarray, blocks: Blocks) -> np.ndarray:
    """What the blocks of ``values`` say, read byte by byte as ggml's ``block_q8_0`` and ``block_q4_1`` are laid out."""
    if blocks == Blocks.F32:
        return values
    if blocks == Blocks.F16:
        return values.astype(np.float16).astype(np.float32)
    packed = gguf.quantize(values, blocks).reshape(-1, {Blocks.Q8_0: 34, Blocks.Q4_1: 20}[blocks])
    step = packed[:, :2].copy().view(np.float16).astype(np.float32)
    if blocks == Blocks.Q8_0:
        return (step * packed[:, 2:].copy().view(np.int8)).reshape(values.shape)
    least = packed[:, 2:4].copy().view(np.float16).astype(np.float32)
    nibbles = np.concatenate([packed[:, 4:] % 16, packed[:, 4:] // 16], axis=1)
    return (step * nibbles + least).reshape(values.shape)


def round_model(model: Any, architecture: str, blocks: Blocks) -> None:
    """Give the model's matrices the values that a file in ``blocks`` says."""
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            is_turned = architecture == "gpt2" and name.endswith(_TURNED)
            values = parameter.detach().numpy()
            said = rounded(np.ascontiguousarray(values.T), blocks).T if is_turned else rounded(values, blocks)
            parameter.data.copy_(torch.from_numpy(np.ascontiguousarray(said)))
