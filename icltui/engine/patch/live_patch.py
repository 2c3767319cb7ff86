"""A held patch in a model that somebody else runs: in batches, threads, mixed precision, with gradients.

Enters: a :class:`~icltui.engine.patch.patch.HeldPatch`. Leaves: a patch that adds the same, whose strength may be
changed while it acts.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import local
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.site import Site
from icltui.engine.patch.patch import Alpha, HeldPatch, LayerPatch


class LivePatch(HeldPatch):
    """The patch of ``layers`` at the strength ``alpha``, for passes that are not the engine's own."""

    has_threads: ClassVar[bool] = True

    def __init__(self, sites: Sequence[Site], layers: Mapping[int, LayerPatch], alpha: Alpha = 1.0) -> None:
        self._of_thread = local()
        super().__init__(sites, layers, alpha)
        self.turn(alpha)

    def turn(self, alpha: Alpha) -> None:
        super().turn(alpha)
        for (
            layer
        ) in self.layers:  # all at once: code of torch.compile takes two empty dictionaries for the same
            self.acting[layer]

    @property
    def g(self) -> Tensor | None:  # each thread has its own
        return getattr(self._of_thread, "g", None)

    @g.setter
    def g(self, value: Tensor | None) -> None:
        self._of_thread.g = value

    def mlp_input(
        self, layer: int, z: Float[Tensor, "*tokens hidden"]
    ) -> Float[Tensor, "*tokens hidden"] | None:
        with _in_full(z):
            return super().mlp_input(layer, z)

    def add_shift(self, layer: int, stream: Float[Tensor, "*tokens hidden"]) -> None:
        with _in_full(stream):
            super().add_shift(layer, stream)


def _in_full(like: Float[Tensor, "*tokens hidden"]) -> AbstractContextManager[object]:
    """Without the autocast that is on, which would round what the patch adds."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
