"""Which tokens of the vocabulary are text: those that a text may be made of at random.

Enters: a loaded model. Leaves: a mask over the vocabulary.
"""

import torch
from jaxtyping import Bool
from torch import Tensor

from icltui.engine.models.loaded_model import LoadedModel


def is_text_token(loaded: LoadedModel, vocabulary: int | None = None) -> Bool[Tensor, " vocabulary"]:
    """False for special tokens, and for ids that the tokenizer does not know or the model does not embed.

    ``vocabulary``: the length of the mask; None: as many as the model embeds.
    """
    n_embedded = int(loaded.model.get_input_embeddings().weight.shape[0])
    size = n_embedded if vocabulary is None else vocabulary
    tokenizer = loaded.tokenizer
    added = tokenizer.added_tokens_decoder.items()
    special = {*tokenizer.all_special_ids, *(token for token, known in added if known.special)}
    is_text = torch.arange(size) < min(len(tokenizer), n_embedded)
    is_text[[token for token in special if token < size]] = False
    return is_text
