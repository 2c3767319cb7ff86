"""Text to token ids, once for both runs.

Enters: a prompt and a tokenizer. Leaves: :class:`Ids`, the one tokenisation of ``context + query`` split by character
offset, so that the query has equal ids with the context and without it. Nothing is tokenised twice. As a chat turn
the row is ``header + context + query + footer``: the header is kept in both runs, the footer ends the query in both.
"""

from dataclasses import dataclass

from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.chat_template import render_turn
from icltui.engine.prompts.kept_token import kept_token
from icltui.engine.prompts.offsets import TokenSpan, encode, fill_gaps
from icltui.engine.prompts.token_notes import special_token_notes, straddling_notes
from icltui.engine.prompts.token_texts import as_tokens
from icltui.engine.prompts.units import split_units
from icltui.values import PromptIds, TokenizedPrompt
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt, check_size, n_bytes

_NOTHING_TO_KEEP = "neither the tokenizer nor the model has a special token to keep before the text"
MOST_BYTES_PER_TOKEN = 512
"""More bytes than any token in use has: the longest are of 128 spaces."""


@dataclass(frozen=True)
class Ids:
    """``prefix + context + query``; ``ends[i]`` context tokens make up the first i units (``ends[0]`` = 0)."""

    prefix: tuple[int, ...]
    context: tuple[int, ...]
    query: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def record(self) -> PromptIds:
        """The ids as a session keeps them."""
        return PromptIds(prefix=self.prefix, context=self.context, query=self.query)

    @property
    def full(self) -> list[int]:
        """The row with the context."""
        return [*self.prefix, *self.context, *self.query]

    @property
    def plain(self) -> list[int]:
        """The row without the context."""
        return [*self.prefix, *self.query]


@dataclass(frozen=True)
class _Encoded:
    """The one tokenised text; the user's own part of it begins at character ``begin``."""

    text: str
    begin: int
    prefix: list[int]
    body: list[TokenSpan]
    """The tokens after the prefix: every character from ``begin`` on belongs to one of them."""
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
    tokenizer = loaded.tokenizer
    context, query = _encodable(prompt.context), _encodable(prompt.query)
    row = (_encode_chat if prompt.chat else _encode_text)(loaded, prompt, context, query)
    boundary = row.begin + len(context)
    cut = next((k for k, (_, (_, end)) in enumerate(row.body) if end > boundary), len(row.body))
    if cut == len(row.body):
        raise BadInput("the query has no tokens of its own: type a longer one")
    edges = [min(max(begin - row.begin, 0), len(context)) for _, (begin, _) in row.body[: cut + 1]]
    tokens = tuple(token for token, _ in row.body)
    context_tokens = as_tokens(tokenizer, tokens[:cut])
    units, ends, unit_notes = split_units(prompt.unit, context, edges, context_tokens)
    ids = Ids(tuple(row.prefix), tokens[:cut], tokens[cut:], ends)
    record = TokenizedPrompt(
        prefix=as_tokens(tokenizer, ids.prefix),
        context=context_tokens,
        query=as_tokens(tokenizer, ids.query),
        units=tuple(units),
        notes=(
            *row.notes,
            *straddling_notes(row.text, row.begin, boundary, row.body, cut),
            *([_NOTHING_TO_KEEP] if prompt.bos == "auto" and loaded.sink and not row.prefix else []),
            *unit_notes,
        ),
    )
    return ids, record


def _check_size(loaded: LoadedModel, prompt: Prompt) -> None:
    """Refuse a text too long for the model before its tokenisation, which would take minutes."""
    check_size(prompt.context, "the context")
    check_size(prompt.query, "the query")
    size = n_bytes(prompt.context) + n_bytes(prompt.query)
    if loaded.window is not None and size > loaded.window * MOST_BYTES_PER_TOKEN:
        raise BadInput(
            f"context and query have {size:,} bytes, more than the model's {loaded.window:,} positions could hold: "
            "shorten them"
        )


def _encode_text(loaded: LoadedModel, prompt: Prompt, context: str, query: str) -> _Encoded:
    """The text as it is; the tokenizer's special tokens before it, or the one token instead of them, are kept."""
    tokenizer, text = loaded.tokenizer, context + query
    prefix, body = encode(tokenizer, text, special=prompt.bos != "never")
    prefix = prefix or _instead(loaded, prompt)
    return _Encoded(
        text, 0, prefix, fill_gaps(body, [len(context)]), special_token_notes(tokenizer, text, body)
    )


def _encode_chat(loaded: LoadedModel, prompt: Prompt, context: str, query: str) -> _Encoded:
    """The text as one user turn: the template's header is kept, its footer is the end of the query."""
    if prompt.bos == "never":
        raise BadInput("bos 'never' does not go with --chat, whose template writes the beginning: use auto")
    tokenizer = loaded.tokenizer
    turn = render_turn(tokenizer, context + query)
    begin, text = len(turn.header), turn.header + context + query + turn.footer
    end = len(text) - len(turn.footer)
    _, body = encode(tokenizer, text, special=False)
    row = fill_gaps(body, [begin, begin + len(context), end])
    first = next((k for k, (_, (_, token_end)) in enumerate(row) if token_end > begin), len(row))
    prefix = [token for token, _ in row[:first]]
    if prompt.bos == "always" and prefix[:1] != (demanded := _instead(loaded, prompt)):
        prefix = demanded + prefix
    prefix = prefix or _instead(loaded, prompt)
    notes = special_token_notes(tokenizer, text, [part for part in body[first:] if part[1][0] < end])
    if not turn.is_as_typed:
        notes.insert(
            0, "the chat template would change this text, such as its spaces: it is used exactly as typed"
        )
    return _Encoded(text, begin, prefix, row[first:], notes)


def _encodable(text: str) -> str:
    """The text with a replacement character for each lone surrogate, which no tokenizer takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _instead(loaded: LoadedModel, prompt: Prompt) -> list[int]:
    """The token to keep where nothing else is: one that is demanded, or that takes the sink off the query.

    Raises:
        BadInput: one is demanded, and there is none.
    """
    if prompt.bos == "never" or (prompt.bos == "auto" and loaded.sink is None):
        return []
    token = kept_token(loaded)
    if token is None and prompt.bos == "always":
        raise BadInput(
            "bos 'always' asked, but this tokenizer has no BOS token, nor another special one: use auto or never"
        )
    return [] if token is None else [token]
