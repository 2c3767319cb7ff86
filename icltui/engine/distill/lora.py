"""A LoRA on the matrices that a compiled patch changes: those that read z, and the down projections.

Enters: sites, a rank, a seed. Leaves: a :class:`Lora`, a pair of matrices A and B for each, which acts as a hook on the
module's output, ``W x + B A x``: no parameter of the model is touched. Unlike a patch, whose maps are shared by all
readers of z, each matrix has its own A and B. The start is PEFT's: A uniform in ±1/√in, B zero (arXiv 2106.09685).
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers.pytorch_utils import Conv1D

from icltui.engine.hooks.site import Site, hidden_input
from icltui.values.errors import BadInput


@dataclass(frozen=True)
class LoraMatrix:
    """The change B A of one matrix."""

    layer: int
    name: str
    """The matrix's name among the layer's input projections; ``down`` for the down projection."""
    module: nn.Module
    a: Float[Tensor, "rank _in"]
    b: Float[Tensor, "_out rank"]

    def __call__(self, x: Float[Tensor, "*tokens _in"]) -> Float[Tensor, "*tokens _out"]:
        return linear(linear(x, self.a), self.b)

    def add_to_output(self, _: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        """The hook: what the module gives and B A x, in the LoRA's precision, rounded once."""
        x = hidden_input(args, kwargs).to(self.a.dtype)
        return (output.to(self.a.dtype) + self(x)).to(output.dtype)


@dataclass(frozen=True)
class Lora:
    """A LoRA; on the model inside ``with lora.acting():``."""

    matrices: tuple[LoraMatrix, ...]

    @property
    def n_floats(self) -> int:
        """How many numbers it holds."""
        return sum(m.a.numel() + m.b.numel() for m in self.matrices)

    @property
    def parameters(self) -> list[Tensor]:
        """Every A and B."""
        return [side for m in self.matrices for side in (m.a, m.b)]

    @contextmanager
    def acting(self) -> Iterator[None]:
        """The LoRA acts inside the block, whatever its end; then no hook is left."""
        with ExitStack() as stack:
            for matrix in self.matrices:
                hook = matrix.module.register_forward_hook(matrix.add_to_output, with_kwargs=True)
                stack.callback(hook.remove)
            yield


def make_lora(sites: Sequence[Site], rank: int, seed: int, dtype: torch.dtype) -> Lora:
    """The LoRA before its training, which changes nothing yet.

    Raises:
        BadInput: a layer whose matrices are not modules of their own, such as experts.
    """
    noise = torch.Generator().manual_seed(seed)
    made: list[LoraMatrix] = []
    for site in sites:
        for name, module in _targets(site):
            n_in, n_out = _widths(module)
            a = (2 * torch.rand(rank, n_in, generator=noise) - 1) / n_in**0.5
            device = module.weight.device
            matrix = LoraMatrix(
                site.layer,
                name,
                module,
                a.to(device, dtype),
                torch.zeros(n_out, rank, dtype=dtype, device=device),
            )
            made.append(matrix)
    return Lora(tuple(made))


def _targets(site: Site) -> list[tuple[str, Any]]:
    modules = [*((p.name, p.module) for p in site.input_projections), ("down", site.down_proj)]
    for name, module in modules:
        if not isinstance(module, nn.Linear | Conv1D):
            what = (
                "no down projection of its own" if module is None else f"{name} as a {type(module).__name__}"
            )
            raise BadInput(
                f"layer {site.layer} has {what}, where a LoRA is trained on linear layers: leave *distilled* out, or "
                "choose other layers"
            )
    return modules


def _widths(module: Any) -> tuple[int, int]:
    """The widths of what the module reads and gives."""
    if isinstance(module, Conv1D):
        return module.nx, module.nf
    return module.in_features, module.out_features
