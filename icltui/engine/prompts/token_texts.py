"""The text of each token on its own.

Enters: a tokenizer and ids. Leaves: a :class:`~icltui.values.Token` for each.
"""

from collections.abc import Sequence
from typing import Any

from icltui.values import Token


def as_tokens(tokenizer: Any, ids: Sequence[int]) -> tuple[Token, ...]:
    """Each id with its text; a piece of a character has its name in the vocabulary instead."""
    names = tokenizer.convert_ids_to_tokens(list(ids))
    return tuple(Token(id=i, text=_text(tokenizer, i, name)) for i, name in zip(ids, names, strict=True))


def _text(tokenizer: Any, token: int, name: str | None) -> str:
    if name is None:  # a padded vocabulary: the model has ids that the tokenizer does not know
        return f"<{token}>"
    text: str = tokenizer.decode([token])
    if "\ufffd" in text or not text:
        return name
    n_spaces = len(name) - len(name.lstrip("\u2581\u0120"))
    if not n_spaces or text[0] == name[0]:  # the letter may mean itself
        return text
    return " " * n_spaces + text.lstrip(" ")  # some tokenizers drop the space before a first word
