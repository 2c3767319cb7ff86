"""The errors of one layer, each beside what it is held to.

Enters: what a layer had at the query's last token, with the context, without the patch and under it. Leaves: a
:class:`~icltui.values.LayerCheck`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.capture import States
from icltui.engine.hooks.site import Site
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.measure.rank_one import Experts, exact_dtype, project, weight_norm
from icltui.engine.patch.exactness_at_load import relative_error
from icltui.engine.patch.patch import apply_map
from icltui.engine.verify.noise_floor import resolution
from icltui.engine.verify.verdict import allowed_error
from icltui.values import ErrorLimits, LayerCheck

N_PROBES = 16
"""Number of random vectors that ΔW multiplies, up to which its rank shows."""

Vector = Float[Tensor, " hidden"]


@dataclass(frozen=True)
class LayerRuns:
    """What one layer had in each run, at the query's last token."""

    wanted: States
    """With the context."""
    got: States
    """Under ΔW and the shift; z and v before them."""
    weights: States
    """Under ΔW alone; z before it."""
    mlp: tuple[Vector, Vector, Vector]
    """The MLP's output with the context, without, and under ΔW alone."""
    block: tuple[Vector, Vector]
    """The block's output with the context, and without."""
    floors: tuple[float, float]
    """The noise floors of the MLP's and the block's output."""


def check_layer(
    site: Site, runs: LayerRuns, dtype: torch.dtype, tolerance: float, alignment: float | None
) -> LayerCheck:
    """The layer's numbers."""
    z, target = runs.got.z[0], runs.wanted.z[0]
    chosen = runs.wanted.experts.get(site.layer)
    experts = None if chosen is None else sorted(set(chosen[-1].tolist()))
    # Without rounding z is the first of the same sum of images that the map's output is the image of.
    rows = torch.cat([apply_map(z, z, target - z), target, z, target - z])
    moved, real, before, step = _image(site, rows, experts)
    actual, predicted = runs.wanted.out[0], runs.got.out[0]
    mlp, plain_mlp, patched_mlp = runs.mlp
    block, plain_block = runs.block
    mlp_floor, block_floor = runs.floors

    def limits(
        floor: float,
        effect: float,
        over: Float[Tensor, "1 hidden"],
        under: Float[Tensor, "1 hidden"],
        of: torch.dtype,
    ) -> ErrorLimits:
        growth = float(over.norm() / under.norm())
        allowed = allowed_error(floor, resolution(of, z.shape[-1], growth), tolerance)
        return ErrorLimits(floor=finite_or_none(floor), allowed=allowed, effect=finite_or_none(effect))

    return LayerCheck(
        layer=site.layer,
        identity_error=finite_or_none(relative_error(moved, real)),
        block_error=finite_or_none(relative_error(predicted, actual)),
        cosine=finite_or_none(torch.nn.functional.cosine_similarity(predicted, actual, dim=-1).mean()),
        nmse=finite_or_none((predicted - actual).square().mean() / actual.square().mean()),
        mlp_error=finite_or_none(relative_error(patched_mlp, mlp)),
        rank=_rank(site, z, target - z, experts),
        gradient_alignment=alignment,
        limits={
            "mlp": limits(mlp_floor, relative_error(plain_mlp, mlp), runs.weights.z[0], target, dtype),
            # Computed from states in at least float32, whatever the model's dtype: its rounding does not explain it.
            "identity": limits(
                relative_error(before + step, real), relative_error(before, real), z, target, torch.float32
            ),
            "block": limits(block_floor, relative_error(plain_block, block), runs.got.v[0], actual, dtype),
        },
    )


def _image(site: Site, x: Float[Tensor, "rows hidden"], experts: Experts) -> Float[Tensor, "rows inner"]:
    return torch.cat(list(project(site, x, experts).values()), dim=-1)


def _rank(site: Site, z: Float[Tensor, "1 hidden"], dz: Float[Tensor, "1 hidden"], experts: Experts) -> int:
    """The numerical rank of ΔW as the map acts, by SVD of ΔW Ω for Gaussian Ω, in float64 where the device has it.

    With probability 1 the rank of ΔW Ω is that of ΔW, up to the number of columns (Halko et al. 2011, theorem 9.1).
    """
    exact = exact_dtype(z)
    random = torch.randn(N_PROBES, z.shape[-1], generator=torch.Generator().manual_seed(0), dtype=exact)
    probes, z, dz = random.to(z.device), z.to(exact), dz.to(exact)
    change = _image(site, apply_map(probes, z, dz) - probes, experts)
    if not change.isfinite().all():
        return 0
    rounding = 64 * torch.finfo(exact).eps * float(probes.norm()) * weight_norm(site, experts)
    return int(torch.linalg.matrix_rank(change, atol=rounding))
