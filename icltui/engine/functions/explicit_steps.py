"""The block's W trained by plain gradient descent on the same examples, one after the other, without any context.

Enters: a block and tasks. Leaves: W after each number of examples, for each task. A step goes down the squared error of
the context-free prediction at (x_i, 0) against y_i; only W moves, as in the implicit update.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.functions.block import RegressionBlock
from icltui.engine.functions.regression import Tasks

RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
"""Learning rates that are tried."""


def descend(block: RegressionBlock, tasks: Tasks, rate: float) -> Float[Tensor, "tasks lengths inner hidden"]:
    """W after 0, 1, … examples."""
    own = torch.nn.functional.pad(tasks.x, (0, 1)).flatten(0, 1)
    v = block.attend(own[:, None], own, (0,))[:, 0].reshape(*tasks.y.shape, -1)
    weight = block.up.weight.detach().expand(len(tasks.y), -1, -1)
    weights = [weight]
    for i in range(tasks.y.shape[1]):
        weight = weight - rate * _gradient(block, weight, v[:, i], tasks.y[:, i])
        weights.append(weight)
    return torch.stack(weights, 1)


def _gradient(
    block: RegressionBlock,
    weight: Float[Tensor, "tasks inner hidden"],
    v: Float[Tensor, "tasks hidden"],
    y: Float[Tensor, " tasks"],
) -> Float[Tensor, "tasks inner hidden"]:
    """∂(ŷ − y)²/∂W of each task's own W."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = weight.clone().requires_grad_()
        loss = (block.predict(v.clone(), v.clone(), leaf) - y.clone()).square().sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient


def choose_rate(block: RegressionBlock, tasks: Tasks, rates: Sequence[float] = RATES) -> float:
    """The learning rate of least loss at the queries after all examples."""

    def final_loss(rate: float) -> float:
        loss = float(query_errors(block, tasks, descend(block, tasks, rate)[:, -1:]).mean())
        return loss if math.isfinite(loss) else math.inf

    return min(rates, key=final_loss)


def query_errors(
    block: RegressionBlock, tasks: Tasks, weights: Float[Tensor, "tasks lengths inner hidden"]
) -> Float[Tensor, "tasks lengths"]:
    """Squared errors at the queries, without any context, through each W."""
    v = block.attend(tasks.example_tokens, tasks.query_tokens, (0,)).expand(-1, weights.shape[1], -1)
    return (block.predict(v, v, weights) - tasks.answer[:, None]).square()
