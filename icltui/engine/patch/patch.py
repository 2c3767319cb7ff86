"""The patch: the context's share of a block, instead of the context.

Patching *all* matrices that read z is one map of their common input, ``x ↦ x + δz (z·x)/‖z‖²``, since ``W +
(W δz) zᵀ/‖z‖² = W (I + δz zᵀ/‖z‖²)``; so one hook serves every kind of MLP, touches no parameter and undoes
itself exactly. The skip connection's share δ = v_C − v ([1], theorem B.2) is added after the MLP branch.

Enters: the contextual states of some tokens. Leaves: a patch, to be attached with
:func:`icltui.engine.hooks.attach.attach`.
:class:`TokenPatch` makes a new one for every token, in the run in which it acts; :class:`HeldPatch` is one patch for
every token, made by :mod:`icltui.engine.patch.fit`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import linear

from icltui.engine.hooks.capture import States, widen
from icltui.engine.hooks.site import Site, SiteHook, add_in_place
from icltui.engine.patch.low_rank_map import LowRank, scaled
from icltui.values.recipe import Components, Recipe

Alpha = float | Tensor
"""Strength: what a patch adds is multiplied by it. A tensor where derivatives are wanted."""


def apply_map(
    x: Float[Tensor, "tokens hidden"], z: Float[Tensor, "*rows hidden"], dz: Float[Tensor, "*rows hidden"]
) -> Float[Tensor, "tokens hidden"]:
    """``x + δz (z·x)/‖z‖²``: the input of every matrix that reads x when it is patched by ΔW = (W δz) zᵀ/‖z‖².

    ``z`` and ``δz`` are one vector, or one per row of ``x``. Where z = 0 no ΔW exists and x is left as it is.
    """
    square = (z * z).sum(-1, keepdim=True)
    share = (x * z).sum(-1, keepdim=True) / square
    return x + torch.where(square > 0, share, 0.0) * dz


def random_like(
    difference: Float[Tensor, "*rows hidden"], noise: torch.Generator
) -> Float[Tensor, "*rows hidden"]:
    """Random vectors with the norms of ``vectors``: a control."""
    random = torch.randn(difference.shape, generator=noise).to(difference)
    scale = difference.norm(dim=-1, keepdim=True) / random.norm(dim=-1, keepdim=True)
    scaled: Tensor = random * scale
    return scaled


def control_noise(recipe: Recipe) -> torch.Generator | None:
    """The generator of the control ``random``; None without it."""
    return torch.Generator().manual_seed(recipe.seed) if recipe.control == "random" else None


@dataclass
class TokenPatch(SiteHook):
    """A patch of its own for every token that passes; its targets must be set before each pass.

    With a ``noise`` generator, random vectors with the norms of the differences replace them: a control.
    """

    sites: Sequence[Site]
    components: Components
    alpha: Alpha = 1.0
    noise: torch.Generator | None = None
    targets: States | None = None
    at: slice | Int[Tensor, " targets"] | None = None
    """The tokens of the run that have a target, the others stay unpatched; None: all have one."""
    v: dict[int, Tensor] = field(default_factory=dict)
    layer_alphas: Mapping[int, float] = field(default_factory=dict)
    """The strength of each layer whose own is another than 1."""
    index: dict[int, int] = field(init=False)
    """The index of each layer among the selected ones."""

    def __post_init__(self) -> None:
        self.index = {site.layer: k for k, site in enumerate(self.sites)}

    def aim(self, targets: States, at: slice | Int[Tensor, " targets"] | None = None) -> None:
        """Sets the contextual states of the tokens ``at``, by default of all, of the next forward pass.

        The indices of several rows count from one row's tokens on to the next row's.
        """
        self.targets, self.at = targets, at

    @property
    def shifts_at_residual(self) -> bool:
        """False for a control, whose random directions are drawn for z first."""
        return self.noise is None

    def residual(self, layer: int, v: Float[Tensor, "tokens hidden"]) -> None:
        self.v[layer] = widen(v).clone()  # the shift moves v's stream later

    def mlp_input(
        self, layer: int, z: Float[Tensor, "tokens hidden"]
    ) -> Float[Tensor, "tokens hidden"] | None:
        if self.components == "shift":
            return None
        x = widen(self._targeted(z))
        dz = scaled(self._difference(self._target("z", layer, x), x), self._strength(layer))
        return self._among(z, apply_map(x, x, dz).to(z.dtype))

    def shift(self, layer: int) -> Float[Tensor, "tokens hidden"] | None:
        v = self.v.pop(layer)
        if self.components == "weights":
            return None
        present = self._targeted(v)
        difference = self._difference(self._target("v", layer, present), present)
        delta = scaled(difference, self._strength(layer))
        return delta if self.at is None else self._among(torch.zeros_like(v), delta)

    def _strength(self, layer: int) -> Alpha:
        return self.alpha * self.layer_alphas[layer] if layer in self.layer_alphas else self.alpha

    def _targeted(self, tokens: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "targets hidden"]:
        return tokens if self.at is None else tokens[self.at]

    def _among(
        self, rest: Float[Tensor, "tokens hidden"], ours: Float[Tensor, "targets hidden"]
    ) -> Float[Tensor, "tokens hidden"]:
        """``ours`` at the tokens that have a target, ``rest`` at the others."""
        if self.at is None:
            return ours
        whole = rest.clone()
        whole[self.at] = ours
        return whole

    def _target(
        self, name: str, layer: int, like: Float[Tensor, "targets hidden"]
    ) -> Float[Tensor, "targets hidden"]:
        assert self.targets is not None, "aim the patch before the row passes"
        target: Tensor = getattr(self.targets, name)[self.index[layer]]
        if target.shape != like.shape:
            raise RuntimeError(f"targets of shape {tuple(target.shape)} for tokens of {tuple(like.shape)}")
        return target.to(like.device)

    def _difference(
        self, target: Float[Tensor, "targets hidden"], present: Float[Tensor, "targets hidden"]
    ) -> Float[Tensor, "targets hidden"]:
        difference = target - present
        return difference if self.noise is None else random_like(difference, self.noise)


@dataclass(frozen=True)
class LayerPatch:
    """The patch of one layer; parts that it lacks are None."""

    weights: LowRank | None = None
    """ΔW as the map of the MLP's input, ``x += weights(x)``."""
    output: LowRank | None = None
    """The shift, carried by the down projection: ``stream += output(g)``."""
    bias: Float[Tensor, " hidden"] | None = None
    """The shift as a constant."""

    def times(self, alpha: Alpha) -> "LayerPatch":
        """The layer's patch at strength ``alpha``."""
        return LayerPatch(
            None if self.weights is None else self.weights.times(alpha),
            None if self.output is None else self.output.times(alpha),
            None if self.bias is None else scaled(self.bias, alpha),
        )


class _Acting(dict[int, LayerPatch]):
    """The layers at a patch's strength; each is multiplied once, at its first use."""

    def __init__(self, layers: Mapping[int, LayerPatch], alpha: Alpha) -> None:
        super().__init__()
        self.layers, self.alpha = layers, alpha

    def __missing__(self, layer: int) -> LayerPatch:
        is_off = not isinstance(self.alpha, Tensor) and self.alpha == 0
        self[layer] = LayerPatch() if is_off else self.layers[layer].times(self.alpha)
        return self[layer]


@dataclass
class HeldPatch(SiteHook):
    """One patch, held for every token of every row: context as weights.

    Where the branch ends in a norm (Gemma 2 and 3, OLMo-2) the shift is added after that norm, which no change of the
    down projection alone could do.
    """

    sites: Sequence[Site]
    layers: Mapping[int, LayerPatch]
    alpha: Alpha = 1.0
    g: Tensor | None = None
    """The input of the down projection of the current block."""
    flatten = False

    def __post_init__(self) -> None:
        self.acting = _Acting(self.layers, self.alpha)

    def at(self, alpha: Alpha) -> "HeldPatch":
        """The patch at the strength ``alpha``."""
        return HeldPatch(self.sites, self.layers, alpha)

    def turn(self, alpha: Alpha) -> None:
        """Act at the strength ``alpha`` from the next pass on; at 0 nothing is added."""
        self.alpha, self.acting = alpha, _Acting(self.layers, alpha)

    def mlp_input(
        self, layer: int, z: Float[Tensor, "*tokens hidden"]
    ) -> Float[Tensor, "*tokens hidden"] | None:
        map_ = self.acting[layer].weights
        if map_ is None:
            return None
        if z.dtype == map_.write.dtype:
            return z + linear(linear(z, map_.read), map_.write)
        return (widen(z) + map_(widen(z))).to(z.dtype)

    def down_input(self, layer: int, g: Float[Tensor, "*tokens inner"]) -> None:  # noqa: ARG002
        self.g = g

    def add_shift(self, layer: int, stream: Float[Tensor, "*tokens hidden"]) -> None:
        held, g, self.g = self.acting[layer], self.g, None
        map_ = held.output
        if map_ is None or g is None:
            if held.bias is not None:
                add_in_place(stream, held.bias)
        elif g.dtype == stream.dtype == map_.write.dtype and g.ndim == stream.ndim:
            stream += linear(linear(g, map_.read), map_.write)
        else:
            add_in_place(stream, map_(widen(g)).view_as(stream))
