"""See z, v and the block outputs of one forward pass at the selected layers, and nothing else.

Enters: a model, ids, the positions wanted. Leaves: :class:`States`, in float32 (float64 models: float64), so
that differences lose nothing to the model's own precision.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.site import Probe, Site, attach


def widen(tensor: Tensor) -> Tensor:
    """At least float32: what differences are taken in."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


@dataclass(frozen=True)
class States:
    """Captured vectors of some tokens at some layers (axis order: the layers as selected)."""

    z: Float[Tensor, "layers tokens hidden"]
    v: Float[Tensor, "layers tokens hidden"]
    out: Float[Tensor, "layers tokens hidden"]

    def token(self, index: int) -> "States":
        """The states of one token, its axis kept."""
        at = slice(index, None if index == -1 else index + 1)
        return States(self.z[:, at], self.v[:, at], self.out[:, at])


@dataclass
class Capture(Probe):
    """Keeps z, v and block outputs at the positions ``at`` of each row that passes."""

    at: Tensor | slice
    zs: dict[int, Tensor] = field(default_factory=dict)
    vs: dict[int, Tensor] = field(default_factory=dict)
    outs: dict[int, Tensor] = field(default_factory=dict)

    def residual(self, layer: int, v: Tensor) -> None:
        self.vs[layer] = widen(v[self.at])

    def mlp_input(self, layer: int, z: Tensor) -> None:
        self.zs[layer] = widen(z[self.at])

    def block_output(self, layer: int, out: Tensor) -> None:
        self.outs[layer] = widen(out[self.at])

    def states(self) -> States:
        """What the last row left, layers ascending; layers on other devices are brought to the first's.

        Raises:
            RuntimeError: a site was not passed, which would make every number after it wrong.
        """
        layers = sorted(self.outs)
        if not layers or layers != sorted(self.zs) or layers != sorted(self.vs):
            raise RuntimeError(
                f"captured z at layers {sorted(self.zs)}, v at {sorted(self.vs)}, outputs at {layers}: "
                "each must be seen once at every selected layer"
            )
        device = self.outs[layers[0]].device
        z, v, out = (
            torch.stack([kept[layer].to(device) for layer in layers])
            for kept in (self.zs, self.vs, self.outs)
        )
        return States(z, v, out)


@contextmanager
def capturing(sites: Sequence[Site], at: Tensor | slice) -> Iterator[Capture]:
    """A :class:`Capture` that stands at ``sites`` inside the block."""
    capture = Capture(at)
    with attach(sites, capture):
        yield capture
