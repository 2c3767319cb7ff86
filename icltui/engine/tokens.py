"""Text → token ids, once for both runs.

Enters: a prompt and a tokenizer. Leaves: :class:`Ids`, the one tokenisation of ``context + query`` split by
character offset, so that the query's ids are the same with the context and without it. Nothing is tokenised
twice.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from icltui.engine.model import LoadedModel
from icltui.errors import BadInput
from icltui.prompt import Prompt
from icltui.record import Token, TokenizedPrompt, Unit


@dataclass(frozen=True)
class Ids:
    """``prefix + context + query``; ``ends[i]`` context tokens make up the first i units (``ends[0]`` = 0)."""

    prefix: tuple[int, ...]
    context: tuple[int, ...]
    query: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def full(self) -> list[int]:
        """The row with the context."""
        return [*self.prefix, *self.context, *self.query]

    @property
    def plain(self) -> list[int]:
        """The row without it."""
        return [*self.prefix, *self.query]


def tokenize(loaded: LoadedModel, prompt: Prompt) -> tuple[Ids, TokenizedPrompt]:
    """The ids of ``prompt`` and the record of them.

    A token that straddles the boundary belongs to the query, and the record's notes say so.

    Raises:
        BadInput: an empty query, no BOS where one is demanded.
    """
    if not prompt.query:
        raise BadInput("the query is empty: type the text whose continuation is to be explained")
    start = _encodable(prompt.context)
    text = start + _encodable(prompt.query)
    special = prompt.bos != "never"
    encoded = loaded.tokenizer(
        text, add_special_tokens=special, return_offsets_mapping=True, return_special_tokens_mask=True
    )
    rows = list(
        zip(encoded["input_ids"], encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True)
    )
    prefix = _prefix(loaded, prompt, rows, special)
    body = [(token, span) for token, span, is_special in rows if not (special and is_special)]
    boundary = len(start)
    cut = next((k for k, (_, (_, end)) in enumerate(body) if end > boundary), len(body))
    context, query = body[:cut], body[cut:]
    if not query:
        raise BadInput("the query has no tokens of its own: type a longer one")
    notes = []
    if query[0][1][0] < boundary:
        piece = text[slice(*query[0][1])]
        notes.append(f"the token {piece!r} straddles context and query: it counts as the query's")
    units, ends, unit_notes = _units(prompt.unit, start, [span[0] for _, span in context])
    ids = Ids(
        tuple(prefix),
        tuple(token for token, _ in context),
        tuple(token for token, _ in query),
        ends,
    )
    record = TokenizedPrompt(
        prefix=pieces(loaded.tokenizer, ids.prefix),
        context=pieces(loaded.tokenizer, ids.context),
        query=pieces(loaded.tokenizer, ids.query),
        units=tuple(units),
        notes=(*notes, *unit_notes),
    )
    return ids, record


def check_length(loaded: LoadedModel, ids: Ids, n_more: int = 0) -> None:
    """Refuse a row that the model's positions cannot hold.

    Raises:
        BadInput: naming how many tokens are too many.
    """
    length = len(ids.full) + max(n_more - 1, 0)  # the last token generated is never fed
    if loaded.window is None or length <= loaded.window:
        return
    excess = length - loaded.window
    more = f" and {n_more} to generate" if n_more else ""
    way_out = f"shorten the context by {excess} tokens" if excess <= len(ids.context) else "shorten the query"
    if n_more > excess:
        way_out += f", or generate {n_more - excess}"
    raise BadInput(
        f"context of {len(ids.context)} tokens, query of {len(ids.query)}{more} need {length} positions, "
        f"the model has {loaded.window}: {way_out}"
    )


def pieces(tokenizer: Any, ids: tuple[int, ...]) -> tuple[Token, ...]:
    """Each id with the text that it stands for on its own."""
    names = tokenizer.convert_ids_to_tokens(list(ids))
    return tuple(Token(id=i, text=_text(tokenizer, i, name)) for i, name in zip(ids, names, strict=True))


def _text(tokenizer: Any, token: int, name: str | None) -> str:
    if name is None:  # a padded vocabulary: the model has rows that the tokenizer does not know
        return f"<{token}>"
    text: str = tokenizer.decode([token])
    if "\ufffd" in text or not text:  # a piece of a character has no text of its own
        return name
    if name.startswith(("\u2581", "\u0120")) and not text.startswith(" "):
        return " " + text  # some tokenizers drop the space in front of a first word
    return text


def _encodable(text: str) -> str:
    """Lone surrogates, which no tokenizer takes, become the replacement character, one for one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _prefix(loaded: LoadedModel, prompt: Prompt, rows: list[Any], special: bool) -> list[int]:
    """The special tokens that the tokenizer itself puts in front, and BOS if it is demanded."""
    prefix: list[int] = []
    for token, _, is_special in rows if special else []:
        if not is_special:
            break
        prefix.append(token)
    if prompt.bos == "always" and not prefix:
        if loaded.tokenizer.bos_token_id is None:
            raise BadInput("bos 'always' asked, but this tokenizer has no BOS token: use auto or never")
        prefix.append(loaded.tokenizer.bos_token_id)
    return prefix


_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*(?=\s|$)|\n+")


def _cuts(unit: str, context: str) -> list[int]:
    """Character offsets behind which a new unit of the context begins."""
    if unit == "line":
        return [match.end() for match in re.finditer(r"\n", context)]
    if unit == "sentence":
        return [match.end() for match in _SENTENCE_END.finditer(context)]
    return [match.end() for match in re.finditer(re.escape(unit), context)]


def _units(unit: str, context: str, starts: list[int]) -> tuple[list[Unit], tuple[int, ...], list[str]]:
    """Units of whole tokens: a token belongs to the unit in which it starts; none is empty."""
    notes: list[str] = []
    if unit == "token":
        ends = list(range(len(starts) + 1))
    else:
        if not unit:
            raise BadInput("the unit is empty: use token, line, sentence, or a separator such as ';'")
        cuts = _cuts(unit, context)
        if not cuts and starts:
            notes.append(f"unit {unit!r} never ends in the context: the whole context is one unit")
        ends = sorted({0, *(bisect_left(starts, cut) for cut in cuts), len(starts)})
    edges = [*starts, len(context)]
    texts = [context[edges[a] : edges[b]] for a, b in pairwise(ends)]
    units = [
        Unit(index=i, text=text, tokens=b - a)
        for i, (text, (a, b)) in enumerate(zip(texts, pairwise(ends), strict=True), start=1)
    ]
    return units, tuple(ends), notes
