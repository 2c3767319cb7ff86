"""The residual stream at the input of each selected block: read in one run, handed to the blocks of another.

Under the reference *local* every block is handed the contextual run's stream, so that a missing unit is missing from
that layer's attention alone; a rounding error is measured at each layer by itself in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.site import Site, SiteHook
from icltui.engine.measure.forward_pass import forward
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput

Streams = dict[int, Float[Tensor, "_tokens hidden"]]
"""The residual stream that enters each block, by layer."""


@dataclass
class BlockInputs(SiteHook):
    """Remembers the residual stream that enters each selected block."""

    seen: Streams = field(default_factory=dict)

    def block_input(self, layer: int, r: Float[Tensor, "tokens hidden"]) -> None:
        self.seen[layer] = r.clone()

    def in_float32(self) -> Streams:
        """The streams in float32."""
        return {layer: r.float() for layer, r in self.seen.items()}


@dataclass
class GivenBlockInputs(SiteHook):
    """Hands each selected block the tokens ``at`` of the contextual stream."""

    inputs: Streams
    at: Int[Tensor, " _tokens"]

    def block_input(
        self,
        layer: int,
        r: Float[Tensor, "tokens hidden"],  # noqa: ARG002
    ) -> Float[Tensor, "tokens hidden"]:
        given = self.inputs[layer]
        if self.at.device != given.device:
            self.at = self.at.to(given.device)
        return given[self.at]


def contextual_inputs(loaded: LoadedModel, sites: Sequence[Site], ids: Ids) -> Streams:
    """The streams of the whole prompt, run once.

    Raises:
        BadInput: the model has several parallel streams.
    """
    inputs = BlockInputs()
    with attach(sites, inputs):
        forward(loaded.model, ids.full)
    return one_for_each_token(inputs.seen, len(ids.full))


def one_for_each_token(streams: Streams, n_tokens: int) -> Streams:
    """The streams, one row for each token.

    Raises:
        BadInput: the model has several parallel streams.
    """
    if any(len(stream) != n_tokens for stream in streams.values()):
        raise BadInput("this model has several residual streams: use --reference free")
    return streams
