"""The map of low rank had one group of its vectors not been fitted, in closed form: no solve is repeated.

Enters: the vectors and images that a map is solved for, and the group of each. Leaves: :class:`LeftOut`. With
K = ZᵀC⁻¹Z + ρI, P = K⁻¹ and A = P D the map is ``x ↦ Aᵀ ZᵀC⁻¹ x``; without the group Q it is the same with
``A − P_·Q (P_QQ)⁻¹ A_Q`` in place of A, whose rows of Q are zero (the block downdate of an inverse), and it misses Q's
images by ``(P_QQ)⁻¹ A_Q`` (the leave-one-out residual of ridge regression, in blocks).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.measure.rank_one import exact_dtype
from icltui.engine.metric.metric import Metric
from icltui.engine.patch.low_rank_map import LowRank

FLOOR = 1e-10
"""Ridge where there is none, as a share of the mean diagonal: vectors may depend on each other."""


@dataclass(frozen=True)
class LeftOut:
    """The maps without each group; one reading side serves all of them."""

    read: Float[Tensor, "tokens width"]
    """C⁻¹ z of every vector."""
    inverse: Float[Tensor, "tokens tokens"]
    """K⁻¹."""
    images: Float[Tensor, "tokens hidden"]
    """A = K⁻¹ D."""
    groups: Int[Tensor, " tokens"]

    def without(self, group: int) -> LowRank:
        """The map had ``group`` not been fitted."""
        own = self.groups == group
        images = self.images - self.inverse[:, own] @ self.missed(group)
        return LowRank(self.read, images.T)

    def missed(self, group: int) -> Float[Tensor, "_own hidden"]:
        """The images of ``group`` less what the map without it gives."""
        own = self.groups == group
        missed: Tensor = torch.linalg.solve(self.inverse[own][:, own], self.images[own])
        return missed


def leave_out(
    z: Float[Tensor, "tokens width"],
    d: Float[Tensor, "tokens hidden"],
    groups: Int[Tensor, " tokens"],
    ridge: float = 0.0,
    metric: Metric | None = None,
) -> LeftOut:
    """The maps of full rank that :func:`icltui.engine.patch.low_rank_map.solve` gives without each of the ``groups``.

    ρ stays that of all vectors.

    >>> z, d = torch.eye(2), torch.tensor([[1.0], [5.0]])
    >>> leave_out(z, d, torch.tensor([0, 1])).without(1)(torch.tensor([[2.0, 3.0]]).double()).round(decimals=6)
    tensor([[2.]], dtype=torch.float64)
    """
    exact = exact_dtype(z)
    z, d = z.to(exact), d.to(exact)
    read = z if metric is None else metric.whiten(metric.whiten(z))
    gram = z @ read.T
    penalty = max(ridge, FLOOR) * float(gram.diagonal().mean())
    gram.diagonal().add_(penalty if penalty > 0 else 1.0)  # of zero vectors alone
    inverse = torch.cholesky_inverse(torch.linalg.cholesky((gram + gram.T) / 2))
    return LeftOut(read, inverse, inverse @ d, groups.to(z.device))
