"""The one token to keep before a text whose tokenizer puts none there.

Enters: a loaded model. Leaves: the id of its BOS, or of what does for one. A token that is kept in both runs takes
the attention sink off the query, see :mod:`icltui.engine.measure.attention_sink`.
"""

from collections.abc import Iterator
from typing import Any

from icltui.engine.models.loaded_model import LoadedModel

_SEPARATOR = "<|endoftext|>"
"""What GPT-2 and Qwen put between documents, and so before one, under whatever role the tokenizer lists it."""


def kept_token(loaded: LoadedModel) -> int | None:
    """The first usable of: the tokenizer's BOS, the model's, ``<|endoftext|>``, the tokenizer's EOS and padding.

    Usable is a token that the tokenizer knows as special and the model embeds; None where there is none.
    """
    usable = _special_ids(loaded)
    return next((token for token in _candidates(loaded) if type(token) is int and token in usable), None)


def _candidates(loaded: LoadedModel) -> Iterator[Any]:
    tokenizer, model = loaded.tokenizer, loaded.model
    yield tokenizer.bos_token_id
    if model is not None:
        yield from (
            getattr(config, "bos_token_id", None)
            for config in (
                model.config.get_text_config(decoder=True),
                getattr(model, "generation_config", None),
            )
        )
    yield tokenizer.added_tokens_encoder.get(_SEPARATOR)
    yield from (tokenizer.eos_token_id, tokenizer.pad_token_id)


def _special_ids(loaded: LoadedModel) -> set[int]:
    """Special tokens: a config's number may be the usual one of its architecture, of any token in this vocabulary."""
    added = loaded.tokenizer.added_tokens_decoder.items()
    special = {*loaded.tokenizer.all_special_ids, *(token for token, known in added if known.special)}
    if loaded.model is None:
        return special
    n_rows = loaded.model.get_input_embeddings().weight.shape[0]
    return {token for token in special if token < n_rows}
