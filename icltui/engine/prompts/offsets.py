"""Which characters each token stands for: every character of a text belongs to exactly one of its tokens.

Enters: a text and a tokenizer. Leaves: ids, each with its span ``(begin, end)`` of characters. Spans are the
tokenizer's own, untrimmed; where it drops characters, such as spaces, :func:`cover` leaves no gap.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

Span = tuple[int, int]
Spanned = tuple[int, Span]
"""An id, and the characters that it stands for."""


def encode(tokenizer: Any, text: str, special: bool) -> tuple[list[int], list[Spanned]]:
    """The special tokens that the tokenizer puts in front where ``special``, and the text's own tokens."""
    _leave_untrimmed(tokenizer)
    encoded = tokenizer(
        text, add_special_tokens=special, return_offsets_mapping=True, return_special_tokens_mask=True
    )
    ids, added = encoded["input_ids"], [bool(mark) and special for mark in encoded["special_tokens_mask"]]
    front = ids[: added.index(False)] if False in added else ids
    spans = zip(ids, encoded["offset_mapping"], added, strict=True)
    return front, [(token, (begin, end)) for token, (begin, end), is_added in spans if not is_added]


def cover(body: Iterable[Spanned], borders: Sequence[int]) -> list[Spanned]:
    """The same tokens, their spans without gaps and in ascending order.

    Characters between two tokens, which the tokenizer makes nothing of, go to the token behind them: up to the last of
    the ``borders`` among them to the one in front, so that no token straddles a border for their sake.
    """
    covered: list[Spanned] = []
    reached = last = 0
    for token, (begin, end) in body:
        if begin > reached:
            begin = max((border for border in borders if reached <= border <= begin), default=reached)
        last, reached = max(begin, last), max(end, reached)
        covered.append((token, (last, reached)))
    return covered


def _leave_untrimmed(tokenizer: Any) -> None:
    """Have no spaces cut off the spans, as ``trim_offsets`` of byte-level tokenizers does; no id depends on it.

    How many spaces a trimmed token has in front and behind could not be told from its span any more.
    """
    backend = tokenizer.backend_tokenizer
    processor = backend.post_processor
    if processor is None:
        return
    state = json.loads(processor.__getstate__())
    trimming = [
        step
        for step in state.get("processors", [state])
        if isinstance(step, dict) and step.get("trim_offsets")
    ]
    if not trimming:
        return
    for step in trimming:
        step["trim_offsets"] = False
    processor.__setstate__(json.dumps(state).encode())
    backend.post_processor = processor
