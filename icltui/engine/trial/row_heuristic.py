"""A heuristic in the theorem's place: the direction of the mean unembedding, and activations before the norm.

A published GPT-2 demonstration steers by ``ΔW ∝ (W_down m̄) v̂ᵀ``: its direction is the down projection's image of the
mean row m̄ of the unembedding, in the space of the MLP's inner units, and it reads v, the residual stream before the
norm, where the theorem reads z after it. It gives no scale; here it has the theorem's, for the same matrix W::

    ΔW = û v̂ᵀ ‖W δz‖ / ‖z‖        u = W_downᵀ m̄,  û = u / ‖u‖,  v̂ = v / ‖v‖

with strengths of either sign, from −2 to 2. In GPT-2 W is ``c_fc``. A gated MLP has two such matrices; the heuristic is
translated to the one whose output enters g linearly, ``up_proj``, since u lives in the space of g.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from accelerate.utils import align_module_device
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.site import InputProjection, Site, hidden_input
from icltui.engine.measure.rank_one import project
from icltui.values.errors import BadInput


@dataclass
class HeuristicRows:
    """The heuristic's ΔW of each row at each of some layers, added to the output of its matrix for all tokens."""

    model: Any
    sites: Sequence[Site]
    v: Sequence[Float[Tensor, "rows hidden"]]
    """v without the context, at the query's last token, of each site; likewise z, and z with the context."""
    z: Sequence[Float[Tensor, "rows hidden"]]
    z_context: Sequence[Float[Tensor, "rows hidden"]]
    strengths: Tensor
    """The strength of each row, (rows,)."""
    directions: list[Tensor] = field(init=False)
    """û times the patch's norm, (rows, inner), of each site."""
    up: list[InputProjection] = field(init=False)

    def __post_init__(self) -> None:
        self.up = [up_projection(site) for site in self.sites]
        mean = mean_unembedding(self.model)
        self.directions = []
        for site, up, z, z_context in zip(self.sites, self.up, self.z, self.z_context, strict=True):
            direction = inner_direction(site, mean.to(z))
            image = project(site, z_context - z)[up.name][:, -len(direction) :]
            norms = image.norm(dim=-1) / z.norm(dim=-1)
            self.directions.append(norms[:, None] * direction / direction.norm())

    @contextmanager
    def acting(self) -> Iterator[None]:
        """A block in which the patch acts."""
        handles = [
            up.module.register_forward_hook(_adding(v, direction, self.strengths))
            for up, v, direction in zip(self.up, self.v, self.directions, strict=True)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _adding(v: Tensor, direction: Tensor, strengths: Tensor) -> Any:
    def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        z = widen(hidden_input(args, {}))
        z = z.view(len(v), -1, z.shape[-1])
        share = (z @ v[..., None]) / v.norm(dim=-1)[:, None, None]
        added = share * (strengths.to(direction)[:, None] * direction)[:, None]
        new = widen(output).clone().view(len(v), -1, output.shape[-1])
        new[..., -added.shape[-1] :] += added
        return new.view_as(output).to(output.dtype)

    return hook


def mean_unembedding(model: Any) -> Float[Tensor, " hidden"]:
    """The mean row of the matrix that makes logits of hidden states."""
    head = model.get_output_embeddings()
    module = model.get_input_embeddings() if head is None else head
    with align_module_device(module):
        return widen(module.weight.detach()).mean(0)


def inner_direction(site: Site, mean: Float[Tensor, " hidden"]) -> Float[Tensor, " inner"]:
    """u = W_downᵀ m̄: how much each inner unit adds to the mean logit.

    Raises:
        BadInput: the layer has no down projection of its own.
    """
    down = site.down_proj
    if not isinstance(down, nn.Linear | Conv1D):
        raise BadInput(f"layer {site.layer} has no single down projection, which the heuristic needs")
    with align_module_device(down):
        weight = widen(down.weight.detach()).to(mean)
        return weight @ mean if isinstance(down, Conv1D) else mean @ weight


def up_projection(site: Site) -> InputProjection:
    """The matrix that the heuristic changes: the only one, else the one named *up*; of a fused one its last half.

    Raises:
        BadInput: there is none.
    """
    plain = [one for one in site.input_projections if isinstance(one.module, nn.Linear | Conv1D)]
    named = [one for one in plain if "up" in one.name]
    found = plain if len(plain) == 1 else named
    if len(found) != 1 or any(one.experts is not None for one in site.input_projections):
        raise BadInput(f"layer {site.layer} has no single up projection, which the heuristic needs")
    return found[0]


def has_heuristic(site: Site) -> bool:
    """Whether the layer has the two matrices that the heuristic needs."""
    try:
        up_projection(site)
    except BadInput:
        return False
    return isinstance(site.down_proj, nn.Linear | Conv1D)
