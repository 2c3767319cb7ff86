"""The patch: the context's share of a block, put in the context's place.

Patching *all* matrices that read z is one map of their common input, ``x ↦ x + δz (z·x)/‖z‖²``, since ``W +
(W δz) zᵀ/‖z‖² = W (I + δz zᵀ/‖z‖²)``; so one hook serves every kind of MLP, touches no parameter and undoes
itself exactly. The skip connection's share δ = v_C − v ([1], theorem B.2) is added behind the MLP branch.

Enters: the contextual states of some tokens. Leaves: a patch, to be attached with :func:`icltui.engine.site.attach`.
:class:`TokenPatch` makes a new one for every token, in the very run it acts in; :class:`HeldPatch` is one patch for
every token, made by :mod:`icltui.engine.derive`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.capture import States, widen
from icltui.engine.lowrank import LowRank
from icltui.engine.site import Probe, Site
from icltui.recipe import Components

Alpha = float | Tensor
"""Strength: what a patch adds is multiplied by it. A tensor where derivatives are wanted."""


def apply_map(
    x: Float[Tensor, "tokens hidden"], z: Float[Tensor, "*rows hidden"], dz: Float[Tensor, "*rows hidden"]
) -> Float[Tensor, "tokens hidden"]:
    """``x + δz (z·x)/‖z‖²``: what every matrix that reads x sees when it is patched by ΔW = (W δz) zᵀ/‖z‖².

    ``z`` and ``δz`` are one vector, or one per row of ``x``. Where z = 0 no ΔW exists and x is left as it is.
    """
    square = (z * z).sum(-1, keepdim=True)
    share = (x * z).sum(-1, keepdim=True) / square
    return x + torch.where(square > 0, share, 0.0) * dz


def random_like(difference: Tensor, noise: torch.Generator) -> Tensor:
    """Random vectors of the same norms: a control."""
    random = torch.randn(difference.shape, generator=noise).to(difference)
    scale = difference.norm(dim=-1, keepdim=True) / random.norm(dim=-1, keepdim=True)
    scaled: Tensor = random * scale
    return scaled


@dataclass
class TokenPatch(Probe):
    """A patch of its own for every token that passes; its targets must be told before each row.

    With a ``noise`` generator the differences are replaced by random vectors of the same norms: a control.
    """

    sites: Sequence[Site]
    components: Components
    alpha: Alpha = 1.0
    noise: torch.Generator | None = None
    targets: States | None = None
    n_kept: int = 0
    """Tokens at the row's start that have no target and stay unpatched: the kept prefix."""
    v: dict[int, Tensor] = field(default_factory=dict)
    place: dict[int, int] = field(init=False)
    """Layer → its place among the selected ones."""

    def __post_init__(self) -> None:
        self.place = {site.layer: k for k, site in enumerate(self.sites)}

    def aim(self, targets: States, n_kept: int = 0) -> None:
        """The contextual states of the tokens that the next row ends in, after ``n_kept`` unpatched ones."""
        self.targets, self.n_kept = targets, n_kept

    def residual(self, layer: int, v: Tensor) -> None:
        self.v[layer] = widen(v).clone()  # the stream that it belongs to will be moved

    def mlp_input(self, layer: int, z: Tensor) -> Tensor | None:
        if self.components == "shift":
            return None
        x = widen(z[self.n_kept :])
        dz = self.alpha * self._difference(self._target("z", layer, x), x)
        patched = apply_map(x, x, dz).to(z.dtype)
        return torch.cat([z[: self.n_kept], patched])

    def shift(self, layer: int) -> Tensor | None:
        v = self.v.pop(layer)
        if self.components == "weights":
            return None
        v, kept = v[self.n_kept :], v[: self.n_kept]
        delta = self.alpha * self._difference(self._target("v", layer, v), v)
        return torch.cat([torch.zeros_like(kept), delta])

    def _target(self, name: str, layer: int, like: Tensor) -> Tensor:
        assert self.targets is not None, "aim the patch before the row passes"
        target: Tensor = getattr(self.targets, name)[self.place[layer]]
        if target.shape != like.shape:
            raise RuntimeError(f"targets of shape {tuple(target.shape)} for tokens of {tuple(like.shape)}")
        return target.to(like.device)

    def _difference(self, target: Tensor, present: Tensor) -> Tensor:
        difference = target - present
        return difference if self.noise is None else random_like(difference, self.noise)


@dataclass(frozen=True)
class LayerPatch:
    """What is held at one layer."""

    weights: LowRank | None = None
    """ΔW as the map of the MLP's input, ``x += weights(x)``."""
    output: LowRank | None = None
    """The shift, carried by the down projection: ``stream += output(g)``."""
    bias: Float[Tensor, " hidden"] | None = None
    """The shift as a constant."""


@dataclass
class HeldPatch(Probe):
    """One patch, held for every token of every row: context as weights.

    Where the branch ends in a norm (Gemma 2 and 3, OLMo-2) the shift is added behind that norm, which no change of the
    down projection alone would do.
    """

    sites: Sequence[Site]
    layers: Mapping[int, LayerPatch]
    alpha: Alpha = 1.0
    shares: dict[int, Tensor] = field(default_factory=dict)
    """At layers whose MLP runs: the shift that the down projection gives its tokens."""
    n_rows: int = 0

    def at(self, alpha: Alpha) -> "HeldPatch":
        """The same patch at another strength."""
        return replace(self, alpha=alpha, shares={})

    def only(self, components: Components) -> "HeldPatch":
        """The same patch with one of its components, or both, acting."""
        kept = {
            layer: LayerPatch(
                held.weights if components != "shift" else None,
                held.output if components != "weights" else None,
                held.bias if components != "weights" else None,
            )
            for layer, held in self.layers.items()
        }
        return replace(self, layers=kept, shares={})

    def mlp_input(self, layer: int, z: Tensor) -> Tensor | None:
        held, self.n_rows = self.layers[layer].weights, len(z)
        if held is None:
            return None
        x = widen(z)
        return (x + self.alpha * held(x)).to(z.dtype)

    def down_input(self, layer: int, g: Tensor) -> None:
        held = self.layers[layer].output
        if held is not None:
            self.shares[layer] = self.alpha * held(widen(g))

    def shift(self, layer: int) -> Tensor | None:
        share, bias = self.shares.pop(layer, None), self.layers[layer].bias
        return share if bias is None else (self.alpha * bias).expand(self.n_rows, -1)
