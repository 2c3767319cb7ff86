"""Fits a held patch layer by layer while its tokens pass through it.

Enters: the contextual states of the fitted tokens, which are among those of a pass. Leaves: a
:class:`FittedLayer` of each site. At each site the patched-so-far Z and V of the k fitted tokens are seen; ΔW is solved
for Z_C − Z, the shift for V_C − V through the down projection's inputs G. In the rows of :class:`LeftOutRow` the patch
acts as it is made without the row's own passage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.site import Site, SiteHook
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.measure.rank_one import project, weight_norm
from icltui.engine.metric.metric import LayerMetric, Metric
from icltui.engine.patch.left_out_map import leave_out
from icltui.engine.patch.low_rank_map import Fit, LowRank, solve
from icltui.engine.patch.patch import LayerPatch, control_noise, random_like
from icltui.values import LayerFit
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe


@dataclass
class FittedLayer:
    """One layer's patch, how well it fits, and the vectors of the fitted tokens in the pass without the context."""

    patch: LayerPatch = field(default_factory=LayerPatch)
    fit: Fit | None = None
    """The fit of ΔW; None without it, as are ``z`` and ``dz``."""
    shift_fit: Fit | None = None
    """The fit of the shift; None without it, as is ``delta``."""
    z: Float[Tensor, "fitted hidden"] | None = None
    dz: Float[Tensor, "fitted hidden"] | None = None
    delta: Float[Tensor, "fitted hidden"] | None = None
    """v_C − v."""
    g: Float[Tensor, "fitted _inner"] | None = None
    """None where the down projection does not carry the shift."""

    def record(self, site: Site) -> LayerFit:
        """The error of the layer's patch on its tokens, as a session keeps it."""
        fit, shift, weights = self.fit, self.shift_fit, self.patch.weights
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


@dataclass(frozen=True)
class LeftOutRow:
    """A row of the pass on which the patch acts that is made without the row's own passage."""

    passage: int
    """The passage's number."""
    strength: float
    at: slice
    """The row's tokens among all tokens of the pass."""


@dataclass
class PatchFitter(SiteHook):
    """Fits the patch of the tokens ``at`` while every token passes through it."""

    sites: Sequence[Site]
    recipe: Recipe
    z_context: Float[Tensor, "layers fitted hidden"]
    v_context: Float[Tensor, "layers fitted hidden"]
    at: Int[Tensor, " fitted"]
    """Indices among all tokens of the pass, its rows laid end to end."""
    unshifted: frozenset[int] = frozenset()
    metrics: Mapping[int, LayerMetric] = field(default_factory=dict)
    groups: Int[Tensor, " fitted"] | None = None
    """The passage that each fitted token is of."""
    weights: Float[Tensor, " fitted"] | None = None
    """The weight of each fitted token's squared miss; None: 1."""
    left_rows: Sequence[LeftOutRow] = ()
    layers: dict[int, FittedLayer] = field(default_factory=dict)
    v: dict[int, Tensor] = field(default_factory=dict)
    g: dict[int, Tensor] = field(default_factory=dict)
    n_rows: int = 0

    def __post_init__(self) -> None:
        self.index = {site.layer: k for k, site in enumerate(self.sites)}
        self.noise = control_noise(self.recipe)

    def residual(self, layer: int, v: Float[Tensor, "tokens hidden"]) -> None:
        self.v[layer] = widen(v[self.at.to(v.device)]).clone()  # the shift moves v's stream later

    def mlp_input(
        self, layer: int, z: Float[Tensor, "tokens hidden"]
    ) -> Float[Tensor, "tokens hidden"] | None:
        x, self.n_rows = widen(z), len(z)
        made = self.layers[layer] = FittedLayer()
        if self.recipe.components == "shift":
            return None
        made.z = x[self.at.to(x.device)]
        made.dz = self._missing(self.z_context, layer, made.z)
        map_, made.fit = self._solve(layer, "ΔW", made.z, made.dz, self._metric(layer).z)
        made.patch = LayerPatch(weights=map_)
        return (x + self._added(map_, x, made.z, made.dz, self._metric(layer).z)).to(z.dtype)

    def down_input(self, layer: int, g: Float[Tensor, "tokens inner"]) -> None:
        self.g[layer] = widen(g)

    def shift(self, layer: int) -> Float[Tensor, "tokens hidden"] | None:
        v, g = self.v.pop(layer), self.g.pop(layer, None)
        if self.recipe.components == "weights" or layer in self.unshifted:
            return None
        made = self.layers[layer]
        made.delta = self._missing(self.v_context, layer, v)
        at = self.at.to(v.device)
        # If all units of g are dead, it carries nothing: then the shift is a constant, as without any g.
        if self.recipe.carrier == "bias" or g is None or not bool(g[at].any(-1).all()):
            bias = made.delta.mean(0)
            made.patch, made.shift_fit = replace(made.patch, bias=bias), _fit_of_constant(bias, made.delta)
            return self._constant(bias, made.delta)
        made.g = g[at]
        output, made.shift_fit = self._solve(layer, "the shift", made.g, made.delta, self._metric(layer).g)
        made.patch = replace(made.patch, output=output)
        return self._added(output, g, made.g, made.delta, self._metric(layer).g)

    def _added(
        self,
        map_: LowRank,
        x: Float[Tensor, "tokens width"],
        fitted: Float[Tensor, "fitted width"],
        missing: Float[Tensor, "fitted hidden"],
        metric: Metric | None,
    ) -> Float[Tensor, "tokens hidden"]:
        """What the map adds to each token; in a left-out row, what the map made without its passage adds."""
        added = map_(x)
        if self.left_rows:
            assert self.groups is not None
            maps = leave_out(*self._weighed(fitted, missing), self.groups, self.recipe.ridge, metric)
            images = None if self.recipe.rank is None else torch.linalg.qr(map_.write.to(maps.images))[0]
            for row in self.left_rows:
                exact = maps.without(row.passage)(x[row.at].to(maps.read))
                if images is not None:  # one span of images serves all, instead of a cut of each
                    exact = exact @ images @ images.T
                added[row.at] = row.strength * exact.to(added)
        return added

    def _weighed(
        self, x: Float[Tensor, "fitted width"], missing: Float[Tensor, "fitted hidden"]
    ) -> tuple[Float[Tensor, "fitted width"], Float[Tensor, "fitted hidden"]]:
        """Vectors and images, whose squared misses then count by the tokens' weights."""
        if self.weights is None:
            return x, missing
        root = self.weights.sqrt().to(x)[:, None]
        return root * x, root * missing

    def _constant(
        self, bias: Float[Tensor, " hidden"], missing: Float[Tensor, "fitted hidden"]
    ) -> Float[Tensor, "tokens hidden"]:
        """The constant shift of each token; in a left-out row, the mean without its passage."""
        added = bias.expand(self.n_rows, -1)
        if self.left_rows:
            assert self.groups is not None
            added, groups = added.clone(), self.groups.to(missing.device)
            for row in self.left_rows:
                added[row.at] = row.strength * missing[groups != row.passage].mean(0)
        return added

    def _metric(self, layer: int) -> LayerMetric:
        return self.metrics.get(layer, LayerMetric())

    def _missing(
        self, context: Float[Tensor, "layers fitted hidden"], layer: int, present: Float[Tensor, "_ hidden"]
    ) -> Float[Tensor, "fitted hidden"]:
        """The context's addition to each of the fitted tokens."""
        target = context[self.index[layer]].to(present.device)
        if target.shape != present.shape:
            raise RuntimeError(f"targets of shape {tuple(target.shape)} for tokens of {tuple(present.shape)}")
        difference = target - present
        return difference if self.noise is None else random_like(difference, self.noise)

    def _solve(
        self,
        layer: int,
        what: str,
        x: Float[Tensor, "fitted width"],
        missing: Float[Tensor, "fitted hidden"],
        metric: Metric | None,
    ) -> tuple[LowRank, Fit]:
        map_, fit = solve(*self._weighed(x, missing), self.recipe.ridge, self.recipe.rank, metric)
        if self.recipe.ridge == 0 and len(x) > 1 and not fit.is_met:
            raise BadInput(
                f"layer {layer}: of {len(x)} tokens to fit {len(x) - fit.rank} depend on the others, so {what} is not "
                "determined: give --ridge, such as 1e-6, or fit fewer tokens"
            )
        acting = map_.to(x)
        return acting, replace(fit, error=_missed(acting(x), missing))


def _fit_of_constant(bias: Float[Tensor, " hidden"], missing: Float[Tensor, "fitted hidden"]) -> Fit:
    """The fit of one vector for all tokens: exact only where all tokens miss one vector."""
    return Fit(error=_missed(bias, missing), condition=1.0, rank=1, is_met=len(missing) == 1)


def _missed(added: Float[Tensor, "*fitted hidden"], missing: Float[Tensor, "_ hidden"]) -> float:
    """‖added − missing‖ / ‖missing‖, in the precision in which the patch acts."""
    scale = float(missing.norm())
    return float((added - missing).norm()) / scale if scale else 0.0


def _norm(site: Site, weights: LowRank) -> float:
    """‖W write read‖, which is ‖W write‖, as the rows of read are orthonormal."""
    images = project(site, weights.write.T)
    return float(sum(float(image.square().sum()) for image in images.values()) ** 0.5)
