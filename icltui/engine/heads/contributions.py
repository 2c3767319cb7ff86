"""δ at the query's last token, head by head and unit by unit of the context, under the local reference.

Enters: a loaded model and a prompt's ids. Leaves: :class:`~icltui.values.HeadContributions`. With α the attention of a
head h at that token, C the context and o_h = Σ_{j∉C} α_j v_j / Σ_{j∉C} α_j its output where it may not see the context,

    W_O^h Σ_j α_j v_j − W_O^h o_h = Σ_{j∈C} W_O^h α_j (v_j − o_h) = Σ_{j∈C} c_hj

which holds as Σ α = 1 (derived); a learned sink keeps its share of the weight in both. The bias of W_O cancels. The sum
over heads is δ, the change of the residual stream under the reference *local* with positions kept. Where a norm follows
W_O the sum is the change before that norm, and δ its image.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.heads.last_token import AttentionAtLast, attention_at_last
from icltui.engine.hooks.site import Site
from icltui.engine.measure.forward_pass import can_use_cache
from icltui.engine.measure.predictions import finite_or_none, finite_rows
from icltui.engine.measure.rank_one import exact_dtype
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.models.upcast import can_compute_in_float32, computing_dtype, computing_in_float32, is_half
from icltui.engine.prompts.tokenize import Ids
from icltui.values import HeadContributions, Path, UnreadableLayer
from icltui.values.errors import BadInput

MOST_CELLS = 2**19
"""Heads times units times layers: three numbers of each go to the screen."""
ALLOWED = 1e-3
"""The largest share of δ that the sum may miss, in float32."""


def head_contributions(
    loaded: LoadedModel,
    sites: Sequence[Site],
    ids: Ids,
    path: Path,
    on_progress: ProgressCallback = ignore_progress,
) -> Iterator[HeadContributions | UnreadableLayer]:
    """Each site's contributions, or why its δ is no such sum, layers ascending; a half-precision model computes in
    float32.

    ``path``: the way that this model's prefixes are measured.

    Raises:
        BadInput: more heads, units and layers than can be shown.
    """
    _check_cells(loaded, sites, ids)
    if not can_use_cache(loaded.model):
        reason = "the model cannot go on from a cache, which holds the values"
        yield from (UnreadableLayer(layer=site.layer, reason=reason) for site in sites)
        return
    widens = is_half(loaded.model) and can_compute_in_float32(loaded.model)
    with computing_in_float32(loaded.model) if widens else nullcontext():
        try:
            on_progress("measuring δ under the local reference")
            delta = local_delta(loaded, sites, ids, path)
        except BadInput as error:
            yield from (UnreadableLayer(layer=site.layer, reason=_first_part(error)) for site in sites)
            return
        read = attention_at_last(loaded, sites, ids.full, path, on_progress)
        delta |= _beyond_windows(loaded, sites, ids, path, read)
        for site in sites:
            attention = read[site.layer]
            if isinstance(attention, str):
                yield UnreadableLayer(layer=site.layer, reason=attention)
            else:
                yield _of_layer(site.layer, attention, ids, delta[site.layer], computing_dtype(loaded.model))


def _first_part(error: BadInput) -> str:
    """What is wrong, without the advice, which is about other commands."""
    return str(error).partition(":")[0]


def local_delta(
    loaded: LoadedModel, sites: Sequence[Site], ids: Ids, path: Path
) -> dict[int, Float[Tensor, " hidden"]]:
    """v_C − v at the query's last token, by layer: v where only this layer's attention may not see the context."""
    whole = replace(ids, ends=(0, len(ids.context)))
    seen: dict[int, Tensor] = {}
    for chunk in measure_prefixes(loaded, sites, Plan(whole, "grow", "local", "keep"), path):
        seen |= dict(zip(chunk.units, chunk.v, strict=True))
    return {site.layer: seen[1][at] - seen[0][at] for at, site in enumerate(sites)}


def _beyond_windows(
    loaded: LoadedModel,
    sites: Sequence[Site],
    ids: Ids,
    path: Path,
    read: Mapping[int, AttentionAtLast | str],
) -> dict[int, Float[Tensor, " hidden"]]:
    """δ where a window ends after the kept prefix: without the context the window would reach it."""
    n_prefix = len(ids.prefix)
    short = [
        site
        for site in sites
        if not isinstance(of := read[site.layer], str) and n_prefix and not of.weights[:, :n_prefix].any()
    ]
    if not short:
        return {}
    bare = replace(ids, prefix=(), context=(*ids.prefix, *ids.context))
    return local_delta(loaded, short, bare, path)


def split(
    attention: AttentionAtLast, ids: Ids
) -> Iterator[tuple[Float[Tensor, "units hidden"], Float[Tensor, " units"]]]:
    """c_h of each unit and its attention, head by head."""
    begin = len(ids.prefix)
    is_context = torch.zeros(attention.weights.shape[1], dtype=torch.bool, device=attention.weights.device)
    is_context[begin : begin + len(ids.context)] = True
    n_units = len(ids.ends) - 1
    sizes = torch.tensor([end - at for at, end in pairwise(ids.ends)], device=is_context.device)
    unit = torch.arange(n_units, device=is_context.device).repeat_interleave(sizes)
    for alpha, values, matrix in zip(attention.weights, attention.values, attention.projection, strict=True):
        rest = alpha[~is_context].sum()
        if attention.has_sink:
            rest = 1 - alpha[is_context].sum()
        alone = alpha[~is_context] @ values[~is_context] / rest
        weighted = alpha[is_context, None] * (values[is_context] - alone)
        by_unit = weighted.new_zeros(n_units, weighted.shape[1]).index_add_(0, unit, weighted)
        seen = alpha.new_zeros(n_units).index_add_(0, unit, alpha[is_context])
        yield attention.scale * by_unit @ matrix, seen


def _of_layer(
    layer: int,
    attention: AttentionAtLast,
    ids: Ids,
    delta: Float[Tensor, " hidden"],
    dtype: torch.dtype,
) -> HeadContributions | UnreadableLayer:
    total = torch.zeros_like(attention.output)
    for by_unit, _ in split(attention, ids):
        total += by_unit.sum(0)
    error = _miss(attention, total, delta, dtype)
    if error is not None and error > ALLOWED:
        missed = f"the sum over heads misses δ by {error:.1%}"
        more = "its attention does more to the values than weigh them, as " if attention.is_gated else ""
        return UnreadableLayer(layer=layer, reason=more + missed)
    square = total.square().sum()
    shares, norms, seen = [], [], []
    for by_unit, of_unit in split(attention, ids):
        shares.append(by_unit @ total / square)
        norms.append(by_unit.norm(dim=-1))
        seen.append(of_unit)
    share = torch.stack(shares)
    return HeadContributions(
        layer=layer,
        delta_norm=finite_or_none(total.norm()),
        share=_record(share),
        norm=_record(torch.stack(norms)),
        attention=_record(torch.stack(seen)),
        head_share=tuple(map(finite_or_none, share.sum(1).tolist())),
        sum_error=error,
        before_norm=attention.norm is not None,
    )


def _miss(
    attention: AttentionAtLast,
    total: Float[Tensor, " hidden"],
    delta: Float[Tensor, " hidden"],
    dtype: torch.dtype,
) -> float | None:
    """‖Σ c − δ‖ / ‖δ‖; through the norm where one follows."""
    delta = delta.to(total.device, exact_dtype(delta))
    reached = total
    if attention.norm is not None:
        both = torch.stack([attention.output, attention.output - total])[None]
        normed = attention.norm(both.to(dtype))[0].to(total)
        reached = normed[0] - normed[1]
    return finite_or_none((reached - delta).norm() / delta.norm())


def _record(table: Float[Tensor, "heads units"]) -> tuple[tuple[float | None, ...], ...]:
    return tuple(map(tuple, finite_rows(table)))


def _check_cells(loaded: LoadedModel, sites: Sequence[Site], ids: Ids) -> None:
    config = loaded.model.config.get_text_config(decoder=True)
    n_heads, n_units = int(getattr(config, "num_attention_heads", 1) or 1), len(ids.ends) - 1
    if (n_cells := n_heads * n_units * len(sites)) > MOST_CELLS:
        raise BadInput(
            f"{n_heads} heads, {n_units:,} units and {len(sites)} layers are {n_cells:,} numbers: at most "
            f"{MOST_CELLS:,}; use larger units, such as --unit sentence, or fewer --layers"
        )
