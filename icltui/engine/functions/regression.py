"""Linear functions to learn in context: y = w · x, with w and x normal.

Enters: sizes and a generator. Leaves: :class:`Tasks`, and what least squares makes of the same examples. An example is
one token (x, y); a query is (x, 0). Source: [1] section 4, after Garg et al. (arXiv 2208.01066).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Tasks:
    """Functions, examples of each, and one query of each."""

    x: Float[Tensor, "tasks examples inputs"]
    y: Float[Tensor, "tasks examples"]
    query: Float[Tensor, "tasks inputs"]
    answer: Float[Tensor, " tasks"]

    @property
    def example_tokens(self) -> Float[Tensor, "tasks examples token"]:
        """(x_i, y_i)."""
        return torch.cat([self.x, self.y[..., None]], -1)

    @property
    def query_tokens(self) -> Float[Tensor, "tasks token"]:
        """(x, 0)."""
        return torch.nn.functional.pad(self.query, (0, 1))

    def to(self, dtype: torch.dtype) -> "Tasks":
        """The same numbers in another precision."""
        return Tasks(*(tensor.to(dtype) for tensor in (self.x, self.y, self.query, self.answer)))


def draw_tasks(n_tasks: int, n_examples: int, n_inputs: int, chance: torch.Generator) -> Tasks:
    """Fresh functions, in float32; a prediction of 0 has an expected squared error of ``n_inputs``."""
    w = torch.randn(n_tasks, n_inputs, generator=chance)
    x = torch.randn(n_tasks, n_examples + 1, n_inputs, generator=chance)
    y = torch.einsum("ti,tei->te", w, x)
    return Tasks(x[:, 1:], y[:, 1:], x[:, 0], y[:, 0])


def least_squares(tasks: Tasks, n_examples: int) -> Float[Tensor, " tasks"]:
    """Predictions of the least-squares solution of least norm from the first ``n_examples``, in float64.

    No predictor has a lower expected squared error: without noise, and w normal, it is the mean of w given the
    examples, which is ridge regression's limit at a penalty of 0.
    """
    x, y = tasks.x[:, :n_examples].double(), tasks.y[:, :n_examples].double()
    w = torch.linalg.pinv(x) @ y[..., None]
    predicted: Tensor = (tasks.query.double() * w[..., 0]).sum(-1)
    return predicted
