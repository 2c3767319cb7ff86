"""The form of every answer to an agent, and what several of them are made of.

Numbers are rounded to four digits, and lists cut to the rows that say most: ``left_out`` says how many more there are.
The schema of a tool's output is made of these classes.
"""

import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

from msgspec import Struct, field

from icltui.api.collect import Collected
from icltui.api.limits import Limits
from icltui.api.messages import Request
from icltui.api.option_table import without_flags
from icltui.report.kept_prefix import sink_words
from icltui.values import ModelInfo, PromptIds, Token
from icltui.values.errors import Busy, IcltuiError, TimedOut

Content = TypeVar("Content")
Controls = TypeVar("Controls")
R = TypeVar("R", bound=Struct)
T = TypeVar("T")
MOST_CHARACTERS = 400
"""Of one text in an answer."""
_KEPT = 8
"""Kept tokens that are told; a header may have many more."""


class Brief(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of everything that an agent is told."""


class AgentAnswer(Brief, Generic[Content, Controls], frozen=True):
    """What a tool answers."""

    summary: str
    """The answer and its controls, in a few sentences."""
    result: Content
    controls: Controls
    evidence: str
    """What holds by construction, and what is evidence."""
    left_out: dict[str, int] = field(default_factory=dict)
    """How many rows of a list are not shown."""
    full: dict[str, Any] | None = None
    """All that the command of that name prints as JSON."""


class LaneLogits(Brief, frozen=True):
    """The logits of one run after the query, against those with the context."""

    kl: float | None
    """KL(with context ‖ this) in nats."""
    same_top_token: bool


class KeptTokens(Brief, frozen=True):
    """The tokens before the text in both runs, with the context and without."""

    tokens: tuple[str, ...] = ()
    warning: str = ""
    """What an attention sink rules, where nothing is kept and the model has one."""


class Cut:
    """Shortens what an answer holds, and counts what it leaves out.

    Args:
        most: the most rows of a list.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.left_out: dict[str, int] = {}

    def rows(self, name: str, rows: Iterable[T]) -> tuple[T, ...]:
        """The first of ``rows``."""
        found = tuple(rows)
        if len(found) > self.most:
            self.left_out[name] = len(found) - self.most
        return found[: self.most]

    def text(self, text: str) -> str:
        """The beginning of a long text."""
        return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"


class Asked(Struct, frozen=True, kw_only=True):
    """One call of a tool, and the engine that answers it."""

    request: Request
    model: ModelInfo
    ask: Callable[[Request], Awaitable[Collected]]
    """Does a job of the same engine."""
    limits: Limits = Limits()
    units: frozenset[int] = frozenset()
    """The units of which every measure is wanted."""

    async def control(self, request: Request) -> tuple[Collected | None, str]:
        """What a control gives, or why there is none.

        Raises:
            Busy: the server has no room for it, so the answer would be without.
            TimedOut: there was no time for it.
        """
        try:
            return await self.ask(request), ""
        except (Busy, TimedOut):
            raise
        except IcltuiError as error:
            return None, without_flags(str(error))


Compose = Callable[[Cut], AgentAnswer[Any, Any]]
"""Makes the answer of as many rows as there is room for."""


def changed(kind: type[R], source: Struct, **more: Any) -> R:
    """A request of ``kind``: its fields from ``more``, else as ``source`` has them."""
    names = (name for name in kind.__struct_fields__ if hasattr(source, name))
    return kind(**{name: getattr(source, name) for name in names} | more)


def rounded(value: float | None) -> float | None:
    """A number in four digits; None where there is none.

    >>> rounded(0.123456), rounded(None)
    (0.1235, None)
    """
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def words(value: float | None) -> str:
    """A number in three digits, for a sentence.

    >>> words(0.41234), words(None)
    ('0.412', 'unknown')
    """
    return "unknown" if value is None else f"{value:.3g}"


def kept_tokens(model: ModelInfo, kept: Iterable[Token], ids: PromptIds | None) -> KeptTokens:
    """What is kept before the text; a header's first tokens alone."""
    is_ruled = model.sink is not None and ids is not None and not ids.prefix
    return KeptTokens(
        tokens=tuple(token.text for token in kept)[:_KEPT],
        warning=without_flags(sink_words(model, ids)) if is_ruled and ids is not None else "",
    )


def name_of(model: ModelInfo) -> str:
    """The model, and what it is computed in."""
    return f"{model.name} ({model.dtype}, {model.device})"
