"""A held patch, made in one run without the context, layer by layer, in the very run it acts in.

Enters: passages, whose tokens' contextual states are known. Leaves: a :class:`~icltui.engine.patch.patch.HeldPatch`,
and how
it fits. At each selected layer the patched-so-far Z and V of the k fitted tokens are seen; ΔW is solved for Z_C − Z,
the shift for V_C − V through the down projection's inputs G. With one token it is the theorem's rank-1 patch; with
several, its least squares.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.site import Site, SiteHook
from icltui.engine.measure.forward import forward_rows
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.measure.rank_one import project, weight_norm
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.calibration import Passage
from icltui.engine.patch.lowrank import Fit, LowRank, check_rank, solve
from icltui.engine.patch.patch import HeldPatch, LayerPatch, random_like
from icltui.values import LayerFit
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe


@dataclass(frozen=True)
class FittedTokens:
    """A passage, and which of its tokens are fitted: the query's last ones, and what follows them."""

    passage: Passage
    n_query: int
    n_continuation: int = 0

    @property
    def n_tokens(self) -> int:
        return self.n_query + self.n_continuation

    @property
    def row(self) -> list[int]:
        """The row without the context, up to the last fitted token."""
        return self.passage.plain[: len(self.passage.ids.plain) + self.n_continuation]

    @property
    def among_targets(self) -> slice:
        """Where they are among the passage's targets."""
        begin = len(self.passage.ids.query) - self.n_query
        return slice(begin, begin + self.n_tokens)


@dataclass
class FitInputs:
    """What one layer's patch was made from: vectors of the fitted tokens, in the run without the context."""

    z: Float[Tensor, "fitted hidden"] | None = None
    """None without ΔW, as is ``dz``."""
    dz: Float[Tensor, "fitted hidden"] | None = None
    delta: Float[Tensor, "fitted hidden"] | None = None
    """v_C − v. None without a shift."""
    g: Float[Tensor, "fitted _inner"] | None = None
    """None where the down projection does not carry the shift."""


def fit_patch(
    loaded: LoadedModel,
    sites: Sequence[Site],
    fitted: Sequence[FittedTokens],
    recipe: Recipe,
    unshifted: frozenset[int] = frozenset(),
) -> tuple[HeldPatch, tuple[LayerFit, ...]]:
    """The patch at strength 1, whatever the recipe's; layers in ``unshifted`` get no shift.

    Raises:
        BadInput: tokens that no patch can meet, or a rank that it cannot have.
    """
    probe = run_fit(loaded, sites, fitted, recipe, unshifted)
    return HeldPatch(sites, probe.layers), tuple(probe.layer_fit(site) for site in sites)


def run_fit(
    loaded: LoadedModel,
    sites: Sequence[Site],
    fitted: Sequence[FittedTokens],
    recipe: Recipe,
    unshifted: frozenset[int] = frozenset(),
) -> "PatchFitter":
    """The same, with all that was seen on the way."""
    z, v = (
        torch.cat([getattr(part.passage.targets, name)[:, part.among_targets] for part in fitted], dim=1)
        for name in ("z", "v")
    )
    check_rank(recipe.rank, z.shape[1], z.shape[2], recipe.ridge)
    longest = max(len(part.row) for part in fitted)
    ends = [number * longest + len(part.row) for number, part in enumerate(fitted)]
    at = [index for part, end in zip(fitted, ends, strict=True) for index in range(end - part.n_tokens, end)]
    probe = PatchFitter(sites, recipe, z, v, torch.tensor(at), unshifted)
    with attach(sites, probe):
        forward_rows(
            loaded.model,
            [part.row for part in fitted],
            [part.passage.position_ids[: len(part.row)] for part in fitted],
        )
    return probe


@dataclass
class PatchFitter(SiteHook):
    """Makes the patch of the tokens ``at`` while every token passes through it."""

    sites: Sequence[Site]
    recipe: Recipe
    z_context: Float[Tensor, "layers fitted hidden"]
    v_context: Float[Tensor, "layers fitted hidden"]
    at: Int[Tensor, " fitted"]
    """Their indices among all tokens of the run, its rows laid end to end."""
    unshifted: frozenset[int] = frozenset()
    layers: dict[int, LayerPatch] = field(default_factory=dict)
    fits: dict[int, tuple[Fit | None, Fit | None]] = field(default_factory=dict)
    """Of ΔW and of the shift."""
    seen: dict[int, FitInputs] = field(default_factory=dict)
    v: dict[int, Tensor] = field(default_factory=dict)
    g: dict[int, Tensor] = field(default_factory=dict)
    n_rows: int = 0

    def __post_init__(self) -> None:
        self.place = {site.layer: k for k, site in enumerate(self.sites)}
        is_random = self.recipe.control == "random"
        self.noise = torch.Generator().manual_seed(self.recipe.seed) if is_random else None

    def residual(self, layer: int, v: Tensor) -> None:
        self.v[layer] = widen(v[self.at.to(v.device)]).clone()  # the stream that it belongs to will be moved

    def mlp_input(self, layer: int, z: Tensor) -> Tensor | None:
        x, self.n_rows = widen(z), len(z)
        self.seen[layer] = FitInputs()
        if self.recipe.components == "shift":
            self.layers[layer], self.fits[layer] = LayerPatch(), (None, None)
            return None
        present = x[self.at.to(x.device)]
        missing = self._missing(self.z_context, layer, present)
        map_, fit = self._solve(layer, "ΔW", present, missing)
        self.seen[layer] = FitInputs(z=present, dz=missing)
        self.layers[layer], self.fits[layer] = LayerPatch(weights=map_), (fit, None)
        return (x + map_(x)).to(z.dtype)

    def down_input(self, layer: int, g: Tensor) -> None:
        self.g[layer] = widen(g)

    def shift(self, layer: int) -> Tensor | None:
        v, g = self.v.pop(layer), self.g.pop(layer, None)
        if self.recipe.components == "weights" or layer in self.unshifted:
            return None
        weights, fit = self.layers[layer].weights, self.fits[layer][0]
        missing = self._missing(self.v_context, layer, v)
        self.seen[layer].delta = missing
        at = self.at.to(v.device)
        # A g of nothing but dead units carries nothing: then the shift is a constant, as where no g is seen.
        if self.recipe.carrier == "bias" or g is None or not bool(g[at].any(-1).all()):
            bias = missing.mean(0)
            self.layers[layer] = LayerPatch(weights=weights, bias=bias)
            self.fits[layer] = fit, _fit_of_constant(bias, missing)
            return bias.expand(self.n_rows, -1)
        self.seen[layer].g = g[at]
        output, shift_fit = self._solve(layer, "the shift", g[at], missing)
        self.layers[layer] = LayerPatch(weights=weights, output=output)
        self.fits[layer] = fit, shift_fit
        return output(g)

    def layer_fit(self, site: Site) -> LayerFit:
        """How well the layer's patch meets its tokens."""
        fit, shift = self.fits[site.layer]
        weights = self.layers[site.layer].weights
        norm = None if weights is None else _norm(site, weights)
        return LayerFit(
            layer=site.layer,
            error=None if fit is None else finite_or_none(fit.error),
            condition=None if fit is None else finite_or_none(fit.condition),
            rank=None if fit is None else fit.rank,
            shift_error=None if shift is None else finite_or_none(shift.error),
            shift_condition=None if shift is None else finite_or_none(shift.condition),
            shift_rank=None if shift is None else shift.rank,
            patch_norm=None if norm is None else finite_or_none(norm),
            relative_patch_norm=None if norm is None else finite_or_none(norm / weight_norm(site)),
        )

    def _missing(self, context: Tensor, layer: int, present: Tensor) -> Tensor:
        """What the context would add to each of the fitted tokens."""
        target = context[self.place[layer]].to(present.device)
        if target.shape != present.shape:
            raise RuntimeError(f"targets of shape {tuple(target.shape)} for tokens of {tuple(present.shape)}")
        difference = target - present
        return difference if self.noise is None else random_like(difference, self.noise)

    def _solve(self, layer: int, what: str, x: Tensor, missing: Tensor) -> tuple[LowRank, Fit]:
        map_, fit = solve(x, missing, self.recipe.ridge, self.recipe.rank)
        if self.recipe.ridge == 0 and len(x) > 1 and not fit.is_met:
            raise BadInput(
                f"layer {layer}: of {len(x)} tokens to fit {len(x) - fit.rank} depend on the others, so {what} is not "
                "determined: give --ridge, such as 1e-6, or fit fewer tokens"
            )
        acting = map_.to(x)
        return acting, replace(fit, error=_missed(acting(x), missing))


def _fit_of_constant(bias: Tensor, missing: Tensor) -> Fit:
    """One vector for all tokens: exact only where they miss the same."""
    return Fit(error=_missed(bias, missing), condition=1.0, rank=1, is_met=len(missing) == 1)


def _missed(added: Tensor, missing: Tensor) -> float:
    """‖added − missing‖ / ‖missing‖, in the precision in which it acts."""
    scale = float(missing.norm())
    return float((added - missing).norm()) / scale if scale else 0.0


def _norm(site: Site, weights: LowRank) -> float:
    """‖W write read‖, which is ‖W write‖, as the rows of read are orthonormal."""
    images = project(site, weights.write.T)
    return float(sum(float(image.square().sum()) for image in images.values()) ** 0.5)
