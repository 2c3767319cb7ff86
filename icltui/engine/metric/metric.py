"""The metric of ordinary inputs: how much a change of a matrix does to ordinary text.

Enters: the second moments of a site's vectors. Leaves: a :class:`Metric` C, applied as C^-½ without a matrix of
width × width. ΔW of least effect on ordinary text, tr(ΔW C ΔWᵀ), is that of least norm in the coordinates
x̃ = C^-½ x: the metric of ROME (arXiv 2202.05262) and EMMET (arXiv 2403.14236).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from icltui.engine.measure.rank_one import exact_dtype


@dataclass(frozen=True)
class Metric:
    """C = Uᵀ diag(values) U + rest (I − UᵀU), positive definite; its eigenvalues are 1 + ε or so in the mean."""

    vectors: Float[Tensor, "rank width"]
    """U: orthonormal rows, the directions in which ordinary vectors are largest."""
    values: Float[Tensor, " rank"]
    """C's eigenvalues along them."""
    rest: float
    """C's eigenvalue in every other direction."""

    def whiten(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """C^-½ x of each row, in float64 where the device has it. C^-½ is symmetric, so it is its own transpose."""
        dtype = exact_dtype(x)
        x, u, values = x.to(dtype), self.vectors.to(x.device, dtype), self.values.to(x.device, dtype)
        rest = self.rest**-0.5
        whitened: Tensor = rest * x + ((x @ u.T) * (values.rsqrt() - rest)) @ u
        return whitened

    def square(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows"]:
        """xᵀ C x of each row: a row of ΔW does to ordinary text as much as its square, up to a constant."""
        dtype = exact_dtype(x)
        x, u, values = x.to(dtype), self.vectors.to(x.device, dtype), self.values.to(x.device, dtype)
        return self.rest * x.square().sum(-1) + ((x @ u.T).square() * (values - self.rest)).sum(-1)


@dataclass(frozen=True)
class Moments:
    """E[x xᵀ] of ordinary vectors x at one site: its largest eigenvalues, and the mean of the others."""

    vectors: Float[Tensor, "rank width"]
    values: Float[Tensor, " rank"]
    rest: float
    mean: float
    """The mean eigenvalue, tr E[x xᵀ] / width, of the text alone: a kept sink would be most of it."""

    def metric(self, epsilon: float) -> Metric:
        """C = E[x xᵀ] / mean + ε I: as ``epsilon`` alone changes, the eigenvectors serve every one."""
        mean = self.mean or 1.0  # dead units: every direction is alike
        return Metric(self.vectors, self.values / mean + epsilon, self.rest / mean + epsilon)


@dataclass(frozen=True)
class LayerMoments:
    """The moments at one layer."""

    z: Moments
    g: Moments | None
    """None where there is no single down projection."""

    def metric(self, epsilon: float) -> "LayerMetric":
        """Both metrics."""
        return LayerMetric(self.z.metric(epsilon), None if self.g is None else self.g.metric(epsilon))


@dataclass(frozen=True)
class LayerMetric:
    """The metrics of one layer's inputs; None: norms alone count."""

    z: Metric | None = None
    g: Metric | None = None


@dataclass(frozen=True)
class OrdinaryMoments:
    """The moments of a model's layers over one text."""

    layers: Mapping[int, LayerMoments]
    n_tokens: int
    """The number of tokens that they are means over."""

    def metrics(self, epsilon: float) -> dict[int, LayerMetric]:
        """Every layer's metrics."""
        return {layer: moments.metric(epsilon) for layer, moments in self.layers.items()}
