"""Text → token ids, once for both runs.

Enters: a prompt and a tokenizer. Leaves: :class:`Ids`, the one tokenisation of ``context + query`` split by
character offset, so that the query's ids are the same with the context and without it. Nothing is tokenised
twice. As a chat turn the row is ``header + context + query + footer``: the header is kept in both runs, the footer
ends the query in both.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.chat_template import render_turn
from icltui.engine.prompts.offsets import Spanned, cover, encode
from icltui.values import PromptIds, Token, TokenizedPrompt, Unit
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt, check_size, n_bytes


@dataclass(frozen=True)
class Ids:
    """``prefix + context + query``; ``ends[i]`` context tokens make up the first i units (``ends[0]`` = 0)."""

    prefix: tuple[int, ...]
    context: tuple[int, ...]
    query: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def record(self) -> PromptIds:
        """What leaves the engine."""
        return PromptIds(prefix=self.prefix, context=self.context, query=self.query)

    @property
    def full(self) -> list[int]:
        """The row with the context."""
        return [*self.prefix, *self.context, *self.query]

    @property
    def plain(self) -> list[int]:
        """The row without it."""
        return [*self.prefix, *self.query]


@dataclass(frozen=True)
class _Row:
    """The one tokenised text; the user's own part of it begins at character ``begin``."""

    text: str
    begin: int
    prefix: list[int]
    body: list[Spanned]
    """What is behind the prefix: every character behind ``begin`` is one token's."""
    notes: list[str]


def tokenize(loaded: LoadedModel, prompt: Prompt) -> tuple[Ids, TokenizedPrompt]:
    """The ids of ``prompt`` and the record of them.

    A token that straddles context and query belongs to the query, one that straddles chat header and context to
    the context, and the record's notes say so.

    Raises:
        BadInput: an empty query, a text of more bytes than the model could hold, no BOS where one is demanded, a chat
            template that cannot be used.
    """
    if not prompt.query:
        raise BadInput("the query is empty: type the text whose continuation is to be explained")
    _check_size(loaded, prompt)
    start, query_text = _encodable(prompt.context), _encodable(prompt.query)
    row = (_turn if prompt.chat else _typed)(loaded.tokenizer, prompt, start, query_text)
    boundary = row.begin + len(start)
    cut = next((k for k, (_, (_, end)) in enumerate(row.body) if end > boundary), len(row.body))
    context, query = row.body[:cut], row.body[cut:]
    if not query:
        raise BadInput("the query has no tokens of its own: type a longer one")
    edges = [min(max(begin - row.begin, 0), len(start)) for _, (begin, _) in row.body[: cut + 1]]
    shown, asked = (pieces(loaded.tokenizer, tuple(token for token, _ in part)) for part in (context, query))
    units, ends, unit_notes = _units(prompt.unit, start, edges, shown)
    ids = Ids(
        tuple(row.prefix),
        tuple(token.id for token in shown),
        tuple(token.id for token in asked),
        ends,
    )
    record = TokenizedPrompt(
        prefix=pieces(loaded.tokenizer, ids.prefix),
        context=shown,
        query=asked,
        units=tuple(units),
        notes=(*row.notes, *_straddling(row, cut, boundary), *unit_notes),
    )
    return ids, record


def _check_size(loaded: LoadedModel, prompt: Prompt) -> None:
    """Refuse before it is tokenised, which would take minutes, a text that the model could not hold anyway."""
    check_size(prompt.context, "the context")
    check_size(prompt.query, "the query")
    size = n_bytes(prompt.context) + n_bytes(prompt.query)
    if loaded.window is not None and size > loaded.window * MOST_BYTES_PER_TOKEN:
        raise BadInput(
            f"context and query have {size:,} bytes, more than the model's {loaded.window:,} positions could hold: "
            "shorten them"
        )


def _typed(tokenizer: Any, prompt: Prompt, start: str, query: str) -> _Row:
    """The text as it is; the special tokens that the tokenizer puts in front, or a BOS that is demanded, are kept."""
    text = start + query
    prefix, body = encode(tokenizer, text, special=prompt.bos != "never")
    if prompt.bos == "always" and not prefix:
        prefix = [_bos(tokenizer)]
    return _Row(text, 0, prefix, cover(body, [len(start)]), _specials(tokenizer, text, body))


def _turn(tokenizer: Any, prompt: Prompt, start: str, query: str) -> _Row:
    """The text as one user turn: the template's header is kept, its footer is the end of the query."""
    if prompt.bos == "never":
        raise BadInput("bos 'never' does not go with --chat, whose template says what is in front: use auto")
    turn = render_turn(tokenizer, start + query)
    begin, whole = len(turn.header), turn.header + start + query + turn.footer
    end = len(whole) - len(turn.footer)
    _, body = encode(tokenizer, whole, special=False)
    row = cover(body, [begin, begin + len(start), end])
    first = next((k for k, (_, (_, reached)) in enumerate(row) if reached > begin), len(row))
    prefix = [token for token, _ in row[:first]]
    if prompt.bos == "always" and prefix[:1] != [_bos(tokenizer)]:
        prefix.insert(0, _bos(tokenizer))
    typed = [(token, span) for token, span in body[first:] if span[0] < end]
    notes = _specials(tokenizer, whole, typed)
    if not turn.is_as_typed:
        notes.insert(
            0, "the chat template would change this text, such as its spaces: it is used exactly as typed"
        )
    return _Row(whole, begin, prefix, row[first:], notes)


def _specials(tokenizer: Any, text: str, typed: Sequence[Spanned]) -> list[str]:
    """What to say of special tokens that come out of the user's own text, and of characters without a token."""
    unknown = _unknown(tokenizer, text, typed)
    known = {token for token, (begin, _) in typed if begin not in unknown}
    notes = [
        f"the text holds {token.content!r}, which the model reads as that special token"
        for key, token in tokenizer.added_tokens_decoder.items()
        if key in known and token.special
    ]
    if unknown:
        (token, _), *_ = (piece for piece in typed if piece[1][0] in unknown)
        name = tokenizer.convert_ids_to_tokens(token)
        notes.append(
            f"the tokenizer does not know {_quoted(unknown.values())}: the model reads {name!r} there"
        )
    return notes


def _quoted(parts: Iterable[str]) -> str:
    """The first few of the different parts, cut to a few characters."""
    first, *others = dict.fromkeys(parts)
    shown = [
        part if len(part) <= _LONGEST else part[:_LONGEST] + "…" for part in (first, *others[: _MOST - 1])
    ]
    more = len(others) + 1 - len(shown)
    return ", ".join(map(repr, shown)) + (f" and {more} more" if more else "")


def _unknown(tokenizer: Any, text: str, typed: Sequence[Spanned]) -> dict[int, str]:
    """What the tokenizer has no token for but the one for the unknown, by where it begins."""
    backend = tokenizer.backend_tokenizer
    names = (tokenizer.unk_token, getattr(backend.model, "unk_token", None))
    ids = {backend.token_to_id(name): name for name in names if name}
    found = ((begin, text[begin:end], ids[token]) for token, (begin, end) in typed if token in ids)
    return {begin: part for begin, part, name in found if part.strip() != name}


def _straddling(row: _Row, cut: int, boundary: int) -> list[str]:
    """What to say of tokens on an edge, or of a context without any; ``row.body[cut]`` is the query's first."""
    notes = []
    begin, end = row.body[0][1]
    if begin < row.begin:
        owner = "context" if cut else "query"
        piece = row.text[begin:end]
        notes.append(f"the token {piece!r} straddles chat header and {owner}: it counts as the {owner}'s")
    begin, end = row.body[cut][1]
    if row.begin < boundary and begin < boundary:
        piece = row.text[begin:end]
        notes.append(f"the token {piece!r} straddles context and query: it counts as the query's")
    elif row.begin < boundary and not cut:
        notes.append("the tokenizer makes no token of this context: it changes nothing")
    return notes


def check_known(loaded: LoadedModel, ids: Ids) -> None:
    """Refuse a token that the model has no row for, as when tokens were added to the tokenizer alone.

    Raises:
        BadInput: naming the token.
    """
    n_rows = loaded.model.get_input_embeddings().weight.shape[0]
    strange = next((token for token in ids.full if not 0 <= token < n_rows), None)
    if strange is not None:
        name = (
            repr(pieces(loaded.tokenizer, (strange,))[0].text) if 0 <= strange < 2**31 else "without a name"
        )
        raise BadInput(
            f"token {name} has id {strange}, and this model embeds ids 0 to {n_rows - 1}: leave it out"
        )


def check_length(loaded: LoadedModel, ids: Ids, n_more: int = 0) -> None:
    """Refuse a row that the model's positions cannot hold.

    Raises:
        BadInput: naming how many tokens are too many.
    """
    length = len(ids.full) + max(n_more - 1, 0)  # the last token generated is never fed
    if loaded.window is None or length <= loaded.window:
        return
    excess = length - loaded.window
    parts = {"in front": len(ids.prefix), "of context": len(ids.context), "of query": len(ids.query)}
    needs = [f"{count} {what}" for what, count in parts.items() if count]
    needs += [f"{n_more} to generate"] if n_more else []
    ways = [f"shorten the context by {excess}"] if excess <= len(ids.context) else []
    ways += [f"generate {n_more - excess}"] if n_more > excess else []
    raise BadInput(
        f"tokens: {', '.join(needs)} need {length} positions, the model has {loaded.window}: "
        + (", or ".join(ways) or "shorten context and query")
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
    n_spaces = len(name) - len(name.lstrip("\u2581\u0120"))
    if text[0] == name[0]:  # it stands for that letter itself
        return text
    return (
        " " * n_spaces + text.lstrip(" ") if n_spaces else text
    )  # some drop the space in front of a first word


def _encodable(text: str) -> str:
    """Lone surrogates, which no tokenizer takes, become the replacement character, one for one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _bos(tokenizer: Any) -> int:
    if tokenizer.bos_token_id is None:
        raise BadInput("bos 'always' asked, but this tokenizer has no BOS token: use auto or never")
    return int(tokenizer.bos_token_id)


MOST_BYTES_PER_TOKEN = 512
"""No vocabulary in use has a longer token: the longest are of 128 spaces."""
_MOST, _LONGEST = 5, 20
"""Of the unknown parts of a text that are quoted, and of the characters of each."""

_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*(?=\s|$)|[。！？｡]+[」』”’）】]*|\n+")
"""Chinese and Japanese put no space behind their stops."""


def _cuts(unit: str, context: str) -> list[int]:
    """Character offsets behind which a new unit of the context begins."""
    if unit == "line":
        return [match.end() for match in re.finditer(r"\n", context)]
    if unit == "sentence":
        return [match.end() for match in _SENTENCE_END.finditer(context)]
    return [match.end() for match in re.finditer(re.escape(unit), context)]


def _units(
    unit: str, context: str, edges: list[int], shown: Sequence[Token]
) -> tuple[list[Unit], tuple[int, ...], list[str]]:
    """Units of whole tokens: a token belongs to the unit in which it starts; none is empty, nor its text.

    ``edges`` are the characters at which the context's tokens begin, and the one behind the last of them. Where the
    next token covers all that a unit does, such as the space before a word, the unit's text is its tokens' own.
    """
    notes: list[str] = []
    starts = edges[:-1]
    if not unit:
        raise BadInput("the unit is empty: use token, line, sentence, or a separator such as ';'")
    if unit == "token":
        ends = list(range(len(edges)))
    else:
        cuts = _cuts(unit, context)
        if not cuts and starts:
            notes.append(f"unit {unit!r} never ends in the context: the whole context is one unit")
        ends = sorted({0, *(bisect_left(starts, cut) for cut in cuts), len(starts)})
    texts = [
        context[edges[a] : edges[b]] or "".join(token.text for token in shown[a:b]) for a, b in pairwise(ends)
    ]
    units = [
        Unit(index=i, text=text, tokens=b - a)
        for i, (text, (a, b)) in enumerate(zip(texts, pairwise(ends), strict=True), start=1)
    ]
    return units, tuple(ends), notes
