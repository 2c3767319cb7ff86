"""One user turn of the tokenizer's chat template.

Enters: a tokenizer, and the text of the turn. Leaves: :class:`Turn`, what the template writes around that text.
The template is given a mark in the text's place, so that it neither changes the text nor takes a part of it for
its own: what was typed goes into the model as it was typed.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from icltui.errors import BadInput

Content = str | list[dict[str, str]]

_MARK = "icltui-8c41e7-text"
"""Stands for the text; of letters that no template strips, escapes or happens to write itself."""
_WAY_OUT = "leave --chat out, and write the turn into the context by hand"


@dataclass(frozen=True)
class Turn:
    """What stands around the text of one user turn."""

    header: str
    footer: str
    """The end of the turn, and the start of the answer."""
    is_as_typed: bool
    """Whether the template itself would write the text so, and not stripped or otherwise changed."""


def render_turn(tokenizer: Any, text: str) -> Turn:
    """What the chat template writes around ``text``.

    Raises:
        BadInput: there is no template, it refuses a lone user turn, or it does not write the text once.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise BadInput(f"this tokenizer has no chat template: {_WAY_OUT}")
    form, around = _whole, _around(tokenizer, _whole)
    if len(around) == 1:  # such a template walks over the parts of a text, of which a plain one has none
        with contextlib.suppress(BadInput):
            form, around = _in_parts, _around(tokenizer, _in_parts)
    if len(around) != 2:
        raise BadInput(
            f"the chat template writes the user's text {len(around) - 1} times, and once is needed: {_WAY_OUT}"
        )
    header, footer = around
    return Turn(header, footer, _render(tokenizer, form(text)) == header + text + footer)


def _whole(text: str) -> Content:
    return text


def _in_parts(text: str) -> Content:
    """As the templates of models that see pictures too take it."""
    return [{"type": "text", "text": text}]


def _around(tokenizer: Any, form: Callable[[str], Content]) -> list[str]:
    return _render(tokenizer, form(_MARK)).split(_MARK)


def _render(tokenizer: Any, content: Content) -> str:
    turn = [{"role": "user", "content": content}]
    try:
        return str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # the template is a program of the model's author: it may raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(f"the chat template refuses a lone user turn ({reason}): {_WAY_OUT}") from error
