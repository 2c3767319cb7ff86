"""What a block that learns linear functions in context gives: losses by number of examples, and two kinds of steps.

A loss is a mean squared error over fresh functions. ``loss…`` and ``net_cosine`` hold a number for each of 0, 1, …
examples; ``step…`` and ``sgd_step_norm`` one for each example.
"""

from typing import Literal

from icltui.values.bounds import Count, Seed, TokenCount
from icltui.values.results import ResultRow

TrainedOn = Literal["full", "any"]
"""Queries after all examples alone, as in the papers; or after any number of them."""


class FunctionsRow(ResultRow, frozen=True):
    """One trained block; the engine leaves the key empty."""

    seed: Seed = 0
    """Seed of the block, of its training and of the functions that it is tested on."""
    trained_on: TrainedOn = "full"
    """How many examples each function of the training had: all, or any number."""
    n_inputs: Count = 0
    """Numbers in x."""
    n_tasks: Count = 0
    """Functions that the losses are means over."""
    training_steps: tuple[int, ...] = ()
    """Steps of the training after which the next two were taken, with all examples."""
    training_loss: tuple[float, ...] = ()
    """With the context."""
    training_loss_patched: tuple[float, ...] = ()
    """Without it, through W + ΔW and Δb."""
    loss: tuple[float, ...] = ()
    """With the context."""
    loss_patched: tuple[float, ...] = ()
    """Without it, through W + ΔW and Δb."""
    loss_weights: tuple[float, ...] = ()
    """Without it, through W + ΔW alone: the skip connection still carries v without the context."""
    loss_sgd: tuple[float, ...] = ()
    """Without it, W trained by a gradient step on each example."""
    loss_least_squares: tuple[float, ...] = ()
    """Of the best predictor."""
    loss_untrained: tuple[float, ...] = ()
    """With the context, of the block before its training."""
    step_norm: tuple[float, ...] = ()
    """Mean ‖ΔW_{i+1} − ΔW_i‖."""
    step_norm_untrained: tuple[float, ...] = ()
    """The same of the block before its training."""
    sgd_step_norm: tuple[float, ...] = ()
    """Mean ‖W_{i+1} − W_i‖ of the gradient steps."""
    step_cosine: tuple[float, ...] = ()
    """Mean cosine between an example's implicit step and its gradient step."""
    net_cosine: tuple[float, ...] = ()
    """Mean cosine between ΔW_i and the sum of the gradient steps; 0 without an example."""
    sgd_rate: float | None = None
    """The gradient steps' learning rate: the one of least loss after all examples, on other functions."""
    error_float64: float | None = None
    """Largest ‖p − p_C‖ / ‖p_C‖ over the numbers of examples: predictions through ΔW against those with the context."""
    error_float32: float | None = None
    """The same in float32."""
    n_steps: TokenCount = 0
    """Steps of the training."""
    seconds: float = 0.0
    """Duration of training and tests."""
