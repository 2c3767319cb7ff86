"""What *generate* gives: the lanes of text."""

from typing import Literal

from msgspec import field

from icltui.values.base import Candidate, LogitError, PromptIds, Record, Table, Token
from icltui.values.bounds import Count, LayerIndex, TokenCount, TokenId
from icltui.values.frame import Columns, in_nats
from icltui.values.patch import PatchReport
from icltui.values.recipe import Recipe, Sampling

Lane = Literal["context", "plain", "patched"]
"""With the context; the query alone; the query alone through patched weights."""
LANES: tuple[Lane, ...] = ("context", "plain", "patched")
LANE_TITLES: dict[Lane, str] = {"context": "With context", "plain": "Query only", "patched": "Query + ΔW"}


class LaneStep(Record, frozen=True):
    """One generated token and the distribution that it was taken from."""

    lane: Lane
    index: TokenCount
    """From 0, the first token after the query."""
    token: Token
    """The token that was drawn."""
    text: str
    """The text of the whole lane so far."""
    top: tuple[Candidate, ...]
    """The most probable tokens, most probable first."""
    kl_to_context: float | None
    """KL(context lane ‖ this lane) while both lanes hold the same tokens; then None."""
    drawn_probability: float | None = None
    """The probability of the token that was drawn; None in older files."""
    rank: Count | None = None
    """How many tokens are at least as probable as the one that was drawn, itself among them; None in older files."""
    kl_on_own_text: float | None = None
    """KL(with the context ‖ this lane), both after the query and this lane's own text so far.

    It equals ``kl_to_context`` where that is known. None in the context lane, and in older files.
    """
    is_end: bool = False
    """Whether the model ends the text by this token."""

    @property
    def probability(self) -> float | None:
        """The probability of the token that was drawn; None in older files where it is not among the most probable."""
        if self.drawn_probability is not None:
            return self.drawn_probability
        return next((c.probability for c in self.top if c.token.id == self.token.id), None)


class LaneText(Record, frozen=True):
    """One lane, ended."""

    text: str
    """The generated text, without the query."""
    token_ids: tuple[TokenId, ...]
    """The generated tokens."""
    steps: tuple[LaneStep, ...]
    """One step for each token."""


class Agreement(Record, frozen=True):
    """A lane's tokens against the context lane's."""

    equal: Count
    """Tokens that are the same at the same index."""
    total: Count
    """Tokens of the longer of both texts."""
    first_difference: TokenCount | None
    """Index of the first token that differs; None if all are equal."""


class Generation(Table, frozen=True):
    """The lanes of one run of *generate*."""

    lanes: dict[Lane, LaneText]
    """The lanes that ran."""
    agreement: dict[Lane, Agreement]
    """``plain`` and, where it ran, ``patched``, each against ``context``."""
    fit: dict[Lane, LogitError]
    """Logits at the query's last token, before anything was generated."""
    recipe: Recipe
    layers: tuple[LayerIndex, ...]
    """The patched layers, ascending."""
    sampling: Sampling = Sampling()
    patch: PatchReport | None = None
    """None where the patched lane did not run."""
    holdout: tuple[str, ...] = ()
    """Other queries that the patch was tested on."""
    ids: PromptIds | None = None
    """What the prompt was for the model; None in older files."""
    kept_prefix: tuple[Token, ...] = ()
    """The tokens kept before the text in both runs."""
    forced: dict[Lane, tuple[TokenId, ...]] = field(default_factory=dict)
    """The tokens that a lane was made to begin with; lanes that drew every token are not in it."""

    UNITS = in_nats("kl_to_context", "kl_on_own_text")

    def columns(self) -> Columns:
        """One row for each token of each lane."""
        steps = [step for lane in self.lanes.values() for step in lane.steps]
        return {
            "lane": (str, [step.lane for step in steps]),
            "index": (int, [step.index for step in steps]),
            "token_id": (int, [step.token.id for step in steps]),
            "token": (str, [step.token.text for step in steps]),
            "probability": (float, [step.probability for step in steps]),
            "kl_to_context": (float, [step.kl_to_context for step in steps]),
            "kl_on_own_text": (float, [step.kl_on_own_text for step in steps]),
        }
