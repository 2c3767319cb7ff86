"""What *curves* gives: the loss at each position of a text, with what comes before it and without, and how it falls.

Losses are in nats: −log p of a token given those before it. Positions count from 1 at the text's first token, after the
kept prefix.
"""

from icltui.values.base import Record, Table
from icltui.values.bounds import Seed, TokenCount
from icltui.values.frame import Columns, in_nats
from icltui.values.measurement import TokenizedPrompt

BY_POSITION = (
    "loss",
    "loss_without",
    "smooth",
    "smooth_without",
    "derivative",
    "derivative_low",
    "derivative_high",
)
"""The numbers of each position, in the order in which a file has them."""


class IntervalEstimate(Record, frozen=True):
    """A figure, and the 95 % interval around it."""

    value: float | None
    """None where there is too little to estimate it from, or where it is not finite."""
    low: float | None = None
    """Lower end; None where there is too little to tell."""
    high: float | None = None
    """Upper end."""


class PositionRange(Record, frozen=True):
    """Consecutive positions."""

    first: TokenCount
    """The first, from 1."""
    last: TokenCount
    """The last, which belongs to them."""


class IclScore(Record, frozen=True):
    """The in-context-learning score: the mean loss at late positions less that at early ones; negative: it learns."""

    nats: IntervalEstimate
    """The score in nats."""
    bits: IntervalEstimate
    """The score in bits: nats / ln 2."""
    early: PositionRange
    """The early positions."""
    late: PositionRange
    """The late positions."""
    note: str = ""
    """Why the positions are others than those around 50 and 500; empty where they are not."""


class CurveShape(Record, frozen=True):
    """The level and the slope of a loss curve."""

    level: IntervalEstimate
    """Mean loss, in nats."""
    slope: IntervalEstimate
    """Of the loss in ln position, by least squares over all positions; in nats."""


class WrittenCurve(Record, frozen=True):
    """A text that the model wrote itself, and the model's loss on it."""

    seed: Seed
    """Seed of the sampling."""
    text: str
    """What it wrote."""
    loss: tuple[float | None, ...]
    """Loss at each position, as long as the given text's part that it is compared with."""


class OwnTextComparison(Record, frozen=True):
    """The given text against texts of equal length that the model wrote itself, sampled at temperature 1."""

    n_tokens: TokenCount
    """Tokens of each text, from the first on."""
    given: CurveShape
    """Of the given text's first ``n_tokens``."""
    own: CurveShape
    """Of the mean of the texts that the model wrote."""
    difference: CurveShape
    """Given less own: more than 0 at the level where the text is less likely than the model's own."""
    texts: tuple[WrittenCurve, ...]
    """One for each seed."""


class LossCurves(Table, frozen=True):
    """The loss at each position of ``context + query``, the numbers of each tuple in the order of the positions."""

    tokens: TokenizedPrompt
    """The text. The kept prefix has no loss of its own."""
    loss: tuple[float | None, ...]
    """Loss of each token given all before it; None at the first where nothing is kept before it."""
    loss_without: tuple[float | None, ...]
    """Loss of each token given only the kept prefix and the earlier tokens of its own unit; the query is one unit.

    So a query's token lacks the whole context, and with ``unit`` *token* a context's token lacks all of the text. What
    the context gives at a token is ``loss_without`` − ``loss``. None where nothing is left before the token.
    """
    smooth: tuple[float | None, ...]
    """Mean of ``loss`` over the ``window`` positions around each, fewer at the ends."""
    smooth_without: tuple[float | None, ...]
    """The same of ``loss_without``."""
    window: TokenCount
    """Positions that ``smooth`` is a mean over."""
    derivative: tuple[float | None, ...]
    """d loss / d ln position at each position t: the slope by least squares over the positions from t/2 to 2t; None
    where they are fewer than eight."""
    derivative_low: tuple[float | None, ...]
    """Lower end of its 95 % interval, from the scatter around the line, losses taken as independent."""
    derivative_high: tuple[float | None, ...]
    """Upper end."""
    icl_score: IclScore | None
    """None where the text has too few positions."""
    shape: CurveShape
    """Level and slope of ``loss``."""
    gain: IntervalEstimate
    """Mean of ``loss_without`` − ``loss`` over the query's tokens, in nats."""
    own: OwnTextComparison | None = None
    """None where the model was not asked to write."""
    notes: tuple[str, ...] = ()
    """What the user should know, in sentences."""
    seconds: float = 0.0
    """Duration of the passes."""

    UNITS = in_nats(*BY_POSITION)

    def columns(self) -> Columns:
        """One row for each position, as in the CSV; ``part`` is *context* or *query*."""
        context, query = self.tokens.context, self.tokens.query
        return {
            "position": (int, range(1, len(self.loss) + 1)),
            "part": (str, ["context"] * len(context) + ["query"] * len(query)),
            "token": (str, [token.text for token in (*context, *query)]),
            **{name: (float, getattr(self, name)) for name in BY_POSITION},
        }
