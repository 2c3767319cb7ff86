"""llama.cpp's own reading of a GGUF adapter: a base model as a GGUF file, and its log-probabilities.

xllamacpp, a wheel of llama.cpp, is what reads them. It shares no code with what writes an adapter.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import MODEL_ARCH_NAMES, GGUFWriter, TokenType, get_tensor_name_map

_CONV1D = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
_NUMBERS = {
    "max_position_embeddings": GGUFWriter.add_context_length,
    "hidden_size": GGUFWriter.add_embedding_length,
    "num_hidden_layers": GGUFWriter.add_block_count,
    "num_attention_heads": GGUFWriter.add_head_count,
    "num_key_value_heads": GGUFWriter.add_head_count_kv,
    "rms_norm_eps": GGUFWriter.add_layer_norm_rms_eps,
    "layer_norm_epsilon": GGUFWriter.add_layer_norm_eps,
    "head_dim": GGUFWriter.add_rope_dimension_count,
    "intermediate_size": GGUFWriter.add_feed_forward_length,
    "n_inner": GGUFWriter.add_feed_forward_length,
    "vocab_size": GGUFWriter.add_vocab_size,
}


def write_base(path: Path, model: Any, architecture: str) -> None:
    """The weights of a model of llama, qwen3 or gpt2 as float32; the tokens' texts are not the model's."""
    config, writer = model.config, GGUFWriter(path, architecture)
    for name, add in _NUMBERS.items():
        if getattr(config, name, None):
            add(writer, getattr(config, name))
    if rope := getattr(config, "rope_parameters", None):
        writer.add_rope_freq_base(rope["rope_theta"])
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"<{number}>" for number in range(config.vocab_size)])
    writer.add_token_types([TokenType.NORMAL] * config.vocab_size)
    writer.add_token_merges(["< 0"])
    writer.add_add_bos_token(False)
    for name, tensor in _weights(model, architecture).items():
        writer.add_tensor(name, np.ascontiguousarray(tensor.float().numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _weights(model: Any, architecture: str) -> dict[str, torch.Tensor]:
    config = model.config
    kind = next(kind for kind, name in MODEL_ARCH_NAMES.items() if name == architecture)
    names, weights = get_tensor_name_map(kind, config.num_hidden_layers), {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        found = names.get_name(name, (".weight", ".bias"))
        assert found is not None, name
        if architecture == "llama" and "attn_q." in found:
            tensor = _halves_side_by_side(tensor, config.num_attention_heads)
        if architecture == "llama" and "attn_k." in found:
            tensor = _halves_side_by_side(tensor, config.num_key_value_heads)
        weights[found] = tensor.T if architecture == "gpt2" and name.endswith(_CONV1D) else tensor
    return weights


def _halves_side_by_side(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """The rows of each head in the order in which llama.cpp turns them for a llama."""
    return tensor.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)


def log_probabilities(base: Path, rows: list[list[int]], adapter: Path | None = None) -> torch.Tensor:
    """After each row's last token, (rows, vocabulary), in float64, as llama.cpp computes them in float32."""
    xllamacpp = pytest.importorskip(
        "xllamacpp", reason="llama.cpp is not here to read it: pip install xllamacpp"
    )
    params = xllamacpp.CommonParams()
    params.model.path = str(base)
    params.n_ctx, params.n_parallel, params.n_gpu_layers, params.warmup = 512, 1, 0, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.verbosity = -1
    if adapter is not None:
        info = xllamacpp.CommonAdapterLoraInfo()
        info.path, info.scale = str(adapter), 1.0
        params.lora_adapters = [info]
    server = xllamacpp.Server(params)
    return torch.stack([_after(server, row) for row in rows])


def _after(server: Any, row: list[int]) -> torch.Tensor:
    asked = {"prompt": row, "max_tokens": 1, "temperature": 0.0, "logprobs": 10**6, "cache_prompt": False}
    answer = server.handle_completions(asked)
    entries = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return torch.tensor(
        [entry["logprob"] for entry in sorted(entries, key=lambda entry: entry["id"])], dtype=torch.float64
    )
