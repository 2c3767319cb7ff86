"""The context repeated in pieces, each of which is a query after it.

Enters: a context, through its reader. Leaves: texts. An example of a list is repeated up to its value, and any other
line or sentence up to the token after which the context changes the next one most: there is most to be fitted.
"""

import re
from collections.abc import Iterator, Sequence

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.compile.context_reader import ContextReader
from icltui.engine.compile.list_pattern import ListPattern, find_list_pattern
from icltui.engine.measure.predictions import kl_divergence
from icltui.engine.prompts.offsets import encode, fill_gaps
from icltui.engine.prompts.tokenize import Ids

MOST_CHARACTERS = 400
"""Of one piece; of a longer line or sentence the beginning counts."""
_SENTENCE = re.compile(r"[^\n.!?…。！？]+[.!?…。！？]*")
_WORD = re.compile(r"\w")


def repeat_context(reader: ContextReader, n: int, on_progress: ProgressCallback) -> Iterator[str]:
    """Up to ``n`` different pieces, evenly spread over the context, in its order."""
    context = reader.prompt.context
    pattern = find_list_pattern(context)
    examples = dict.fromkeys(pattern.examples(context) if pattern else ())
    chosen = spread(list({**dict.fromkeys(sentences(pattern.head if pattern else context)), **examples}), n)
    made: list[str] = []
    for number, item in enumerate(chosen):
        on_progress("repeating the context in pieces", number, len(chosen))
        piece = _piece(reader, pattern if item in examples else None, item)
        if piece.strip() and len(piece) <= MOST_CHARACTERS and piece not in made and reader.comes_back(piece):
            made.append(piece)
            yield piece


def _piece(reader: ContextReader, example_of: ListPattern | None, item: str) -> str:
    context = reader.prompt.context
    begin = example_of.value_begins(item) if example_of else None
    if example_of is not None and begin is not None:
        return example_of.joint(context) + before_value(reader, item, begin)
    return cut_where_context_decides(reader, joint_of_prose(context) + item[:MOST_CHARACTERS])


def sentences(text: str) -> list[str]:
    """The sentences and lines of ``text`` that have a letter or a digit, without spaces around them."""
    return [part for found in _SENTENCE.findall(text) if _WORD.search(part := found.strip())]


def joint_of_prose(context: str) -> str:
    """What goes between ``context``, which is no list, and what follows it."""
    if not context or context[-1].isspace():
        return ""
    return "\n" if "\n" in context else " "


def spread(items: Sequence[str], n: int) -> list[str]:
    """``n`` of the items, evenly spread; all where there are no more."""
    return list(items) if len(items) <= n else [items[k * len(items) // n] for k in range(n)]


def before_value(reader: ContextReader, item: str, begin: int) -> str:
    """``item`` up to the token that character ``begin`` is in, so that its next token is one of the value's."""
    _, body = encode(reader.loaded.tokenizer, item, special=False)
    starts = [start for _, (start, _) in fill_gaps(body, [])]
    return item[: max((start for start in starts if start <= begin), default=begin)]


def cut_where_context_decides(reader: ContextReader, piece: str, least: int = 0) -> str:
    """``piece`` up to the token after which KL(context‖none) of the next is largest; empty where that is no text.

    The cut is in no word, unless the piece is a single one, and not among the first ``least`` characters.
    """
    ids = reader.ids(piece)
    if ids is None or len(ids.query) < 2:
        return ""
    with_context, without = (run(ids).log_softmax(-1) for run in (reader.logits, reader.logits_without))
    effects = [float(kl_divergence(p, q)) for p, q in zip(with_context, without, strict=True)]
    texts = {_text_up_to(reader, ids, piece, n): n for n in range(len(ids.query) - 1, 0, -1)}
    whole_words = [text for text in texts if len(text) > least and not _is_in_word(piece, len(text))]
    return max(whole_words or [""], key=lambda text: effects[texts[text] - 1])


def _is_in_word(piece: str, at: int) -> bool:
    return piece[at - 1 : at].isalnum() and piece[at : at + 1].isalnum() and piece[at].isascii()


def _text_up_to(reader: ContextReader, ids: Ids, piece: str, n: int) -> str:
    """``piece`` as far as its first ``n`` tokens spell it; empty where they do not, as with a character in pieces."""
    text: str = reader.loaded.tokenizer.decode(ids.query[:n]).strip()
    lead = len(piece) - len(piece.lstrip())
    return piece[: lead + len(text)] if text and piece.lstrip().startswith(text) else ""
