"""What a session holds: the user's choices, every result that they had, and the runs before."""

from datetime import UTC, datetime

import msgspec

from icltui.values.base import PromptIds
from icltui.values.bounds import Count, RunNumber, TokenCount
from icltui.values.compilation import Compilation
from icltui.values.curves import LossCurves
from icltui.values.effects import PatchEffects
from icltui.values.exam import Exam
from icltui.values.generation import Generation
from icltui.values.heads import AttentionHeads
from icltui.values.measurement import Dynamics, Measurement, Precision, Reference
from icltui.values.model import ModelInfo
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling
from icltui.values.verification import Verification

FORMAT = 7
"""Grows when an older program could no longer read the file. Older files are read; what they lack takes its default."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """All that one file holds."""

    format: Count = FORMAT
    """Format of the file that it was read from; see :data:`FORMAT`."""
    title: str = ""
    """Empty: the file's name counts."""
    created: str = msgspec.field(default_factory=_now)
    """Time in UTC, ISO 8601."""
    prompt: Prompt
    layers: str = "all"
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them."""
    recipe: Recipe = Recipe()
    sampling: Sampling = Sampling()
    holdout: tuple[str, ...] = ()
    """Other queries after the same context, that the patch is tested on."""
    n_tokens: TokenCount = 12
    """Tokens generated in each lane."""
    dynamics: Dynamics = "grow"
    reference: Reference = "free"
    precision: Precision = "model"
    model: ModelInfo | None = None
    """Model that the results come from."""
    measurement: Measurement | None = None
    """The measurement; None where nothing was measured."""
    generation: Generation | None = None
    """The generation; None where nothing was generated."""
    verification: Verification | None = None
    """The proof; None where nothing was proved."""
    exam: Exam | None = None
    """The exam of every patch of this context; None where none was held."""
    compilation: Compilation | None = None
    """The context as one patch; None where nothing was compiled."""
    curves: LossCurves | None = None
    """The loss at each position of the text; None where it was not measured."""
    heads: AttentionHeads | None = None
    """The attention heads; None where they were not scored."""
    effects: PatchEffects | None = None
    """The patch effects by layer and unit; None where they were not measured."""
    runs: tuple["Run", ...] = ()
    """The runs that led here, in the order of their numbers; empty where there was no other run."""
    run: RunNumber | None = None
    """The number of the run whose settings and results these are, or which they were edited from."""

    @property
    def ids(self) -> PromptIds | None:
        """What the prompt was for the model when its patch was made, else when it was measured or proved."""
        held = (
            self.generation and self.generation.ids,
            self.compilation and self.compilation.ids,
            self.measurement and self.measurement.tokens.ids,
            self.verification and self.verification.ids,
            self.curves and self.curves.tokens.ids,
            self.heads and self.heads.tokens.ids,
            self.effects and self.effects.tokens.ids,
        )
        return next((ids for ids in held if ids), None)

    @property
    def alone(self) -> "Session":
        """This session without its runs."""
        return msgspec.structs.replace(self, runs=(), run=None)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A state that the session went through: what was asked, and what came of it."""

    number: RunNumber
    """Number of the run, from 1; never given twice."""
    parent: RunNumber | None = None
    """The number of the run that was on the screen when this one was asked."""
    note: str = ""
    """The user's own line about it."""
    starred: bool = False
    """Whether the user marked it as one to come back to."""
    session: Session
    """Settings and results of the run: a whole session, without runs."""
