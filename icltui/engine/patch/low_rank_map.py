"""A linear map of low rank, from vectors and their images; neither d×d nor m×d is ever formed.

Enters: Z (vectors in), D (vectors out, which must be added for each), a ridge, a rank, a metric. Leaves: a
:class:`LowRank` map x ↦ D K⁻¹ Zᵀ x with K = ZᵀZ + ρI, and a :class:`Fit`. With one vector it is D zᵀ/‖z‖². All is
solved in float64, from Z's singular values Z = U S Vᵀ, since K's condition number is the square of Z's:
D K⁻¹ Zᵀ = [D V S/(S²+ρ)] Uᵀ. In a metric C it is x ↦ D (ZᵀC⁻¹Z + ρI)⁻¹ ZᵀC⁻¹ x: the same map of C^-½ x, solved for
C^-½ Z.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from icltui.engine.measure.rank_one import exact_dtype
from icltui.engine.metric.metric import Metric
from icltui.values.errors import BadInput

NOISE = 1e-6
"""Share of the vectors' length below which images count as zero, as below the first attention."""


def scaled(values: Float[Tensor, "*shape"], factor: float | Float[Tensor, ""]) -> Float[Tensor, "*shape"]:
    """``factor * values``; a factor that is a tensor goes to the device of the values."""
    return (factor.to(values.device) if isinstance(factor, Tensor) else factor) * values


@dataclass(frozen=True)
class LowRank:
    """x ↦ write (read · x); an outer product's two sides."""

    read: Float[Tensor, "rank width"]
    """The input side, with orthonormal rows."""
    write: Float[Tensor, "hidden rank"]

    def __call__(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows hidden"]:
        return linear(linear(x, self.read), self.write)

    def times(self, factor: float | Tensor) -> "LowRank":
        """The map with its values multiplied."""
        return LowRank(self.read, scaled(self.write, factor))

    @property
    def rank(self) -> int:
        return int(self.read.shape[0])

    def cut(self, rank: int) -> "LowRank":
        """The nearest map of rank ``rank``, by its singular values; itself where it has no more."""
        return self if rank >= self.rank else LowRank(*_cut(self.read, self.write, rank))

    def to(self, like: Tensor) -> "LowRank":
        """On the device and in the precision of ``like``."""
        return LowRank(self.read.to(like.device, like.dtype), self.write.to(like.device, like.dtype))


@dataclass(frozen=True)
class Fit:
    """The error of the map on the vectors that it is solved for."""

    error: float
    """‖map(Z) − D‖ / ‖D‖."""
    condition: float
    """The condition number of K, in a metric ZᵀC⁻¹Z + ρI; infinite where it is singular."""
    rank: int
    """Numerical rank of Z, in a metric of C^-½ Z, whose vectors are known to single precision."""
    is_met: bool
    """Whether every vector can be met: they are independent, or all images are zero."""


def solve(
    z: Float[Tensor, "tokens width"],
    d: Float[Tensor, "tokens hidden"],
    ridge: float = 0.0,
    rank: int | None = None,
    metric: Metric | None = None,
) -> tuple[LowRank, Fit]:
    """The map that sends each row of ``z`` to that of ``d``, by least squares with ``ridge``.

    ``ridge`` is ρ as a share of the mean of ZᵀZ's diagonal, with a metric of ZᵀC⁻¹Z's. ``rank`` cuts the map to its
    largest singular values, with a metric to those of map C^½. Of all maps that fit, it is that of least norm, with a
    metric of least tr(map C mapᵀ). Vectors that depend on each other are met by least squares only, see
    :attr:`Fit.is_met`.

    >>> map_, fit = solve(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
    >>> map_(torch.tensor([[4.0, 5.0]], dtype=torch.float64)).abs()  # D zᵀx/‖z‖² = [0, 3]·8/4
    tensor([[0., 6.]], dtype=torch.float64)
    """
    exact = exact_dtype(z)
    z, d = z.to(exact), d.to(exact)
    seen = z if metric is None else metric.whiten(z)
    rows, singular, columns = torch.linalg.svd(seen, full_matrices=False)  # seen = rows · S · columns
    largest = float(singular.max())
    threshold = largest * max(z.shape) * torch.finfo(torch.float32).eps
    is_known = singular > threshold
    penalty = ridge * float(seen.square().sum()) / len(z)
    squares = singular.square() + penalty
    kept = is_known if penalty == 0 else squares > 0
    scale = torch.where(kept, singular / squares.where(kept, 1.0), 0.0)
    write, read = (d.T @ rows * scale)[:, kept], columns[kept]
    smallest = float(singular[-1]) if len(z) <= z.shape[1] else 0.0
    lowest = smallest**2 + penalty
    if rank is not None and rank < len(read):
        read, write = _cut(read, write, rank)
    if metric is not None:
        read, write = _orthonormal(metric.whiten(read), write)
    numerical_rank, wanted = int(is_known.sum()), float(d.norm())
    missed = float(((z @ read.T) @ write.T - d).norm())
    fit = Fit(
        error=missed / wanted if wanted else 0.0,
        condition=(largest**2 + penalty) / lowest if lowest > 0 else torch.inf,
        rank=numerical_rank,
        is_met=numerical_rank == len(z) or wanted <= NOISE * float(z.norm()),
    )
    return LowRank(read, write), fit


def _orthonormal(
    read: Float[Tensor, "rank width"], write: Float[Tensor, "hidden rank"]
) -> tuple[Float[Tensor, "rank width"], Float[Tensor, "hidden rank"]]:
    """The same map with orthonormal rows of ``read``, which norms and cuts rely on."""
    columns, triangle = torch.linalg.qr(read.T)
    return columns.T, write @ triangle.T


def _cut(
    read: Float[Tensor, "rank width"], write: Float[Tensor, "hidden rank"], rank: int
) -> tuple[Float[Tensor, "_rank width"], Float[Tensor, "hidden _rank"]]:
    """The nearest map of rank ``rank``: as ``read`` has orthonormal rows, by an SVD of ``write`` alone."""
    left, singular, right = torch.linalg.svd(write, full_matrices=False)
    return right[:rank] @ read, left[:, :rank] * singular[:rank]


def check_rank(rank: int | None, n_tokens: int, width: int, ridge: float) -> None:
    """Refuse more tokens, or a higher rank, than a map of ``width`` can have.

    Raises:
        BadInput: too many tokens, or too high a rank.
    """
    if rank is not None and rank > min(n_tokens, width):
        what = f"{n_tokens} fitted tokens" if n_tokens <= width else f"a width of {width}"
        raise BadInput(f"rank {rank} is more than {what} can have: give at most {min(n_tokens, width)}")
    if n_tokens > width and ridge == 0:
        raise BadInput(
            f"{n_tokens} tokens to fit, more than the width of {width}: fit fewer, or give --ridge, such as 1e-4"
        )
