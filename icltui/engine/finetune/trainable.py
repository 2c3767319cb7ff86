"""Copies of the matrices that read z, which are trained in the model's place of the originals.

Enters: sites. Leaves: inside the ``with`` block the model computes with the copies; afterwards, whatever happened, each
module has its own parameter again, which nothing has written to.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from icltui.engine.hooks.site import InputProjection, Site
from icltui.values.errors import BadInput


@dataclass(frozen=True)
class TrainedMatrix:
    """A matrix and the copy that is trained."""

    projection: InputProjection
    original: Float[nn.Parameter, "_rows _columns"]
    copy: Float[nn.Parameter, "_rows _columns"]

    def change(self, z: Float[Tensor, " hidden"]) -> Float[Tensor, " _inner"]:
        """ΔW z."""
        difference = self.copy.detach() - self.original.detach()
        return z @ difference if self.projection.transposed else difference @ z


@contextmanager
def training_copies(sites: Sequence[Site]) -> Iterator[dict[int, list[TrainedMatrix]]]:
    """The copies of each layer, which require a gradient.

    Raises:
        BadInput: matrices that are no linear layers of their own, such as experts, or that are in half precision.
    """
    with ExitStack() as stack:
        made: dict[int, list[TrainedMatrix]] = {}
        for site in sites:
            _check(site)
            made[site.layer] = []
            for projection in site.input_projections:
                module = projection.module
                original: nn.Parameter = getattr(module, projection.parameter)
                copy = nn.Parameter(original.detach().clone(), requires_grad=True)
                stack.callback(partial(setattr, module, projection.parameter, original))
                setattr(module, projection.parameter, copy)
                made[site.layer].append(TrainedMatrix(projection, original, copy))
        yield made


def _check(site: Site) -> None:
    for projection in site.input_projections:
        module = projection.module
        if not isinstance(module, nn.Linear | Conv1D) or projection.experts is not None:
            raise BadInput(
                f"layer {site.layer} has {projection.name} as a {type(module).__name__}, where training needs linear "
                "layers: choose another model"
            )
        if module.weight.dtype not in (torch.float32, torch.float64):
            dtype = str(module.weight.dtype).removeprefix("torch.")
            raise BadInput(f"small gradient steps are lost in {dtype}: use --dtype float32")
