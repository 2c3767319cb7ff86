"""The characters of each token: every character of a text belongs to exactly one of its tokens.

Enters: a text and a tokenizer. Leaves: ids, each with its span ``(begin, end)`` of characters. Spans are the
tokenizer's own, untrimmed; where it drops characters, such as spaces, :func:`fill_gaps` gives them to a token.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

Span = tuple[int, int]
TokenSpan = tuple[int, Span]
"""An id, and its characters."""


def encode(tokenizer: Any, text: str, special: bool) -> tuple[list[int], list[TokenSpan]]:
    """The special tokens that the tokenizer puts before the text where ``special``, and the text's own tokens."""
    _disable_trim_offsets(tokenizer)
    encoded = tokenizer(
        text, add_special_tokens=special, return_offsets_mapping=True, return_special_tokens_mask=True
    )
    ids, added = encoded["input_ids"], [bool(mark) and special for mark in encoded["special_tokens_mask"]]
    front = ids[: added.index(False)] if False in added else ids
    spans = zip(ids, encoded["offset_mapping"], added, strict=True)
    return front, [(token, (begin, end)) for token, (begin, end), is_added in spans if not is_added]


def fill_gaps(body: Iterable[TokenSpan], borders: Sequence[int]) -> list[TokenSpan]:
    """``tokens`` with spans that ascend without gaps.

    Characters between two tokens, which the tokenizer drops, go to the next token; up to the last of the ``borders``
    among them to the token before, so that no token straddles a border because of them.
    """
    covered: list[TokenSpan] = []
    reached = last = 0
    for token, (begin, end) in body:
        if begin > reached:
            begin = max((border for border in borders if reached <= border <= begin), default=reached)
        last, reached = max(begin, last), max(end, reached)
        covered.append((token, (last, reached)))
    return covered


def _disable_trim_offsets(tokenizer: Any) -> None:
    """Keep spaces in the spans, which ``trim_offsets`` of byte-level tokenizers cuts off; no id depends on it.

    A trimmed span hides the number of spaces at either end of its token.
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
