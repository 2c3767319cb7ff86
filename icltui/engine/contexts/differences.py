"""Norms of sums and differences of δ = z_C − z, layer by layer: do two contexts add up, does their order matter?

Enters: δ of the contexts A, B, AB and BA. Leaves: plain numbers, computed in float64.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.measure.predictions import finite_or_none

Layers = tuple[float | None, ...]
"""A number for each layer; None where it is not finite, as where the context changes nothing."""


@dataclass(frozen=True)
class PairNumbers:
    """How two contexts act together."""

    first: Layers
    """‖δ(A)‖."""
    second: Layers
    """‖δ(B)‖."""
    both: Layers
    """‖δ(AB)‖."""
    interaction: Layers
    """‖δ(AB) − δ(A) − δ(B)‖ / ‖δ(AB)‖: 0 where the two add up, 1 where they average."""
    order: Layers
    """‖δ(AB) − δ(BA)‖ / ‖δ(AB)‖."""
    null_interaction: Layers
    """``interaction`` of orthogonal vectors of these norms, which independent random ones nearly are where there are
    many dimensions: √(1 + (‖δ(A)‖² + ‖δ(B)‖²) / ‖δ(AB)‖²), √3 where all are equal."""
    null_order: Layers
    """``order`` of orthogonal vectors of these norms, √2 where they are equal."""
    weight_first: Layers
    """a of the least ‖δ(AB) − a δ(A) − b δ(B)‖."""
    weight_second: Layers
    """b of it."""
    remainder: Layers
    """That least norm over ‖δ(AB)‖: what no weights make of A and B."""


def pair_numbers(
    first: Float[Tensor, "layers hidden"],
    second: Float[Tensor, "layers hidden"],
    both: Float[Tensor, "layers hidden"],
    reverse: Float[Tensor, "layers hidden"],
) -> PairNumbers:
    """The numbers of δ(A), δ(B), δ(AB) and δ(BA)."""
    a, b, ab, ba = (one.double() for one in (first, second, both, reverse))
    norms = {name: one.norm(dim=-1) for name, one in (("a", a), ("b", b), ("ab", ab), ("ba", ba))}
    whole = norms["ab"]
    weights = torch.linalg.lstsq(torch.stack([a, b], dim=-1), ab[..., None], driver="gelsd").solution[..., 0]
    rest = ab - weights[:, :1] * a - weights[:, 1:] * b
    columns = {
        "first": norms["a"],
        "second": norms["b"],
        "both": whole,
        "interaction": (ab - a - b).norm(dim=-1) / whole,
        "order": (ab - ba).norm(dim=-1) / whole,
        "null_interaction": (1 + (norms["a"] ** 2 + norms["b"] ** 2) / whole**2).sqrt(),
        "null_order": (1 + norms["ba"] ** 2 / whole**2).sqrt(),
        "weight_first": weights[:, 0],
        "weight_second": weights[:, 1],
        "remainder": rest.norm(dim=-1) / whole,
    }
    return PairNumbers(**{one.name: layer_values(columns[one.name]) for one in fields(PairNumbers)})


def step_norms(deltas: Float[Tensor, "steps layers hidden"]) -> list[Layers]:
    """‖δ_k − δ_{k−1}‖ of each step from δ_0 = 0."""
    wide = deltas.double()
    before = torch.cat([torch.zeros_like(wide[:1]), wide[:-1]])
    return [layer_values(norms) for norms in (wide - before).norm(dim=-1)]


def layer_values(numbers: Float[Tensor, " layers"]) -> Layers:
    """The numbers as Python's, None where one is not finite."""
    return tuple(finite_or_none(number) for number in numbers)
