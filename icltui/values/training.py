"""What one checkpoint of a training gives on one text, on one prompt, or on random tokens."""

from typing import Literal

from icltui.values.bounds import Count
from icltui.values.results import ResultRow

TrainingItem = Literal["text", "heads", "prompt"]


class TrainingRow(ResultRow, frozen=True):
    """One item on one checkpoint; the engine leaves the key and the next four empty."""

    model: str = ""
    """The model, or the folder of checkpoints."""
    revision: str = ""
    """The revision, or the checkpoint's folder."""
    step: Count | None = None
    """The steps that the revision names; None where it names none."""
    name: str = ""
    """The text's or the prompt's kind."""
    what: TrainingItem = "text"
    """What the row is of: a text, the heads on random tokens, or a prompt."""
    loss: tuple[float | None, ...] = ()
    """Of a text: the loss at each position, in nats."""
    induction: float | None = None
    """On repeated random tokens: the prefix-matching score of the strongest head, in [0, 1]."""
    induction_head: str = ""
    """Which one: L1H0 is head 0 of layer 1."""
    induction_null: float | None = None
    """The largest score where nothing is repeated."""
    previous: float | None = None
    """The previous-token score of the strongest head."""
    previous_head: str = ""
    """Name of the head of the largest previous-token score, such as L2H1."""
    answer_context: float | None = None
    """Of a prompt: the answer's log-probability with the context, in nats."""
    answer_plain: float | None = None
    """Without it."""
    right: bool | None = None
    """Whether with the context each token of the answer is the most probable one."""
    patch_norm: float | None = None
    """‖ΔW‖/‖W‖, mean over layers."""
