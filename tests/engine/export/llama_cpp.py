"""llama.cpp's own reading of a GGUF adapter: the log-probabilities of a base model with the adapter on it.

xllamacpp, a wheel of llama.cpp, is what reads both files. It shares no code with what writes an adapter.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

_LETTER = 40
"""What is generated: a letter in any vocabulary of byte pairs. Nothing is told of an end or a part of a character."""


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
    asked = {
        "prompt": row,
        "max_tokens": 1,
        "logprobs": 10**6,
        "logit_bias": [[_LETTER, 1e5]],
        "temperature": 0.0,
        "cache_prompt": False,
    }
    answer = server.handle_completions(asked)
    entries = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return torch.tensor(
        [entry["logprob"] for entry in sorted(entries, key=lambda entry: entry["id"])], dtype=torch.float64
    )
