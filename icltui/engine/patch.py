"""The patch: the context's share of a block, put in the context's place.

Patching *all* matrices that read z is one map of their common input, ``x ↦ x + δz (z·x)/‖z‖²``, since ``W +
(W δz) zᵀ/‖z‖² = W (I + δz zᵀ/‖z‖²)``; so one hook serves every kind of MLP, touches no parameter and undoes
itself exactly. The skip connection's share δ = v_C − v ([1], theorem B.2) is added behind the MLP branch.

Enters: the contextual states of the tokens to come. Leaves: a :class:`Patch`, to be attached with
:func:`icltui.engine.site.attach`. It derives itself in the run it acts in, layer by layer: δz and δ are taken
against the patched-so-far z and v. :class:`TokenPatch` makes a new patch for every token; :class:`HeldPatch`
derives that of one row's last token and holds it for every other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.capture import States, widen
from icltui.engine.site import Probe, Site
from icltui.record import Components


def apply_map(
    x: Float[Tensor, "tokens hidden"], z: Float[Tensor, "*rows hidden"], dz: Float[Tensor, "*rows hidden"]
) -> Float[Tensor, "tokens hidden"]:
    """``x + δz (z·x)/‖z‖²``: what every matrix that reads x sees when it is patched by ΔW = (W δz) zᵀ/‖z‖².

    ``z`` and ``δz`` are one vector, or one per row of ``x``. Where z = 0 no ΔW exists and x is left as it is.
    """
    square = (z * z).sum(-1, keepdim=True)
    share = (x * z).sum(-1, keepdim=True) / square
    return x + torch.where(square > 0, share, 0.0) * dz


@dataclass
class Patch(Probe):
    """What both kinds share: which layers' targets, which components."""

    sites: Sequence[Site]
    components: Components
    rank_of: dict[int, int] = field(init=False)
    """Layer → its place among the selected ones."""

    def __post_init__(self) -> None:
        self.rank_of = {site.layer: k for k, site in enumerate(self.sites)}

    @property
    def maps(self) -> bool:
        """Whether ΔW acts."""
        return self.components != "shift"

    @property
    def shifts(self) -> bool:
        """Whether Δb acts."""
        return self.components != "weights"


@dataclass
class TokenPatch(Patch):
    """A patch of its own for every token that passes; its targets must be told before each row.

    With a ``noise`` generator the differences are replaced by random vectors of the same norms: a control.
    """

    noise: torch.Generator | None = None
    targets: States | None = None
    n_kept: int = 0
    """Tokens at the row's start that have no target and stay unpatched: the kept prefix."""
    v: dict[int, Tensor] = field(default_factory=dict)

    def aim(self, targets: States, n_kept: int = 0) -> None:
        """The contextual states of the tokens that the next row ends in, after ``n_kept`` unpatched ones."""
        self.targets, self.n_kept = targets, n_kept

    def residual(self, layer: int, v: Tensor) -> None:
        self.v[layer] = widen(v).clone()  # the stream that it belongs to will be moved

    def mlp_input(self, layer: int, z: Tensor) -> Tensor | None:
        if not self.maps:
            return None
        x = widen(z[self.n_kept :])
        dz = self._difference(self._target("z", layer, x), x)
        patched = apply_map(x, x, dz).to(z.dtype)
        return torch.cat([z[: self.n_kept], patched])

    def shift(self, layer: int) -> Tensor | None:
        v = self.v.pop(layer)
        if not self.shifts:
            return None
        v, kept = v[self.n_kept :], v[: self.n_kept]
        return torch.cat([torch.zeros_like(kept), self._difference(self._target("v", layer, v), v)])

    def _target(self, name: str, layer: int, like: Tensor) -> Tensor:
        assert self.targets is not None, "aim the patch before the row passes"
        target: Tensor = getattr(self.targets, name)[self.rank_of[layer]]
        if target.shape != like.shape:
            raise RuntimeError(f"targets of shape {tuple(target.shape)} for tokens of {tuple(like.shape)}")
        return target.to(like.device)

    def _difference(self, target: Tensor, present: Tensor) -> Tensor:
        difference = target - present
        if self.noise is None:
            return difference
        random = torch.randn(difference.shape, generator=self.noise).to(difference)
        scale = difference.norm(dim=-1, keepdim=True) / random.norm(dim=-1, keepdim=True)
        scaled: Tensor = random * scale
        return scaled


@dataclass
class Factors:
    """One layer's held patch; each is (hidden,), g is (inner width of the down projection,)."""

    z: Tensor
    dz: Tensor
    g: Tensor | None = None
    shift: Tensor | None = None


@dataclass
class HeldPatch(Patch):
    """The patch of the first row's last token, held for every token of every row: context as weights.

    The shift is carried by the down projection, ``out += δ (g·g_C)/‖g_C‖²``, where there is one, else as a
    constant; both equal δ at the token that the patch was made for, and nowhere else. Where the branch ends in a
    norm (Gemma 2 and 3, OLMo-2) the shift is added behind that norm, which no change of the down projection alone
    would do. ``targets`` hold that token's contextual states.
    """

    targets: States
    factors: dict[int, Factors] = field(default_factory=dict)
    v: dict[int, Tensor] = field(default_factory=dict)
    share: dict[int, Tensor] = field(default_factory=dict)
    n_rows: int = 0
    """Tokens of the row that passes."""

    def residual(self, layer: int, v: Tensor) -> None:
        self.v[layer], self.n_rows = widen(v[-1]).clone(), len(v)

    def mlp_input(self, layer: int, z: Tensor) -> Tensor | None:
        x = widen(z)
        if layer not in self.factors:
            target = self.targets.z[self.rank_of[layer], -1].to(x.device)
            self.factors[layer] = Factors(z=x[-1].clone(), dz=target - x[-1])
        held = self.factors[layer]
        return apply_map(x, held.z, held.dz).to(z.dtype) if self.maps else None

    def down_input(self, layer: int, g: Tensor) -> None:
        g = widen(g)
        held = self.factors[layer]
        if held.g is None:
            held.g = g[-1].clone()
        square = held.g.square().sum()
        # A g of nothing but dead units carries nothing: then the shift is a constant, as where no g is seen.
        self.share[layer] = torch.where(square > 0, g @ held.g / square, 1.0)[:, None]

    def shift(self, layer: int) -> Tensor | None:
        held = self.factors[layer]
        v = self.v.pop(layer)
        if held.shift is None:
            held.shift = self.targets.v[self.rank_of[layer], -1].to(v.device) - v
        share = self.share.pop(layer, None)
        if not self.shifts:
            return None
        return held.shift.expand(self.n_rows, -1) if share is None else share * held.shift
