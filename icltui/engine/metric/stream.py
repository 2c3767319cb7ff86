"""Second moments of z and g at every site, streamed: one pass over each row of ordinary text.

Enters: a model and rows. Leaves: :class:`~icltui.engine.metric.metric.OrdinaryMoments`. Narrow vectors are summed up as
Σ x xᵀ, whose eigenvectors are exact. Of wide ones Y = Σ x (xᵀ Ω) is kept, width × a few hundred, from which the largest
eigenvalues follow by Nyström's formula (Tropp et al., arXiv 1706.05736, algorithm 3); the trace gives the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.site import Site, SiteHook
from icltui.engine.measure.forward_pass import forward_rows
from icltui.engine.measure.rank_one import exact_dtype
from icltui.engine.metric.background import BackgroundRow
from icltui.engine.metric.metric import LayerMoments, Moments, OrdinaryMoments
from icltui.engine.models.loaded_model import LoadedModel

WIDEST = 1024
"""Up to this width every eigenvector is kept."""
RANK = 256
"""Eigenvectors that are kept of wider vectors."""
_MORE = 64
"""Columns of Ω beyond the rank, for the accuracy of the last of them."""
_AT_ONCE = 1024
"""Tokens of one pass."""
_NOISE = 1e-12
"""Share of the largest eigenvalue below which another is rounding."""


@dataclass
class Sum:
    """What every sum counts."""

    n: int = 0
    n_text: int = 0
    square: float = 0.0
    """Σ ‖x‖² of the text."""

    def count(self, x: Float[Tensor, "tokens width"], is_text: Bool[Tensor, " tokens"]) -> None:
        """Counts the rows of ``x``, and those among them that are no kept tokens."""
        self.n += len(x)
        self.n_text += int(is_text.sum())
        self.square += float(x[is_text].square().sum())

    def moments_of(self, vectors: Tensor, values: Tensor, rest: float) -> Moments:
        """The moments in the precision in which they are kept, whether they are written to a file or not."""
        vectors, values = (tensor.to("cpu", torch.float32).contiguous() for tensor in (vectors, values))
        return Moments(vectors, values, rest, self.square / self.n_text / vectors.shape[1])


@dataclass(kw_only=True)
class DenseSum(Sum):
    """Σ x xᵀ."""

    total: Float[Tensor, "width width"]

    def add(self, x: Float[Tensor, "tokens width"], is_text: Bool[Tensor, " tokens"]) -> None:
        """Adds each row, see :meth:`count`."""
        x = x.to(self.total.dtype)
        self.count(x, is_text)
        self.total += x.T @ x

    def moments(self) -> Moments:
        """Every eigenvalue, largest first."""
        values, columns = torch.linalg.eigh((self.total / self.n).cpu())
        return self.moments_of(columns.flip(-1).T, values.flip(-1).clamp(min=0.0), 0.0)


@dataclass(kw_only=True)
class SketchedSum(Sum):
    """Y = Σ x (xᵀ Ω), and the trace of Σ x xᵀ."""

    omega: Float[Tensor, "width columns"]
    image: Float[Tensor, "width columns"]
    trace: float = 0.0

    def add(self, x: Float[Tensor, "tokens width"], is_text: Bool[Tensor, " tokens"]) -> None:
        """Adds each row, see :meth:`count`."""
        x = x.to(self.image.dtype)
        self.count(x, is_text)
        self.image += x.T @ (x @ self.omega)
        self.trace += float(x.square().sum())

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
        return self.moments_of(columns[:, :RANK].T, values, left / max(1, len(columns) - len(values)))


def new_sum(x: Float[Tensor, "tokens width"]) -> DenseSum | SketchedSum:
    """An empty sum for vectors like ``x``, on their device; Ω depends on the width alone."""
    width, dtype = x.shape[1], exact_dtype(x)
    if width <= WIDEST:
        return DenseSum(total=torch.zeros(width, width, dtype=dtype, device=x.device))
    noise = torch.Generator().manual_seed(width)
    random = torch.randn(width, RANK + _MORE, generator=noise, dtype=torch.float64)
    omega = torch.linalg.qr(random)[0].to(x.device, dtype)
    return SketchedSum(omega=omega, image=torch.zeros_like(omega))


def n_bytes(width: int) -> int:
    """Bytes that one site's sum and its moments take."""
    if width <= WIDEST:
        return width * width * (8 + 4)
    return width * (2 * (RANK + _MORE) * 8 + RANK * 4)


@dataclass
class MomentsHook(SiteHook):
    """Sums up the vectors of every token of some rows, those kept before every text included.

    A patch acts on a kept token as on any other, and one that moves a sink moves all that attend to it.
    """

    at: Int[Tensor, " tokens"]
    """The tokens' indices in the pass, where shorter rows are padded."""
    is_text: Bool[Tensor, " tokens"]
    """Those of them that are not kept before every text."""
    z: dict[int, DenseSum | SketchedSum] = field(default_factory=dict)
    g: dict[int, DenseSum | SketchedSum] = field(default_factory=dict)

    def mlp_input(self, layer: int, z: Float[Tensor, "passed hidden"]) -> None:
        self._add(self.z, layer, z)

    def down_input(self, layer: int, g: Float[Tensor, "passed inner"]) -> None:
        self._add(self.g, layer, g)

    def _add(self, sums: dict[int, DenseSum | SketchedSum], layer: int, x: Float[Tensor, "passed _"]) -> None:
        if layer not in sums:
            sums[layer] = new_sum(x)
        sums[layer].add(x[self.at.to(x.device)], self.is_text.to(x.device))

    def aim(self, rows: Sequence[BackgroundRow]) -> None:
        """Sets the tokens of the next pass."""
        longest = max(len(row.ids) for row in rows)
        index = torch.arange(len(rows) * longest).view(len(rows), longest)
        self.at = torch.cat([index[k, : len(row.ids)] for k, row in enumerate(rows)])
        self.is_text = torch.cat([torch.arange(len(row.ids)) >= row.n_kept for row in rows])


def stream_moments(
    loaded: LoadedModel,
    sites: Sequence[Site],
    rows: Sequence[BackgroundRow],
    on_progress: ProgressCallback = ignore_progress,
) -> OrdinaryMoments:
    """The moments at ``sites`` over the rows, a few at a time."""
    hook, done = MomentsHook(torch.arange(0), torch.zeros(0, dtype=torch.bool)), 0
    with attach(sites, hook):
        for batch in _batches(rows):
            on_progress("reading ordinary text", done, len(rows))
            hook.aim(batch)
            forward_rows(loaded.model, [row.ids for row in batch], [range(len(row.ids)) for row in batch])
            done += len(batch)
    layers = {}
    for number, site in enumerate(sites):
        on_progress("weighing ordinary text", number, len(sites))
        g = hook.g.get(site.layer)
        layers[site.layer] = LayerMoments(hook.z[site.layer].moments(), None if g is None else g.moments())
    return OrdinaryMoments(layers, sum(row.n_text for row in rows))


def _batches(rows: Sequence[BackgroundRow]) -> Iterator[Sequence[BackgroundRow]]:
    """Rows of like length together, up to :data:`_AT_ONCE` tokens with their padding."""
    batch: list[BackgroundRow] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if batch and len(row.ids) * (len(batch) + 1) > _AT_ONCE:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
