"""Notes for the user on special, unknown and straddling tokens of a text.

Enters: a text and its tokens with their spans. Leaves: notes, one sentence each.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from icltui.engine.prompts.offsets import TokenSpan

_MOST_QUOTED, _LONGEST_QUOTE = 5, 20
"""Most unknown parts of a text in a note, and most characters of each."""


def special_token_notes(tokenizer: Any, text: str, typed: Sequence[TokenSpan]) -> list[str]:
    """Notes on special tokens that come out of the user's own text, and on characters without a token."""
    unknown = _unknown(tokenizer, text, typed)
    known = {token for token, (begin, _) in typed if begin not in unknown}
    notes = [
        f"the text holds {token.content!r}, which the model reads as that special token"
        for key, token in tokenizer.added_tokens_decoder.items()
        if key in known and token.special
    ]
    if unknown:
        name = tokenizer.convert_ids_to_tokens(next(token for token, (begin, _) in typed if begin in unknown))
        notes.append(
            f"the tokenizer does not know {_quoted(unknown.values())}: the model reads {name!r} there"
        )
    return notes


def _unknown(tokenizer: Any, text: str, typed: Sequence[TokenSpan]) -> dict[int, str]:
    """The parts of the text that have only the unknown token, by the character at which they begin."""
    backend = tokenizer.backend_tokenizer
    names = (tokenizer.unk_token, getattr(backend.model, "unk_token", None))
    ids = {backend.token_to_id(name): name for name in names if name}
    found = ((begin, text[begin:end], ids[token]) for token, (begin, end) in typed if token in ids)
    return {begin: part for begin, part, name in found if part.strip() != name}


def _quoted(parts: Iterable[str]) -> str:
    """The first few of the different parts, cut to a few characters."""
    different = list(dict.fromkeys(parts))
    shown = [
        part if len(part) <= _LONGEST_QUOTE else part[:_LONGEST_QUOTE] + "…"
        for part in different[:_MOST_QUOTED]
    ]
    n_more = len(different) - len(shown)
    return ", ".join(map(repr, shown)) + (f" and {n_more} more" if n_more else "")


def straddling_notes(text: str, begin: int, boundary: int, body: Sequence[TokenSpan], cut: int) -> list[str]:
    """Notes on tokens that straddle an edge, and on a context without any token.

    The context begins at character ``begin`` and ends at ``boundary``; ``body[cut]`` is the query's first token.
    """
    notes = []
    first, end = body[0][1]
    if first < begin:
        owner = "context" if cut else "query"
        notes.append(
            f"the token {text[first:end]!r} straddles chat header and {owner}: it counts as the {owner}'s"
        )
    first, end = body[cut][1]
    if begin < boundary and first < boundary:
        notes.append(f"the token {text[first:end]!r} straddles context and query: it counts as the query's")
    elif begin < boundary and not cut:
        notes.append("the tokenizer makes no token of this context: it changes nothing")
    return notes
