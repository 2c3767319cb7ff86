"""What the context changes at each layer, for many prompts at once, in closed form.

Enters: a batch's states with the context and without it, at the query's last token. Leaves:
:class:`~icltui.values.trial.TrialLayer` for each row and layer. Experts count where the contextual token goes to them.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.hooks.site import Site
from icltui.engine.measure.predictions import finite_rows
from icltui.engine.measure.rank_one import Experts, project, weight_norm
from icltui.engine.trial.batch import Batch
from icltui.values.trial import TrialLayer

_NAMES = (
    "delta_norm",
    "shift_norm",
    "z_norm",
    "learning_rate",
    "patch_norm",
    "relative_patch_norm",
    "context_learning_rate",
)


def layer_numbers(batch: Batch) -> list[tuple[TrialLayer, ...]]:
    """The layers of each row, ascending."""
    context, plain = batch.contextual[1], batch.plain[1]
    last = batch.last_targets
    tables = []
    for site in batch.sites:
        z_context, v_context = (
            kept[site.layer][last.to(kept[site.layer].device)] for kept in (context.z, context.v)
        )
        z, v = plain.z[site.layer], plain.v[site.layer]
        dz, z_norm = z_context - z, z.norm(dim=-1)
        experts = context.experts.get(site.layer)
        image, weight = _images(site, dz, None if experts is None else experts[last.to(experts.device)])
        patch = image / z_norm
        columns = (
            dz.norm(dim=-1),
            (v_context - v).norm(dim=-1),
            z_norm,
            z_norm**-2,
            patch,
            patch / weight,
            z_context.norm(dim=-1) ** -2,
        )
        tables.append(finite_rows(torch.stack(columns, dim=-1).cpu()))
    return [
        tuple(
            TrialLayer(layer=site.layer, **dict(zip(_NAMES, table[row], strict=True)))
            for site, table in zip(batch.sites, tables, strict=True)
        )
        for row in range(batch.n_rows)
    ]


def _images(
    site: Site, dz: Float[Tensor, "rows hidden"], chosen: Int[Tensor, "rows _chosen"] | None
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """‖W δz‖ and ‖W‖ of each row."""
    images, weights = torch.empty(len(dz)).to(dz), torch.empty(len(dz)).to(dz)
    for experts, at in _by_experts(len(dz), chosen):
        squares = [image.square().sum(-1) for image in project(site, dz[at], experts).values()]
        images[at] = torch.stack(squares).sum(0).sqrt().to(images)
        weights[at] = weight_norm(site, experts)
    return images, weights


def _by_experts(n: int, chosen: Int[Tensor, "rows _chosen"] | None) -> Iterator[tuple[Experts, list[int]]]:
    """The rows that have equal experts."""
    if chosen is None:
        yield None, [*range(n)]
        return
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, experts in enumerate(chosen.tolist()):
        groups.setdefault(tuple(sorted(set(experts))), []).append(row)
    yield from groups.items()
