"""What the same examples do in a context and by training, side by side in one layer.

Every tuple holds a number for each of ``steps``. A cosine is that of the context's W δz with the training's ΔW z, z at
the query's last token without the context; None where one of the two is 0.
"""

from icltui.values.bounds import Count, LayerIndex
from icltui.values.results import ResultRow

Numbers = tuple[float | None, ...]


class FineTuneRow(ResultRow, frozen=True):
    """One layer on one prompt; the engine leaves the key and the next three empty."""

    model: str = ""
    """Name of the model."""
    revision: str | None = None
    """Branch, tag, commit or checkpoint; None: the default."""
    task: str = ""
    """The family of the examples."""

    layer: LayerIndex = 0
    """Index of the layer, from 0."""
    n_rows: Count = 0
    """m, rows of the matrices that read z: the cosine of two random directions is about ±1/√m."""
    steps: tuple[int, ...] = ()
    """Numbers of gradient steps on all examples."""
    rate: float | None = None
    """Their learning rate: the one of least loss on the examples after a few steps."""
    cosine: Numbers = ()
    """Trained on the right answers."""
    cosine_shuffled: Numbers = ()
    """Trained on the same inputs with each other's answers."""
    cosine_other: Numbers = ()
    """Trained on the examples of another task."""
    size_ratio: Numbers = ()
    """‖ΔW z‖ of the training over ‖W δz‖ of the context."""
    training_loss: Numbers = ()
    """Mean loss of the answers' tokens in the examples, in nats, after the steps."""
    loss: Numbers = ()
    """Loss of the query's answer without the context after the steps, in nats, summed over its tokens."""
    loss_shuffled: Numbers = ()
    """The same, trained on the same inputs with each other's answers."""
    loss_other: Numbers = ()
    """The same, trained on the examples of another task."""
    loss_context: float | None = None
    """Loss of the query's answer with the context, in nats."""
    loss_plain: float | None = None
    """Without the context, before any step."""
