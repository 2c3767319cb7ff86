"""A patch made of one context, held fixed at the query's last token while other contexts are before the query.

Enters: a query, the context that the patch is made of, other contexts, strengths α. Leaves: log-probabilities of some
tokens, for each context and strength. With no context and α = 1 they are those of the patch's own context (theorem
B.2 of [1]); beside a context the patch is what steering vectors are: a change that knows nothing of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.contexts.combination import Part
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import States, widen
from icltui.engine.hooks.site import Site, SiteHook
from icltui.engine.measure.forward_pass import forward_rows, forward_states
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.patch import apply_map

Grid = tuple[tuple[tuple[float, ...], ...], ...]


@dataclass
class FixedPatch(SiteHook):
    """ΔW and δ of the last token of each row, one patch for all rows, at a strength of its own for each.

    The first pass, of one row without a context, fits every layer while those below act at strength 1; later passes use
    what was fitted.
    """

    sites: Sequence[Site]
    target: States
    """The patch's context's states of the query's last token."""
    strengths: Float[Tensor, " rows"] = field(default_factory=lambda: torch.ones(1))
    z: dict[int, Tensor] = field(default_factory=dict)
    dz: dict[int, Tensor] = field(default_factory=dict)
    delta: dict[int, Tensor] = field(default_factory=dict)
    v: Tensor | None = None
    """The stream of the present block, for its shape."""

    def __post_init__(self) -> None:
        self.index = {site.layer: k for k, site in enumerate(self.sites)}

    def residual(self, layer: int, v: Float[Tensor, "tokens hidden"]) -> None:
        last = widen(self._rows(v)[:, -1])
        if layer not in self.delta:
            self.delta[layer] = (self.target.v[self.index[layer]].to(last) - last).clone()
        self.v = v

    def mlp_input(self, layer: int, z: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "tokens hidden"]:
        whole = z.clone()
        last = widen(self._rows(z)[:, -1])
        if layer not in self.dz:
            self.z[layer], self.dz[layer] = (
                last.clone(),
                self.target.z[self.index[layer]].to(last) - last,
            )
        changed = apply_map(
            last, self.z[layer].expand_as(last), self._strengths(last) * self.dz[layer].expand_as(last)
        )
        self._rows(whole)[:, -1] = changed.to(z.dtype)
        return whole

    def shift(self, layer: int) -> Float[Tensor, "tokens hidden"]:
        assert self.v is not None, "the stream passes before its shift"
        change = torch.zeros_like(widen(self.v))
        self._rows(change)[:, -1] = self._strengths(change) * self.delta[layer]
        self.v = None
        return change

    def _rows(self, tokens: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "rows row_tokens hidden"]:
        return tokens.view(len(self.strengths), -1, tokens.shape[-1])

    def _strengths(self, like: Tensor) -> Float[Tensor, "rows 1"]:
        return self.strengths.to(like)[:, None]


@torch.inference_mode()
def fixed_patch_grid(
    loaded: LoadedModel,
    prefix: Part,
    query: Part,
    source: Part,
    contexts: Sequence[Part],
    alphas: Sequence[float],
    tokens: Sequence[int],
) -> Grid:
    """Log-probabilities of ``tokens`` after each of ``contexts`` and the query, at each of ``alphas``.

    ``source`` is the context that the patch is made of. Outer to inner: context, strength, token.
    """
    model, sites = loaded.model, loaded.sites
    _, target = forward_states(model, sites, [*prefix, *source, *query], 1)
    patch = FixedPatch(sites, target)
    with attach(sites, patch):
        forward_rows(model, [[*prefix, *query]], [range(len(prefix) + len(query))])
    patch.strengths = torch.tensor(alphas, dtype=torch.float64)
    grid = []
    for context in contexts:
        row = [*prefix, *context, *query]
        with attach(sites, patch):
            logits = forward_rows(model, [row] * len(alphas), [range(len(row))] * len(alphas))[:, -1]
        log_p = widen(logits).log_softmax(-1)[:, list(tokens)]
        grid.append(tuple(tuple(values) for values in log_p.tolist()))
    return tuple(grid)
