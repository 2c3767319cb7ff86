"""What the user typed and chose: the request's own words, before any token exists.

Torch-free. :class:`Prompt` says what is measured; :func:`resolve_layers` and :func:`layers_text` turn the text
of ``--layers`` into indices and back.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from icltui.values.base import PromptIds
from icltui.values.bounds import LAYERS
from icltui.values.errors import BadInput

Bos = Literal["auto", "always", "never"]
Positions = Literal["reset", "keep"]
"""The query's positions when context is missing: right after what is left, or where the full context puts it."""

_WHY_TOKENS = "the chat template writes the time, or it or the tokenizer was edited"
"""How one text becomes other tokens of the same model."""
_WHY_BACKGROUND = "that text was edited"

_NONE: Mapping[int, str] = MappingProxyType({})


_MOST_NAMED = 4 * LAYERS
_SHOWN = 80

MOST_BYTES = 4 * 2**20
"""Of a text in UTF-8: about a million tokens, which take seconds to count."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A context, the query after it, and how the context is cut into units."""

    context: str = ""
    """Text before the query; may be empty."""
    query: str = ""
    """What the model continues; empty only while it is typed."""
    unit: str = "token"
    """``auto``, ``token``, ``line``, ``sentence``, or a separator; ``sentence/3,7`` opens two into their tokens."""
    bos: Bos = "auto"
    """Tokens before the text, the kept prefix. auto: the tokenizer's own, else one where the model has a sink."""
    chat: bool = False
    """Whether context and query are one user turn of the tokenizer's chat template, its header a kept prefix."""
    positions: Positions = "reset"


def n_bytes(text: str) -> int:
    """The length of ``text`` in UTF-8, also where it holds half a character."""
    return len(text.encode("utf-8", "surrogatepass"))


def check_size(text: str, what: str) -> None:
    """Refuse a text that no model could read.

    Raises:
        BadInput: it has more than :data:`MOST_BYTES`.
    """
    if len(text) > MOST_BYTES or n_bytes(text) > MOST_BYTES:
        raise BadInput(f"{what} has {n_bytes(text):,} bytes, more than {MOST_BYTES:,}: shorten it")


def resolve_layers(text: str, n_layers: int, refused: Mapping[int, str] = _NONE) -> tuple[int, ...]:
    """The sorted layer indices that ``all``, ``none``, ``last`` or ``0,3,5-8`` names, of ``n_layers``.

    ``refused`` layers, with the reason, are no part of ``all`` and ``last``, and may not be named.

    Raises:
        BadInput: text that is none of these, a layer that the model does not have, or a refused one.
    """
    text = text.strip().lower()
    usable = tuple(layer for layer in range(n_layers) if layer not in refused)
    if text in ("all", "none", "last"):
        return {"all": usable, "none": (), "last": usable[-1:]}[text]
    chosen: set[int] = set()
    n_named = 0
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        numbers = [first, last] if dash else [first]
        if not all(number.isdecimal() and len(number) < 20 for number in numbers):
            raise BadInput(
                f"layers {_short(text)!r} not understood: write all, none, last, or a list such as 0,3,5-8"
            )
        begin, end = int(first), int(last or first)
        if begin > end:
            raise BadInput(f"layers {part.strip()!r} run backwards: write {end}-{begin}")
        if end >= n_layers:
            raise BadInput(f"layers {part.strip()!r} out of range: this model has layers 0 to {n_layers - 1}")
        if (n_named := n_named + end - begin + 1) > _MOST_NAMED:  # each costs time, named before or not
            raise BadInput(f"layers {_short(text)!r} names some of them very often: name each once")
        chosen.update(range(begin, end + 1))
    for layer in sorted(chosen & refused.keys()):
        raise BadInput(f"layer {layer} cannot be used: {refused[layer]}: leave it out")
    return tuple(sorted(chosen))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def layers_text(layers: Iterable[int], n_layers: int) -> str:
    """The shortest text that :func:`resolve_layers` reads back as ``layers``.

    >>> layers_text([0, 1, 2, 5], 6)
    '0-2,5'
    >>> layers_text(range(6), 6)
    'all'
    """
    chosen = sorted(set(layers))
    if not chosen:
        return "none"
    if len(chosen) == n_layers:
        return "all"
    runs: list[list[int]] = []
    for layer in chosen:
        if runs and runs[-1][1] == layer - 1:
            runs[-1][1] = layer
        else:
            runs.append([layer, layer])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def unlike_and_why(was: PromptIds, now: PromptIds) -> str:
    """Where the ids of the same text differ, and what may have changed; empty where they do not."""
    parts = was.unlike(now)
    is_of_tokens = msgspec.structs.replace(was, background=now.background).unlike(now)
    return parts and f"{parts}: {_WHY_TOKENS if is_of_tokens else _WHY_BACKGROUND}"
