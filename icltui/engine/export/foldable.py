"""Whether a down projection's output reaches its block's output unchanged, up to a constant factor.

Only there can a change of its weights carry the shift. Enters: a built patch. Leaves: the factor at each layer where
it does, and the patch without the shifts that cannot be carried. No family is known by name: each block is run again
with vectors added to its down projection's output, and the block's output must move by a multiple of each vector, the
same multiple for all. A norm after the branch (Gemma 2 and 3, OLMo-2, GLM-4) does not pass; Granite's residual
multiplier does, and is the factor.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.site import Site, hidden_output
from icltui.engine.measure.forward_pass import forward
from icltui.engine.measure.packing_check import sample_ids
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.alpha_search import with_alpha
from icltui.engine.patch.build import BuiltPatch, refit
from icltui.engine.patch.exactness_at_load import tolerance_of

_N_VECTORS = 2


@dataclass(frozen=True)
class FoldablePatch:
    """The part of a patch that a change of weights can carry."""

    built: BuiltPatch
    factors: dict[int, float]
    """Movement of the block's output per addition to the down projection's output, by layer."""
    unshifted: dict[int, str]
    """The layers whose shift is left out, with the reason."""


def foldable_patch(whole: BuiltPatch) -> FoldablePatch:
    """The patch without the shifts that no weights can carry, fitted anew: layers above make up for the gap."""
    factors = fold_gains(whole.spec.loaded, whole.spec.sites)
    leaving, unshifted = whole, dict[int, str]()
    while stuck := _stuck(leaving, factors):
        unshifted |= stuck
        leaving = with_alpha(refit(whole, frozenset(unshifted)))
    return FoldablePatch(leaving, factors, unshifted)


def _stuck(built: BuiltPatch, factors: dict[int, float]) -> dict[int, str]:
    """The layers with a shift that cannot be carried, and the reason."""
    assert built.patch is not None
    found = {}
    for site in built.spec.sites:
        held = built.patch.layers[site.layer]
        if held.bias is not None and site.down_proj is None:
            found[site.layer] = "experts share no down projection"
        elif site.layer not in factors and (held.bias is not None or held.output is not None):
            found[site.layer] = "something, such as a norm, follows the down projection"
        elif held.bias is not None:
            found[site.layer] = "nothing but zeros enters the down projection"
    return found


def fold_gains(loaded: LoadedModel, sites: Sequence[Site]) -> dict[int, float]:
    """Movement of the block's output per addition to the down projection's output, by layer."""
    gains: dict[int, float] = {}
    with ExitStack() as stack:
        for site in sites:
            if isinstance(site.down_proj, nn.Linear | Conv1D):
                hook = partial(_ask, site, tolerance_of(loaded), gains)
                stack.callback(site.block.register_forward_hook(hook, with_kwargs=True).remove)
        forward(loaded.model, sample_ids(loaded, n_context=4, n_query=2).full)
    return gains


def _ask(
    site: Site,
    tolerance: float,
    gains: dict[int, float],
    _: nn.Module,
    args: Any,
    kwargs: Any,
    output: Any,
) -> None:
    """Runs the block again on its inputs; the outer pass keeps its output."""
    out = hidden_output(output)
    if out.ndim != 3:  # several parallel residual streams
        return
    again = partial(_again, site, args, kwargs)
    unmoved = again(torch.zeros_like(out[0]))
    noise, pairs = torch.Generator().manual_seed(site.layer), []
    for _number in range(_N_VECTORS):
        random = torch.randn(unmoved.shape, generator=noise, dtype=torch.float64).to(unmoved)
        # As long as the output itself: neither lost in rounding, nor all that a norm after the branch sees.
        added = (random * unmoved.norm(dim=-1, keepdim=True) / random.norm(dim=-1, keepdim=True)).to(
            out.dtype
        )
        pairs.append((widen(added), again(added) - unmoved))
    sent, arrived = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    gain = float((sent * arrived).sum() / sent.square().sum())
    missed = (arrived - gain * sent).norm(dim=-1) / (abs(gain) * sent.norm(dim=-1))
    if bool((missed <= tolerance).all()):  # false where it is NaN
        gains[site.layer] = gain


def _again(
    site: Site, args: Any, kwargs: Any, added: Float[Tensor, "tokens hidden"]
) -> Float[Tensor, "tokens hidden"]:
    """The block's output with ``added`` on the down projection's; hooks at the block do not run."""
    assert site.down_proj is not None
    handle = site.down_proj.register_forward_hook(lambda _module, _args, out: out + added)
    try:
        return widen(hidden_output(site.block.forward(*args, **kwargs))[0])
    finally:
        handle.remove()
