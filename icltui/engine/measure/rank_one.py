"""Closed forms of the weight update; ΔW itself is never formed.

ΔW = (W δz) zᵀ/‖z‖² has rank 1, so its Frobenius norm is ‖W δz‖/‖z‖. W means all matrices that read z (c_fc; gate
and up; the router and the experts that act), stacked along ``inner``. Source: [1] theorem 2.2.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from weakref import WeakKeyDictionary

import torch
from accelerate.utils import align_module_device
from jaxtyping import Float
from torch import Tensor, nn

from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.site import InputProjection, Site

Experts = Sequence[int] | None
"""The experts that act; None: all."""
Images = Mapping[str, Float[Tensor, "rows _inner"]]
"""W x by the matrix's name, (rows, inner)."""
_NOTHING: Images = MappingProxyType({})
_EXACT = (torch.float32, torch.float64)
_BLOCK = 2**22
"""Numbers of a half-precision matrix that are widened at a time."""
_NORMS: WeakKeyDictionary[nn.Module, dict[str, Tensor]] = WeakKeyDictionary()
"""‖W‖ of each matrix, by the parameter's name; weights are never changed."""


def exact_dtype(tensor: Float[Tensor, "*shape"]) -> torch.dtype:
    """float64, where the tensor's device has it."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def project(
    site: Site, x: Float[Tensor, "rows hidden"], experts: Experts = None, known: Images = _NOTHING
) -> dict[str, Float[Tensor, "rows _inner"]]:
    """W x of each row in x's precision, matrix by matrix under its name; experts side by side.

    Images that are ``known`` are taken as they are.
    """
    return {
        projection.name: known[projection.name]
        if projection.name in known
        else _concatenate([_times(x, part) for part in _parts(projection, experts)])
        for projection in site.input_projections
    }


def working_device(site: Site, known: Images, otherwise: torch.device) -> torch.device:
    """The device that the layer's matrices multiply on: ``otherwise`` where they rest in main memory and none worked.

    In a model that is spread over several devices, states gather on one: they go to the matrices, not these to them.
    """
    for image in known.values():
        return image.device
    projection = site.input_projections[0]
    at: torch.device = getattr(projection.module, projection.parameter).device
    return otherwise if at.type == "meta" else at


def project_back(site: Site, images: Images, experts: Experts = None) -> Float[Tensor, "rows hidden"]:
    """Σ Wᵀ u over the matrices, u as :func:`project` gives it."""
    total: Tensor | None = None
    for projection in site.input_projections:
        begin, image = 0, images[projection.name]
        for part in _parts(projection, experts):
            u = image[:, begin : begin + part.rows]
            begin += part.rows
            back = part.back(u)
            total = back if total is None else total + back
    assert total is not None
    return total


def weight_norm(site: Site, experts: Experts = None) -> float:
    """‖W‖, Frobenius, of all matrices that read z at this layer."""
    squares = 0.0
    for projection in site.input_projections:
        norms = _norms(projection)
        chosen = norms if experts is None or projection.experts is None else norms[list(experts)]
        squares += float(chosen.square().sum())
    return float(squares**0.5)


class _Part:
    """One matrix, (inner, hidden), or the only module that can multiply by it."""

    def __init__(self, module: nn.Module, weight: Tensor) -> None:
        self.module, self.weight = module, weight
        self.is_plain = weight.dtype in (*_EXACT, torch.bfloat16, torch.float16)

    @property
    def rows(self) -> int:
        return int(self.weight.shape[0]) if self.is_plain else int(self.module.out_features)  # type: ignore[arg-type]

    def blocks(self, like: Tensor) -> Iterator[Float[Tensor, "_rows hidden"]]:
        """The matrix in the precision of ``like``, a few rows at a time where it must be widened."""
        weight = self.weight if self.is_plain else self._by_columns(like)
        if weight.dtype == like.dtype and weight.device == like.device:
            yield weight
            return
        size = max(1, _BLOCK // weight.shape[1])
        for begin in range(0, len(weight), size):
            yield weight[begin : begin + size].to(like.device, like.dtype)

    def _by_columns(self, like: Tensor) -> Float[Tensor, "inner hidden"]:
        """A quantised matrix, as its module multiplies."""
        eye = torch.eye(int(self.module.in_features), dtype=like.dtype, device=self.weight.device)  # type: ignore[arg-type]
        return self.through(eye).T

    def through(self, x: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows inner"]:
        """W x by the module itself, without its bias."""
        out = self.module(x.to(self.weight.device))
        bias = getattr(self.module, "bias", None)
        return widen(out if bias is None else out - bias)

    def back(self, u: Float[Tensor, "rows inner"]) -> Float[Tensor, "rows hidden"]:
        """Wᵀ u of each row."""
        begin, total = 0, None
        for block in self.blocks(u):
            part = u[:, begin : begin + len(block)] @ block
            begin += len(block)
            total = part if total is None else total + part
        assert total is not None
        return total


def _times(x: Float[Tensor, "rows hidden"], part: _Part) -> Float[Tensor, "rows inner"]:
    if not part.is_plain:
        return part.through(x).to(x.device, x.dtype)
    return _concatenate([x @ block.T for block in part.blocks(x)])


def _concatenate(images: list[Tensor]) -> Tensor:
    return images[0] if len(images) == 1 else torch.cat(images, dim=-1)


def _parts(projection: InputProjection, experts: Experts) -> Iterator[_Part]:
    """The projection's matrices, on the device where they are used, in order."""
    with align_module_device(projection.module):
        weight: Tensor = getattr(projection.module, projection.parameter).detach()
        if projection.transposed:
            weight = weight.transpose(-1, -2)
        if projection.experts is None:
            yield _Part(projection.module, weight)
            return
        for expert in range(projection.experts) if experts is None else experts:
            yield _Part(projection.module, weight[expert])


def _norms(projection: InputProjection) -> Float[Tensor, " matrices"]:
    """‖W‖ of the projection's matrices, one for each expert."""
    known = _NORMS.setdefault(projection.module, {})
    if projection.parameter not in known:
        like = torch.zeros((), dtype=torch.float32)
        squares = []
        for part in _parts(projection, None):
            like = like.to(part.weight.device)
            squares.append(sum(float(b.square().sum(dtype=torch.float32)) for b in part.blocks(like)))
        known[projection.parameter] = torch.tensor(squares, dtype=torch.float64).sqrt()
    return known[projection.parameter]
