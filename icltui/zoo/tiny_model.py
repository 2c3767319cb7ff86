"""A tiny random model of any family that transformers offers.

Enters: the name of a member of the zoo (:mod:`icltui.zoo.families`). Leaves: a model of a few hundred thousand
weights with every kind of layer that the family has, its weights large enough for attention and MLP to matter.
Nothing is downloaded, and a member has fixed weights.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedConfig,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from icltui.zoo.families import (
    ALWAYS,
    CHANGES,
    DEPTHS,
    LAYERS,
    LEFT_OUT,
    SMALL,
    VARIANTS,
    WRAPPERS,
    Variant,
)

MATRIX_STD, VECTOR_STD = 0.25, 0.1


def members() -> tuple[str, ...]:
    """The zoo's members that the installed transformers has, sorted: one for each model class, and the variants."""
    classes = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    types = [
        name
        for name in classes
        if name not in LEFT_OUT
        and CONFIG_MAPPING[name].model_type == name  # else a second name of another type
        and classes.get(f"{name}_text")
        != classes[name]  # else a wrapper, which shares the class of its text model
    ]
    kin = [name for name, variant in VARIANTS.items() if variant.model_type in types]
    return tuple(sorted([*types, *kin, *(name for name in WRAPPERS if name in CONFIG_MAPPING)]))


def build(member: str, dtype: torch.dtype = torch.float32) -> Any:
    """The member's model, in evaluation mode."""
    variant = VARIANTS.get(member, Variant(member))
    config = shrink(CONFIG_MAPPING[variant.model_type], CHANGES.get(variant.model_type, {}) | variant.changes)
    is_causal = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    auto = AutoModelForCausalLM if is_causal else AutoModelForImageTextToText
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        torch.manual_seed(0)
        model = auto.from_config(config, dtype=dtype)
        _fill(model)
    if model.generation_config is not None:
        model.generation_config.eos_token_id = None  # random weights would end texts anywhere
    return model.eval()


@torch.no_grad()
def _fill(model: nn.Module) -> None:
    """Make every parameter random; vectors stay near their first values, since norms scale by them."""
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape)
        if parameter.ndim >= 2:
            parameter.copy_(MATRIX_STD * noise)
        else:
            parameter.add_((VECTOR_STD * noise).to(parameter.dtype))


def shrink(kind: type[PreTrainedConfig], changes: Mapping[str, Any]) -> PreTrainedConfig:
    """A config of ``kind`` with every size small, its inner configs too, except for ``changes``."""
    defaults = _defaults(kind)
    sizes: dict[str, Any] = {name: SMALL[name] for name, value in defaults.items() if name in SMALL and value}
    if defaults.get("kv_lora_rank") is not None:  # multi-head latent attention has keys for every head
        sizes["num_key_value_heads"] = SMALL["num_attention_heads"]
    inner = {
        name: shrink(type(value), changes.get(name, {}))
        for name, value in defaults.items()
        if isinstance(value, PreTrainedConfig)
    }
    always = {name: value for name, value in ALWAYS.items() if name in defaults}
    return kind(**(_few_layers(defaults) | sizes | always | dict(changes) | inner))


def _defaults(kind: type[PreTrainedConfig]) -> dict[str, Any]:
    """The default of every field of ``kind``, fields that are computed from others included."""
    try:
        config = kind()
        return {name: vars(config).get(name) for name in config.to_dict()}
    except (ValueError, AttributeError):  # defaults that refuse each other
        return {entry.name: entry.default for entry in fields(kind)}


def _few_layers(defaults: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Fields with an entry per layer, cut to a few layers in order, one of each kind while there is room."""
    depth = next((value for name in DEPTHS if isinstance(value := defaults.get(name), int)), 0)
    lists = {
        name: value
        for name, value in defaults.items()
        if isinstance(value, list | tuple) and len(value) == depth
    }
    if depth < LAYERS or not lists:
        return {}
    kinds = [repr(kind) for kind in zip(*lists.values(), strict=True)]
    firsts = sorted({kind: layer for layer, kind in reversed(list(enumerate(kinds)))}.values())
    rest = [layer for layer in range(depth) if layer not in firsts]
    chosen = sorted([*firsts, *rest][:LAYERS])
    return {name: [value[layer] for layer in chosen] for name, value in lists.items()}
