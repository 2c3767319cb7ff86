"""The zoo's families, as data: which architectures it has, and which values make their configs tiny.

No code knows a family by name; these tables only say how small a model of it may be, so that :mod:`icltui.zoo.examine`
can build one from random weights. A type that the installed transformers does not have is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

LAYERS = 4
VOCABULARY = 320

DEPTHS = tuple(
    "num_hidden_layers n_layer n_layers num_layers decoder_layers num_decoder_layers num_blocks encoder_layers "
    "num_layers_per_stack".split()
)
"""Names that configs give to the number of layers."""

_SIZES = (
    (VOCABULARY, "vocab_size vocab_size_per_layer_input decoder_vocab_size"),
    (LAYERS, " ".join(DEPTHS)),
    (64, "hidden_size d_model n_embd emb_dim embedding_size word_embed_proj_dim lru_width embedding_dim"),
    (64, "attention_hidden_size input_embedding_size output_embedding_size dim_model_base out_hidden_size"),
    (64, "projection_dim vision_output_dim pronunciation_embed_dim shape_embed_dim embed_dim"),
    (96, "intermediate_size d_inner decoder_ffn_dim ffn_dim ffn_hidden_size dense_intermediate_size"),
    (96, "intermediate_size_mlp dff dim_ff block_multiple_of mlp_dim alignment_intermediate_size"),
    (48, "moe_intermediate_size shared_expert_intermediate_size shared_intermediate_size"),
    (48, "moe_shared_expert_intermediate_size expert_ffn_hidden_size"),
    (4, "num_attention_heads n_head n_heads num_heads decoder_attention_heads attention_heads"),
    (4, "num_decoder_attention_heads swa_num_attention_heads linear_num_heads linear_num_value_heads"),
    (4, "index_n_heads num_experts num_local_experts n_routed_experts moe_num_experts zero_expert_num"),
    (4, "o_groups adapter_rank"),
    (2, "num_key_value_heads num_kv_heads swa_num_key_value_heads kv_n_heads linear_num_key_heads depth"),
    (2, "num_experts_per_tok num_experts_per_token moe_topk moe_top_k moe_k"),
    (1, "n_shared_experts num_shared_experts moe_num_shared_experts n_group topk_group num_expert_group"),
    (1, "first_k_dense_replace num_dense_layers"),
    (16, "head_dim v_head_dim swa_head_dim linear_head_dim dim_head kv_channels"),
    (16, "qk_rope_head_dim q_lora_rank kv_lora_rank o_lora_rank index_head_dim hidden_size_per_layer_input"),
    (16, "laurel_rank hc_lowrank router_hidden_size patch_size num_position_embeddings"),
    (16, "mamba_d_head mamba_head_dim mamba_headdim"),
    (8, "qk_nope_head_dim rotary_dim linear_key_head_dim linear_value_head_dim mamba_d_state ssm_state_size"),
    (8, "state_size mamba_chunk_size chunk_size time_step_rank mamba_dt_rank mamba_n_heads n_mamba_heads"),
    (8, "mamba_num_heads pronunciation_vocab_size shape_vocab_size"),
    (128, "max_position_embeddings n_positions n_ctx max_seq_len model_max_length max_target_positions"),
    (128, "context_length"),
    (6, "sliding_window window_size attention_window_size sliding_window_size local_attention"),
    (6, "attention_chunk_size"),
    (32, "image_size output_channels"),
)
SMALL: Mapping[str, int] = MappingProxyType({name: size for size, names in _SIZES for name in names.split()})
"""Sizes of a tiny config, wherever the family's config has them, neither zero nor None."""
ALWAYS: Mapping[str, Any] = MappingProxyType({"is_decoder": True, "pad_token_id": 0})
"""Other fields of a tiny config, wherever the family's config has them."""

_HYBRID = ["linear_attention", "full_attention"] * 2
_HEADS: dict[str, Any] = {"head_dim": 16}
_ROTARY: dict[str, Any] = {"rope_type": "default", "rope_theta": 10000.0}
_THREE_AXES = {"text_config": {"rope_parameters": _ROTARY | {"mrope_section": [2, 3, 3]}}}
_ZAMBA = {
    "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
    "attention_hidden_size": 128,
}

CHANGES: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "bamba": {"attn_layer_indices": [1, 3]},
        "cohere_compass_text": {"rope_parameters": {"full_attention": _ROTARY}},
        "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8.0}},
        "deepseek_v2": {"num_experts_per_tok": 2},
        "dots3_note_text": {
            "swa_num_attention_heads": 4,
            "swa_num_key_value_heads": 4,
            "swa_q_lora_rank": 16,
            "swa_kv_lora_rank": 16,
            "swa_head_dim": 16,
            "swa_qk_nope_head_dim": 8,
            "swa_v_head_dim": 16,
        },
        "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
        "falcon_h1": {"mamba_d_ssm": 128},
        "gemma3n_text": {"num_kv_shared_layers": 0},
        "granitemoehybrid": {"layer_types": _HYBRID},
        "granitemoeshared": {"shared_intermediate_size": 48},
        "hunyuan_v1_dense": _HEADS,
        "hunyuan_v1_moe": _HEADS,
        "jamba": {"attn_layer_period": 3, "attn_layer_offset": 1},
        "lfm2": {"layer_types": ["conv", "full_attention", "conv", "full_attention"]},
        "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv", "full_attention"]},
        "mamba2": {"num_heads": 8, "n_groups": 1},
        "ministral": _HEADS,
        "nemotron": {"num_key_value_heads": 2},
        "qwen4_exp_text": {
            "indexer_n_heads": 4,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 16,
            "indexer_budget": 8,
            "indexer_compress_ratio": 2,
        },
        "qwen2_vl": _THREE_AXES,
        "qwen2_5_vl": _THREE_AXES,
        "glm4v": _THREE_AXES,
        "xmod": {"default_language": "en_XX"},
        "zamba": _ZAMBA,
        "zamba2": _ZAMBA,
        "zaya": {"num_experts_per_tok": 1},
    }
)
"""Fields beyond :data:`SMALL`, by model type: sizes that must fit each other, and defaults that are None."""


@dataclass(frozen=True)
class Variant:
    """A second member of a type, with another layout, which its config chooses."""

    model_type: str
    changes: dict[str, Any] = field(default_factory=dict)


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "bloom-post-layernorm": Variant("bloom", {"apply_residual_connection_post_layernorm": True}),
        "falcon-alibi": Variant("falcon", {"alibi": True}),
        "falcon-new-decoder": Variant("falcon", {"new_decoder_architecture": True}),
        "falcon-sequential": Variant("falcon", {"parallel_attn": False, "alibi": True}),
        "gemma4-experts": Variant(
            "gemma4_text", {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 48}
        ),
        "gpt_neox-sequential": Variant("gpt_neox", {"use_parallel_residual": False}),
        "opt-post-layernorm": Variant("opt", {"do_layer_norm_before": False}),
        "stablelm-parallel": Variant("stablelm", {"use_parallel_residual": True}),
    }
)  # fmt: skip


def _paths(block: str, mlp: str, down: str) -> dict[str, str]:
    return {"block": block, "mlp": f"{block}.{mlp}", "down": f"{block}.{down}"}


_BERT = {
    "bert": "bert bert-generation big_bird megatron-bert",
    "data2vec_text": "data2vec-text",
    "electra": "electra",
    "ernie": "ernie",
    "git": "git",
    "rembert": "rembert",
    "roberta": "camembert roberta xlm-roberta xlm-roberta-xl xmod",
    "roc_bert": "roc_bert",
    "roformer": "roformer",
}
"""Types that name their layers as BERT does, by the attribute of the model below their head."""

SITE_PATHS: Mapping[str, dict[str, str]] = MappingProxyType(
    {
        name: _paths(f"{base}.encoder.layer.{{layer}}", "intermediate", "output.dense")
        for base, names in _BERT.items()
        for name in names.split()
    }
    | {
        "biogpt": _paths("biogpt.layers.{layer}", "fc1", "fc2"),
        "ctrl": _paths("transformer.h.{layer}", "ffn", "ffn.2"),
        "gpt_neox_japanese": _paths("gpt_neox_japanese.layers.{layer}", "mlp", "mlp.dense_4h_to_h"),
        "openai-gpt": _paths("transformer.h.{layer}", "mlp", "mlp.c_proj"),
        "prophetnet": _paths(
            "prophetnet.decoder.layers.{layer}", "feed_forward.intermediate", "feed_forward.output"
        ),
        "recurrent_gemma": _paths("model.layers.{layer}", "mlp_block", "mlp_block.down_proj"),
        "roberta-prelayernorm": _paths(
            "roberta_prelayernorm.encoder.layer.{layer}", "intermediate.dense", "output.dense"
        ),
        "rwkv": _paths("rwkv.blocks.{layer}", "feed_forward", "feed_forward.value"),
        "trocr": _paths("model.decoder.layers.{layer}", "fc1", "fc2"),
        "whisper": _paths("model.decoder.layers.{layer}", "fc1", "fc2"),
        "xlnet": _paths("transformer.layer.{layer}", "ff.layer_1", "ff.layer_2"),
        "xlstm": _paths("backbone.blocks.{layer}", "ffn", "ffn.proj_down"),
    }
)
"""Modules that a search does not find, as ``--site`` would name them."""

WRAPPERS = tuple(
    "aria aya_vision cohere2_vision glm4v granite_docling idefics3 internvl lfm2_vl lighton_ocr llava llava_onevision "
    "mistral3 ovis2 paligemma qwen2_vl qwen2_5_vl qwen3_vl qwen3_vl_moe smolvlm".split()
)
"""Multimodal types with a text decoder inside that have no causal LM class of their own."""

LEFT_OUT = frozenset(
    "blt gemma3n gemma4_assistant gemma4_unified_assistant internlm3 iquestcoder moss_transcribe_diarize musicgen "
    "musicgen_melody reformer".split()
)
"""Types that predict no text from text alone, need another package, or have sizes that cannot be small."""
