"""What a session holds: the user's choices, and every result that they had."""

from datetime import UTC, datetime

import msgspec

from icltui.prompt import Prompt
from icltui.recipe import Recipe, Sampling
from icltui.record.generation import Generation
from icltui.record.measurement import Dynamics, Measurement, Reference
from icltui.record.model import ModelInfo
from icltui.record.verification import Verification

FORMAT = 3
"""Grows when an older program could no longer read the file. Older files are read; what they lack takes its default."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """All that one file holds."""

    format: int = FORMAT
    title: str = ""
    created: str = msgspec.field(default_factory=_now)
    """Time in UTC, ISO 8601."""
    prompt: Prompt
    layers: str = "all"
    """As :func:`icltui.prompt.resolve_layers` reads it."""
    recipe: Recipe = Recipe()
    sampling: Sampling = Sampling()
    holdout: tuple[str, ...] = ()
    """Other queries behind the same context, that the patch is tested on."""
    n_tokens: int = 12
    dynamics: Dynamics = "grow"
    reference: Reference = "free"
    model: ModelInfo | None = None
    """What the numbers below were measured on."""
    measurement: Measurement | None = None
    generation: Generation | None = None
    verification: Verification | None = None
