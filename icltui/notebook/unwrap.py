"""The model of transformers inside whatever the user holds, and whether a tokenizer can be its own.

Compiled models and adapters of PEFT are opened: what is in them has the same weights, an adapter's included.
"""

import sys
from os import PathLike, fspath
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from icltui.values.errors import BadInput, ModelError

_NEED = (
    "hand in a model such as AutoModelForCausalLM.from_pretrained gives, a model's name or folder, or 'demo'"
)


def unwrap(model: Any) -> Any:
    """The ``PreTrainedModel`` that ``model`` is or holds.

    Raises:
        BadInput: it is none.
        ModelError: it generates no text, has no weights, or is adapted by virtual tokens, which are no weights.
    """
    own = _opened(model)
    if not isinstance(own, PreTrainedModel):
        raise BadInput(f"{_called(model)} is no model of transformers: {_need(model)}")
    name = type(own).__name__
    if own.config.is_encoder_decoder:
        raise ModelError(f"{name} reads with an encoder and writes with a decoder: a decoder alone is needed")
    if own.get_output_embeddings() is None:
        raise ModelError(f"{name} has no head that gives logits: load it with AutoModelForCausalLM")
    if own.device.type == "cpu" and own.config._attn_implementation == "flex_attention":
        raise ModelError(  # its compiled kernels corrupt memory in the passes of many rows at once
            f"{name} has flex_attention, which on a CPU may end this whole process: call "
            "set_attn_implementation('sdpa') on it first"
        )
    if any(_is_empty(module) for module in own.modules()):
        raise ModelError(f"{name} has weights on the meta device, which holds no numbers: load them first")
    return own


def _opened(model: Any) -> Any:
    """``model`` without what torch.compile and PEFT put around it."""
    compiler = sys.modules.get("torch._dynamo.eval_frame")  # which is imported by whoever compiles
    if compiler is not None and isinstance(model, compiler.OptimizedModule):
        return _opened(model._orig_mod)
    if "peft" not in sys.modules:
        return model
    from peft import PeftMixedModel, PeftModel

    if isinstance(model, PeftModel | PeftMixedModel):
        if isinstance(model, PeftModel) and any(c.is_prompt_learning for c in model.peft_config.values()):
            raise ModelError(
                "its adapter is of virtual tokens, which no weights stand for: use its base model"
            )
        return _opened(model.get_base_model())
    return model


def _called(value: Any) -> str:
    kind = type(value)
    return (
        f"a {kind.__name__}" if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__qualname__}"
    )


def _need(model: Any) -> str:
    inner = vars(model) if hasattr(model, "__dict__") else {}
    modules = inner.get("_modules", {})
    for name in ("model", "module"):
        if isinstance(inner.get(name, modules.get(name)), PreTrainedModel):
            return f"hand in its .{name}"
    return _NEED


def _is_empty(module: nn.Module) -> bool:
    """Whether the module's own weights are nowhere: not on a device, and not where accelerate keeps them."""
    keeps = getattr(vars(module).get("_hf_hook"), "offload", False)
    return not keeps and any(p is not None and p.device.type == "meta" for p in module._parameters.values())


def check_order(model: Any, tokenizer: Any) -> None:
    """Refuse arguments that are in one another's place.

    Raises:
        BadInput: saying which belongs where.
    """
    order = "write (model, tokenizer, context, query)"
    if isinstance(model, PreTrainedTokenizerBase):
        raise BadInput(f"the first argument is the model, and a tokenizer was given: {order}")
    if isinstance(model, str | PathLike):
        if tokenizer is not None:
            given = "a text" if isinstance(tokenizer, str) else "a tokenizer"
            raise BadInput(
                f"{fspath(model)!r} is the name of a model, which brings its own tokenizer, and {given} was given in "
                "its place: write (model, context=…, query=…)"
            )
    elif isinstance(tokenizer, str):
        raise BadInput(f"the second argument is the model's tokenizer, and a text was given: {order}")


def check_tokenizer(model: Any, tokenizer: Any) -> None:
    """Refuse what cannot be the model's tokenizer.

    Raises:
        BadInput: it is missing, no tokenizer of transformers, or has more tokens than the model.
    """
    if tokenizer is None:
        raise BadInput(
            "a model in memory needs its tokenizer: hand in what AutoTokenizer.from_pretrained gives"
        )
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise BadInput(
            f"{_called(tokenizer)} is no tokenizer of transformers: hand in what AutoTokenizer.from_pretrained gives"
        )
    n_embedded = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > n_embedded:
        raise BadInput(
            f"the tokenizer has {len(tokenizer):,} tokens, the model {n_embedded:,}: hand in the model's own"
        )
