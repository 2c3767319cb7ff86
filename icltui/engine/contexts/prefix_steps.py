"""What every further part of a context adds at the query's last token.

Enters: ids whose ``ends`` cut the context into parts. Leaves: norms and log-probabilities for each part, as plain
numbers: the first i parts give z_i, v_i and the distribution p_i.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.site import Site
from icltui.engine.measure.rank_one import project, weight_norm
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.trial.row_score import row_kl
from icltui.values import Path

Table = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class PrefixSteps:
    """Numbers of one prompt; tables have a row for each layer and a column for each part."""

    layers: tuple[int, ...]
    weight_steps: Table
    """‖W_{i+1} − W_i‖ / ‖W‖ = ‖W (z_{i+1} − z_i)‖ / (‖z_0‖ ‖W‖), of the matrices that read z; NaN where experts do."""
    shift_steps: Table
    """‖v_{i+1} − v_i‖."""
    net_shift: Table
    """‖v_i − v_0‖, i from 1."""
    stream_norms: tuple[float, ...]
    """‖v_0‖ of each layer."""
    log_p: Table
    """log p_i of each of the given tokens, in nats: a row for each i from 0, a column for each token."""
    kl_to_full: tuple[float, ...]
    """KL(p_n ‖ p_i) in nats, i from 0."""
    top: tuple[int, ...]
    """The most probable token, i from 0."""


@torch.inference_mode()
def prefix_steps(loaded: LoadedModel, ids: Ids, tokens: Sequence[int], path: Path) -> PrefixSteps:
    """The steps of the context's parts, all measured as ``path`` says.

    Raises:
        EngineError: logits that are not finite.
    """
    chunks = [*measure_prefixes(loaded, loaded.sites, Plan(ids, early=False), path)]
    units = [unit for chunk in chunks for unit in chunk.units]
    order = torch.tensor(sorted(range(len(units)), key=units.__getitem__))
    z, v, logits = (
        torch.cat([getattr(chunk, name) for chunk in chunks])[order] for name in ("z", "v", "logits")
    )
    log_p = logits.log_softmax(-1)
    dv = v.diff(dim=0).norm(dim=-1)
    return PrefixSteps(
        layers=tuple(site.layer for site in loaded.sites),
        weight_steps=tuple(_weight_steps(site, z[:, k]) for k, site in enumerate(loaded.sites)),
        shift_steps=_table(dv.T),
        net_shift=_table((v[1:] - v[0]).norm(dim=-1).T),
        stream_norms=tuple(v[0].norm(dim=-1).tolist()),
        log_p=_table(log_p[:, list(tokens)]),
        kl_to_full=tuple(row_kl(logits[-1:].expand_as(logits), logits).tolist()),
        top=tuple(log_p.argmax(-1).tolist()),
    )


def _weight_steps(site: Site, z: Float[Tensor, "prefixes hidden"]) -> tuple[float, ...]:
    if any(projection.experts is not None for projection in site.input_projections):
        return (float("nan"),) * (len(z) - 1)
    squares = [image.square().sum(-1) for image in project(site, z.diff(dim=0), None).values()]
    norms = torch.stack(squares).sum(0).sqrt() / (z[0].norm() * weight_norm(site, None))
    return tuple(norms.tolist())


def _table(numbers: Float[Tensor, "rows columns"]) -> Table:
    return tuple(tuple(row) for row in numbers.tolist())
