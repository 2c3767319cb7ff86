"""Closed forms of the weight update; ΔW itself is never formed.

ΔW = (W δz) zᵀ/‖z‖² has rank 1, so its Frobenius norm is ‖W δz‖/‖z‖. W stands for all matrices that read z
(c_fc; gate and up; router and every expert), stacked along ``inner``. Source: [1] theorem 2.2.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.capture import widen
from icltui.engine.site import Site


def projected_norm(site: Site, x: Float[Tensor, "rows hidden"]) -> Float[Tensor, " rows"]:
    """‖W x‖ of each row, in x's precision, one matrix at a time."""
    total = x.new_zeros(len(x))
    for reader in site.readers:
        weight = widen(reader.weight()).to(x.device, x.dtype)
        total += (x @ weight.T).square().sum(dim=-1)
    return total.sqrt()


def project(site: Site, x: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows inner"]:
    """W x of each row, the matrices stacked."""
    return torch.cat([x @ widen(r.weight()).to(x.device, x.dtype).T for r in site.readers], dim=-1)


def weight_norm(site: Site) -> float:
    """‖W‖, Frobenius, of all matrices that read z at this layer."""
    squares = [float(widen(reader.weight()).square().sum(dtype=torch.float64)) for reader in site.readers]
    return float(sum(squares) ** 0.5)
