"""One user turn of the tokenizer's chat template.

Enters: a tokenizer, and the text of the turn. Leaves: a :class:`ChatTurn`, what the template writes around that text.
The template renders a placeholder instead of the text, so that it neither changes the text nor reads a part of it as
its own markup: the model gets the text as it was typed.
"""

from dataclasses import dataclass
from typing import Any

from icltui.engine.prompts.render_template import Content, TemplateAborted, TemplateError, render
from icltui.values.errors import BadInput

_PLACEHOLDER = "\ue8c4\uf1e7\ue8c4"
"""Placeholder for the text, of private-use letters without case, which no filter that rewrites a text changes."""
_UNUSED = "\ue8c5\uf1e8\ue8c5"
"""Content of a part that no template uses: a template that writes it takes the list of parts for a text."""
_WAY_OUT = "leave --chat out, and write the turn into the context by hand"


@dataclass(frozen=True)
class ChatTurn:
    """The template's text before and after that of one user turn."""

    header: str
    footer: str
    """The end of the turn, and the start of the answer."""
    is_as_typed: bool
    """Whether the template itself would write the text unchanged, neither stripped nor rewritten."""


def render_turn(tokenizer: Any, text: str) -> ChatTurn:
    """The chat template's text around ``text``.

    Raises:
        BadInput: there is no template, it refuses a lone user turn or takes too much time or memory over it, or it does
            not write the text once.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise BadInput(f"this tokenizer has no chat template: {_WAY_OUT}")
    plain = _around(tokenizer, [_PLACEHOLDER, text])
    turn = plain if isinstance(plain, ChatTurn) else _around(tokenizer, _in_parts(text))
    if isinstance(turn, ChatTurn):
        return turn
    raise BadInput(f"the chat template {plain}: {_WAY_OUT}")


def _in_parts(text: str) -> list[Content]:
    """Placeholder and text as content parts, which templates of multimodal models take, some of them no others."""
    return [[{"type": "text", "text": _PLACEHOLDER, "unused": _UNUSED}], [{"type": "text", "text": text}]]


def _around(tokenizer: Any, contents: list[Content]) -> ChatTurn | str:
    """The turn, from the placeholder and the text as ``contents``; or the reason why it is unknown.

    A template that takes content parts for a text writes them out as the list that they are.
    """
    try:
        marked, written = render(tokenizer, contents)
    except TemplateAborted as error:
        raise BadInput(f"the chat template {error}: {_WAY_OUT}") from error
    except TemplateError as error:
        return f"refuses a lone user turn ({error})"
    around = marked.split(_PLACEHOLDER)
    if len(around) != 2 or _UNUSED in marked:
        return f"writes the user's text {len(around) - 1} times, and once is needed"
    header, footer = around
    text = contents[1] if isinstance(contents[1], str) else contents[1][0]["text"]
    return ChatTurn(header, footer, written == header + text + footer)
