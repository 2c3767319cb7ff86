"""Whether a model can take a tokenised prompt: its vocabulary and its positions.

Enters: a loaded model and :class:`~icltui.engine.prompts.tokenize.Ids`. Leaves: nothing, or a refusal.
"""

from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.token_texts import as_tokens
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput


def check_known(loaded: LoadedModel, ids: Ids) -> None:
    """Refuse a token without a row in the model's embedding, such as one added to the tokenizer alone.

    Raises:
        BadInput: naming the token.
    """
    n_rows = loaded.model.get_input_embeddings().weight.shape[0]
    strange = next((token for token in ids.full if not 0 <= token < n_rows), None)
    if strange is not None:
        has_name = 0 <= strange < 2**31
        name = repr(as_tokens(loaded.tokenizer, (strange,))[0].text) if has_name else "without a name"
        raise BadInput(
            f"token {name} has id {strange}, and this model embeds ids 0 to {n_rows - 1}: leave it out"
        )


def check_length(loaded: LoadedModel, ids: Ids, n_more: int = 0) -> None:
    """Refuse a row that the model's positions cannot hold, with ``n_more`` tokens to generate.

    Raises:
        BadInput: naming the number of tokens beyond the limit.
    """
    length = len(ids.full) + max(n_more - 1, 0)  # the last generated token is not run
    if loaded.window is None or length <= loaded.window:
        return
    excess = length - loaded.window
    parts = {"before the text": len(ids.prefix), "of context": len(ids.context), "of query": len(ids.query)}
    needs = [f"{count} {what}" for what, count in parts.items() if count]
    needs += [f"{n_more} to generate"] if n_more else []
    ways = [f"shorten the context by {excess}"] if excess <= len(ids.context) else []
    ways += [f"generate {n_more - excess}"] if n_more > excess else []
    raise BadInput(
        f"tokens: {', '.join(needs)} need {length} positions, the model has {loaded.window}: "
        + (", or ".join(ways) or "shorten context and query")
    )
