"""Copies of z, v, g and the blocks' outputs from one forward pass at the selected layers.

Enters: a model's sites, the positions wanted. Leaves: :class:`States`, in float32 (float64 models: float64), so that
differences lose nothing to the model's own precision.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.hooks.site import Hidden, SiteHook


def widen(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The tensor in float32, or in float64 if it is: the precision of differences."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


@dataclass(frozen=True)
class States:
    """Captured vectors of some tokens at some layers, the layers in their selected order."""

    z: Float[Tensor, "layers tokens hidden"]
    v: Float[Tensor, "layers tokens hidden"]
    out: Float[Tensor, "layers tokens hidden"]
    g_norm: Float[Tensor, "layers tokens"]
    """‖g‖, the down projection's input; NaN where there is no single down projection."""
    experts: dict[int, Int[Tensor, "tokens chosen"]]
    """Which experts each token goes to, by layer with experts."""

    def token(self, index: int) -> "States":
        """The states of one token, with a tokens axis of 1."""
        at = slice(index, None if index == -1 else index + 1)
        experts = {layer: chosen[at] for layer, chosen in self.experts.items()}
        return States(self.z[:, at], self.v[:, at], self.out[:, at], self.g_norm[:, at], experts)

    @staticmethod
    def join(parts: "Sequence[States]") -> "States":
        """The tokens of all parts, in order."""
        z, v, out, g_norm = (
            torch.cat([getattr(part, name) for part in parts], dim=1) for name in ("z", "v", "out", "g_norm")
        )
        experts = {layer: torch.cat([part.experts[layer] for part in parts]) for layer in parts[0].experts}
        return States(z, v, out, g_norm, experts)

    def layers(self, at: slice | list[int]) -> "States":
        """The states at some of the layers."""
        return States(self.z[at], self.v[at], self.out[at], self.g_norm[at], self.experts)


@dataclass
class Capture(SiteHook):
    """Keeps one copy of each tensor at the positions ``at`` of one row."""

    at: Tensor | slice
    kept: dict[str, dict[int, Tensor]] = field(default_factory=lambda: defaultdict(dict))
    """Copies by the tensor's name and layer."""
    _placed: dict[torch.device, Tensor] = field(default_factory=dict)

    def residual(self, layer: int, v: Hidden) -> None:
        self._keep("v", layer, self._copy(v))

    def mlp_input(self, layer: int, z: Hidden) -> None:
        self._keep("z", layer, self._copy(z))

    def routing(self, layer: int, experts: Int[Tensor, "tokens chosen"]) -> None:
        self._keep("experts", layer, experts[self._at(experts)])

    def down_input(self, layer: int, g: Float[Tensor, "*tokens inner"]) -> None:
        self._keep("g", layer, widen(g[self._at(g)]).norm(dim=-1))

    def block_output(self, layer: int, out: Hidden) -> None:
        self._keep("output", layer, self._copy(out))

    def states(self) -> States:
        """The captured states, layers ascending; layers on other devices are moved to the first's.

        Raises:
            RuntimeError: a layer lacks z, v or its output, which would make every number after it wrong.
        """
        zs, vs, gs, outs = (self.kept[name] for name in ("z", "v", "g", "output"))
        layers = sorted(outs)
        if not layers or layers != sorted(zs) or layers != sorted(vs):
            raise RuntimeError(
                f"captured z at layers {sorted(zs)}, v at {sorted(vs)}, outputs at {layers}: "
                "each must be seen once at every selected layer"
            )
        device = outs[layers[0]].device
        z, v, out = (torch.stack([of[layer].to(device) for layer in layers]) for of in (zs, vs, outs))
        missing = z.new_full(z.shape[1:2], torch.nan)
        g = torch.stack([gs.get(layer, missing).to(device) for layer in layers])
        experts = {layer: chosen.to(device) for layer, chosen in self.kept["experts"].items()}
        return States(z, v, out, g, experts)

    def _copy(self, tensor: Tensor) -> Tensor:
        """A copy, since a slice would change with the stream that a patch moves."""
        kept = widen(tensor[self._at(tensor)])
        return kept.clone() if isinstance(self.at, slice) else kept

    def _at(self, tensor: Tensor) -> Tensor | slice:
        """The positions on the tensor's device, copied there once: each copy would wait for the device."""
        if isinstance(self.at, slice):
            return self.at
        if tensor.device not in self._placed:
            self._placed[tensor.device] = self.at.to(tensor.device)
        return self._placed[tensor.device]

    def _keep(self, what: str, layer: int, tensor: Tensor) -> None:
        if layer in self.kept[what]:
            raise RuntimeError(f"{what} passed twice at layer {layer} in one run: it must pass once")
        self.kept[what][layer] = tensor


@dataclass
class ProjectionCapture(Capture):
    """A capture that keeps W z of each matrix too, where the model itself computes it precisely enough."""

    projections: dict[int, dict[str, Tensor]] = field(default_factory=lambda: defaultdict(dict))
    """W z by layer and matrix."""

    def projection_output(self, layer: int, name: str, p: Float[Tensor, "*tokens inner"]) -> None:
        if p.dtype in (torch.float32, torch.float64):
            self._keep(f"W z of {name}", layer, self._copy(p))
            self.projections[layer][name] = self.kept[f"W z of {name}"][layer]
