"""Patches of several rows at once, each row with its own differences, strength and noise.

Enters: contextual states of the rows' tokens. Leaves: hooks that patch a forward pass over all rows. The maths is that
of :mod:`icltui.engine.patch.patch`; here every row has its own z and δz in ``x + δz (z·x)/‖z‖²``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.capture import States, widen
from icltui.engine.hooks.site import Site, SiteHook
from icltui.engine.patch.patch import TokenPatch, random_like
from icltui.values.recipe import Components

_LATER = 1 << 61
"""Sets the seed of the noise of an answer's tokens apart from that of the query's."""


@dataclass
class RowDifferences:
    """What each row's patch adds at strength 1: the context's differences, or noise of equal norms, row by row."""

    seeds: Sequence[int] | None = None
    """A seed for each row of a random control; None: the differences themselves."""
    n_first: int = 1
    """Targets of each row whose noise does not depend on whether there are more, as query tokens before an answer."""
    noises: list[tuple[torch.Generator, torch.Generator]] = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin the noise anew: each forward pass draws what the pass before drew."""
        self.noises = [(_generator(seed), _generator(seed ^ _LATER)) for seed in self.seeds or ()]

    def __call__(
        self, difference: Float[Tensor, "rows targets hidden"]
    ) -> Float[Tensor, "rows targets hidden"]:
        if self.seeds is None:
            return difference
        n = self.n_first
        rows = [
            torch.cat([random_like(row[:n], first), random_like(row[n:], later)])
            for row, (first, later) in zip(difference, self.noises, strict=True)
        ]
        return torch.stack(rows)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass
class RowTokenPatch(TokenPatch):
    """A patch of its own for every target token of every row; see :class:`TokenPatch`, whose noise it does not use."""

    differences: RowDifferences = field(default_factory=RowDifferences)
    strengths: Tensor | None = None
    """The strength of each row, (rows,)."""
    all_targets: States | None = None
    """The contextual states of every token of the rows that may be aimed at."""

    @property
    def shifts_at_residual(self) -> bool:
        return self.differences.seeds is None

    def _difference(
        self, target: Float[Tensor, "targets hidden"], present: Float[Tensor, "targets hidden"]
    ) -> Float[Tensor, "targets hidden"]:
        assert self.strengths is not None, "give each row its strength"
        strengths = self.strengths.to(present.device, present.dtype)[:, None, None]
        rows = (target - present).view(len(strengths), -1, present.shape[-1])
        return (strengths * self.differences(rows)).view_as(present)


@dataclass(frozen=True)
class RowMap:
    """One map for each row: ``x ↦ write (read·x) / ‖read‖²``; where read = 0 it adds ``write`` or nothing."""

    read: Float[Tensor, "rows width"]
    write: Float[Tensor, "rows hidden"]
    or_constant: bool
    """Whether a row without a vector to read gets its ``write`` as a constant."""

    def __call__(
        self, x: Float[Tensor, "rows tokens width"], strengths: Float[Tensor, " rows"]
    ) -> Float[Tensor, "rows tokens hidden"]:
        square = self.read.square().sum(-1)[:, None]
        share = (x @ self.read[..., None])[..., 0] / square
        share = torch.where(square > 0, share, float(self.or_constant))
        return share[..., None] * (strengths.to(x)[:, None] * self.write)[:, None]


@dataclass
class HeldRows(SiteHook):
    """The patch of one token of each row, held for all tokens of that row: fitted in one pass, and then acting.

    The first pass fits every layer while the patch of the layers below acts at strength 1, as
    :func:`icltui.engine.patch.fit.fit_pass` does; later passes have each row's own strength.
    """

    sites: Sequence[Site]
    components: Components
    n_rows: int
    at: int
    """The fitted token's index in its row."""
    z_context: Float[Tensor, "layers rows hidden"]
    v_context: Float[Tensor, "layers rows hidden"]
    differences: RowDifferences
    strengths: Tensor
    """The strength of each row, (rows,)."""
    weights: dict[int, RowMap] = field(default_factory=dict)
    """ΔW by layer, once it is fitted."""
    shifts: dict[int, RowMap | Tensor] = field(default_factory=dict)
    """The shift by layer: carried by the down projection, or (rows, hidden) constants where there is none."""
    v: dict[int, Tensor] = field(default_factory=dict)
    g: dict[int, Tensor] = field(default_factory=dict)
    n_tokens: int = 0

    def __post_init__(self) -> None:
        self.index = {site.layer: k for k, site in enumerate(self.sites)}

    def residual(self, layer: int, v: Float[Tensor, "tokens hidden"]) -> None:
        if self.components != "weights" and layer not in self.shifts:
            self.v[layer] = widen(self._rows(v)[:, self.at]).clone()  # the shift moves v's stream later

    def mlp_input(
        self, layer: int, z: Float[Tensor, "tokens hidden"]
    ) -> Float[Tensor, "tokens hidden"] | None:
        x = widen(self._rows(z))
        self.n_tokens = x.shape[1]
        if self.components == "shift":
            return None
        if layer not in self.weights:
            present = x[:, self.at].clone()
            self.weights[layer] = RowMap(present, self._missing(self.z_context, layer, present), False)
        return (x + self.weights[layer](x, self.strengths)).view_as(z).to(z.dtype)

    def down_input(self, layer: int, g: Float[Tensor, "tokens inner"]) -> None:
        self.g[layer] = widen(self._rows(g))

    def shift(self, layer: int) -> Float[Tensor, "tokens hidden"] | None:
        g = self.g.pop(layer, None)
        if self.components == "weights":
            return None
        if layer not in self.shifts:
            present = self.v.pop(layer)
            delta = self._missing(self.v_context, layer, present)
            self.shifts[layer] = delta if g is None else RowMap(g[:, self.at].clone(), delta, True)
        held = self.shifts[layer]
        if isinstance(held, RowMap):
            assert g is not None, "a down projection that was read once is read each time"
            return held(g, self.strengths).flatten(0, 1)
        constant = self.strengths.to(held)[:, None] * held
        return constant[:, None].expand(-1, self.n_tokens, -1).flatten(0, 1)

    def _rows(self, tokens: Float[Tensor, "tokens width"]) -> Float[Tensor, "rows row_tokens width"]:
        return tokens.view(self.n_rows, -1, tokens.shape[-1])

    def _missing(
        self, context: Float[Tensor, "layers rows hidden"], layer: int, present: Float[Tensor, "rows hidden"]
    ) -> Float[Tensor, "rows hidden"]:
        target = context[self.index[layer]].to(present.device)
        return self.differences((target - present)[:, None])[:, 0]
