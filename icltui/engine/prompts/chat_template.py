"""One user turn of the tokenizer's chat template.

Enters: a tokenizer, and the text of the turn. Leaves: :class:`Turn`, what the template writes around that text.
The template is given a mark in the text's place, so that it neither changes the text nor takes a part of it for
its own: what was typed goes into the model as it was typed.
"""

from dataclasses import dataclass
from typing import Any

from icltui.engine.prompts.render_template import Content, TemplateEnded, TemplateError, render
from icltui.values.errors import BadInput

_MARK = "\ue8c4\uf1e7\ue8c4"
"""Stands for the text; of private letters, which have no case, so that no filter that rewrites a text changes it."""
_SHOWN = "\ue8c5\uf1e8\ue8c5"
"""Stands in a part of the content that no template has any use for: where it is written, the parts were not read."""
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
        BadInput: there is no template, it refuses a lone user turn or takes too much time or memory over it, or it does
            not write the text once.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise BadInput(f"this tokenizer has no chat template: {_WAY_OUT}")
    plain = _around(tokenizer, [_MARK, text])
    turn = plain if isinstance(plain, Turn) else _around(tokenizer, _in_parts(text))
    if isinstance(turn, Turn):
        return turn
    raise BadInput(f"the chat template {plain}: {_WAY_OUT}")


def _in_parts(text: str) -> list[Content]:
    """The mark and the text as the templates of models that see pictures too take them, some of them only so."""
    return [[{"type": "text", "text": _MARK, "unused": _SHOWN}], [{"type": "text", "text": text}]]


def _around(tokenizer: Any, contents: list[Content]) -> Turn | str:
    """What is around the mark, and whether the text behind it would be written so; or why that cannot be known.

    A template that is given parts and takes them for a text writes them out as the list that they are.
    """
    try:
        marked, written = render(tokenizer, contents)
    except TemplateEnded as error:
        raise BadInput(f"the chat template {error}: {_WAY_OUT}") from error
    except TemplateError as error:
        return f"refuses a lone user turn ({error})"
    around = marked.split(_MARK)
    if len(around) != 2 or _SHOWN in marked:
        return f"writes the user's text {len(around) - 1} times, and once is needed"
    header, footer = around
    text = contents[1] if isinstance(contents[1], str) else contents[1][0]["text"]
    return Turn(header, footer, written == header + text + footer)
