"""Second moments of z and g at every site, streamed: one pass over each row of ordinary text.

Enters: a model and rows. Leaves: :class:`~icltui.engine.metric.metric.OrdinaryMoments`. Narrow vectors are summed up as
Σ x xᵀ, whose eigenvectors are exact. Of wide ones Y = Σ x (xᵀ Ω) is kept, width × a few hundred, from which the largest
eigenvalues follow by Nyström's formula (Tropp et al., arXiv 1706.05736, algorithm 3); the trace gives the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.site import Site, SiteHook
from icltui.engine.measure.forward_pass import forward_rows
from icltui.engine.measure.rank_one import exact_dtype
from icltui.engine.metric.background import Row
from icltui.engine.metric.metric import LayerMoments, Moments, OrdinaryMoments
from icltui.engine.models.loaded_model import LoadedModel

WIDEST = 1024
"""Up to this width every eigenvector is kept."""
RANK = 256
"""Eigenvectors that are kept of wider vectors."""
_MORE = 64
"""Columns of Ω beyond the rank, for the accuracy of the last of them."""
_NOISE = 1e-12
"""Share of the largest eigenvalue below which another is rounding."""


@dataclass
class DenseSum:
    """Σ x xᵀ."""

    total: Float[Tensor, "width width"]
    n: int = 0

    def add(self, x: Float[Tensor, "tokens width"]) -> None:
        """Counts each row."""
        x = x.to(self.total.dtype)
        self.total += x.T @ x
        self.n += len(x)

    def moments(self) -> Moments:
        """Every eigenvalue, largest first."""
        values, columns = torch.linalg.eigh((self.total / self.n).cpu())
        return _stored(columns.flip(-1).T, values.flip(-1).clamp(min=0.0), 0.0)


@dataclass
class SketchedSum:
    """Y = Σ x (xᵀ Ω), and the trace of Σ x xᵀ."""

    omega: Float[Tensor, "width columns"]
    image: Float[Tensor, "width columns"]
    trace: float = 0.0
    n: int = 0

    def add(self, x: Float[Tensor, "tokens width"]) -> None:
        """Counts each row."""
        x = x.to(self.image.dtype)
        self.image += x.T @ (x @ self.omega)
        self.trace += float(x.square().sum())
        self.n += len(x)

    def moments(self) -> Moments:
        """The largest eigenvalues of Y (Ωᵀ Y)⁻¹ Yᵀ, and the mean of what they leave of the trace."""
        image, omega = (self.image / self.n).cpu(), self.omega.cpu()
        core = omega.T @ image
        weights, turns = torch.linalg.eigh((core + core.T) / 2)
        sure = weights > _NOISE * weights[-1]  # fewer tokens than columns leave the others zero
        factor = image @ turns[:, sure] * weights[sure].rsqrt()
        columns, singular, _ = torch.linalg.svd(factor, full_matrices=False)
        values = singular.square()[:RANK]
        left = max(0.0, self.trace / self.n - float(values.sum()))
        rest = left / (len(columns) - len(values))
        return _stored(columns[:, :RANK].T, values, rest)


def new_sum(x: Float[Tensor, "tokens width"]) -> DenseSum | SketchedSum:
    """An empty sum for vectors like ``x``, on their device; Ω depends on the width alone."""
    width, dtype = x.shape[1], exact_dtype(x)
    if width <= WIDEST:
        return DenseSum(torch.zeros(width, width, dtype=dtype, device=x.device))
    noise = torch.Generator().manual_seed(width)
    random = torch.randn(width, RANK + _MORE, generator=noise, dtype=torch.float64)
    omega = torch.linalg.qr(random)[0].to(x.device, dtype)
    return SketchedSum(omega, torch.zeros_like(omega))


def n_bytes(width: int) -> int:
    """Bytes that one site's sum and its moments take."""
    if width <= WIDEST:
        return width * width * (8 + 4)
    return width * (2 * (RANK + _MORE) * 8 + RANK * 4)


def _stored(vectors: Tensor, values: Tensor, rest: float) -> Moments:
    """The moments in the precision in which they are kept, whether they are stored in a file or not."""
    return Moments(
        vectors.to("cpu", torch.float32).contiguous(), values.to("cpu", torch.float32).contiguous(), rest
    )


@dataclass
class MomentsHook(SiteHook):
    """Sums up the vectors of every row that passes, but for the first ``n_kept``.

    What is kept before every text is the same in every row: as a sink its vectors are many times longer than the
    others, and would be most of the moments though no text is made of them.
    """

    n_kept: int = 0
    z: dict[int, DenseSum | SketchedSum] = field(default_factory=dict)
    g: dict[int, DenseSum | SketchedSum] = field(default_factory=dict)

    def mlp_input(self, layer: int, z: Float[Tensor, "tokens hidden"]) -> None:
        self._add(self.z, layer, z)

    def down_input(self, layer: int, g: Float[Tensor, "tokens inner"]) -> None:
        self._add(self.g, layer, g)

    def _add(self, sums: dict[int, DenseSum | SketchedSum], layer: int, x: Float[Tensor, "tokens _"]) -> None:
        if layer not in sums:
            sums[layer] = new_sum(x)
        sums[layer].add(x[self.n_kept :])


def stream_moments(
    loaded: LoadedModel,
    sites: Sequence[Site],
    rows: Sequence[Row],
    on_progress: ProgressCallback = ignore_progress,
) -> OrdinaryMoments:
    """The moments at ``sites`` over the rows, each run by itself."""
    with attach(sites, MomentsHook()) as hook:
        for number, row in enumerate(rows):
            on_progress("reading ordinary text", number, len(rows))
            hook.n_kept = row.n_kept
            forward_rows(loaded.model, [row.ids], [range(len(row.ids))])
    layers = {}
    for number, site in enumerate(sites):
        on_progress("weighing ordinary text", number, len(sites))
        g = hook.g.get(site.layer)
        layers[site.layer] = LayerMoments(hook.z[site.layer].moments(), None if g is None else g.moments())
    return OrdinaryMoments(layers, sum(len(row.ids) - row.n_kept for row in rows))
