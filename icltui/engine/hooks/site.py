"""Where in a model the theory's tensors pass by, and what may stand there.

A :class:`Site` holds the places of one layer, as :mod:`icltui.engine.hooks.find_sites` found them; a :class:`Probe`
sees, and may change, the tensors that pass, where :mod:`icltui.engine.hooks.attach` puts it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

Residual = Literal["norm", "mlp", "parallel"]
"""What v is: the pre-MLP norm's input; the MLP's own input; block input plus attention output."""


@dataclass(frozen=True)
class Reader:
    """Matrices that multiply z. Their parameter is looked up at each use, as offloading may move it."""

    name: str
    module: nn.Module
    parameter: str = "weight"
    transposed: bool = False
    """True when stored (…, hidden, inner), as ``Conv1D`` does, not (…, inner, hidden)."""
    experts: int | None = None
    """How many experts, one matrix each, share the parameter; None: it is one matrix."""


@dataclass(frozen=True)
class Site:
    """The places of one layer."""

    layer: int
    block: nn.Module
    mlp: nn.Module
    """Its input is z. The whole MLP where there is one module for it, else the first projection."""
    beside: tuple[nn.Module, ...]
    """Other modules of the block that are handed z too, such as a shared expert outside the MLP."""
    residual: Residual
    norm: nn.Module | None
    attention: nn.Module | None
    down: nn.Module | None
    """The down projection, whose input is g; None where experts share none."""
    readers: tuple[Reader, ...]
    others: tuple[Residual, ...] = ()
    """What else v could be, should the proof at load fail with ``residual``."""


class Probe:
    """What stands at the sites; tensors are (tokens, hidden). Returning None leaves a tensor as it is."""

    flattened: ClassVar[bool] = True
    """False: tensors come as the model has them, (…, hidden), which is quicker."""

    def block_input(self, layer: int, r: Tensor) -> Tensor | None:
        """Sees the residual stream that enters the block, and may replace it."""

    def residual(self, layer: int, v: Tensor) -> None:
        """Sees v; a copy is due if it is kept, as the stream may be moved."""

    def mlp_input(self, layer: int, z: Tensor) -> Tensor | None:
        """Sees z, and may replace it for every matrix that reads it."""

    def reader_output(self, layer: int, name: str, p: Tensor) -> None:
        """Sees what a matrix makes of z, where it is a module of its own that is handed all of z."""

    def routing(self, layer: int, experts: Tensor) -> None:
        """Sees which experts each token goes to, (tokens, experts per token)."""

    def down_input(self, layer: int, g: Tensor) -> None:
        """Sees g."""

    def shift(self, layer: int) -> Tensor | None:
        """What to add to the residual stream of the block, behind the MLP's norm."""

    def move(self, layer: int, stream: Tensor) -> None:
        """Moves the residual stream of the block in place, by :meth:`shift`."""
        shift = self.shift(layer)
        if shift is not None:
            add_to(stream, shift)

    def mlp_output(self, layer: int, out: Tensor) -> None:
        """Sees what the MLP, or its down projection, gives."""

    def block_output(self, layer: int, out: Tensor) -> None:
        """Sees the block's output."""


def first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The hidden states among a module's arguments.

    Raises:
        LookupError: there is none.
    """
    tensor = args[0] if args else kwargs.get("hidden_states", kwargs.get("x"))
    if not isinstance(tensor, Tensor):
        raise LookupError("a module that is not handed its hidden states first")
    return tensor


def routing(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """Which experts each token goes to, (tokens, experts per token), if a module is told."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor) and value.ndim == 2 and value.dtype in (torch.int64, torch.int32):
            return value
    return None


def first_output(output: Any) -> Any:
    """The hidden states among a module's results."""
    return output[0] if isinstance(output, tuple | list) else output


def input_device(model: Any) -> torch.device:
    """Where token ids go in; an offloaded embedding is there only while it works."""
    embedding = model.get_input_embeddings()
    works_on = getattr(getattr(embedding, "_hf_hook", None), "execution_device", None)
    return torch.device(embedding.weight.device if works_on is None else works_on)


def add_to(stream: Tensor, shift: Tensor) -> None:
    """Add to it in place, rounded once."""
    if stream.dtype == shift.dtype:
        stream += shift
    else:
        stream.copy_(stream.to(shift.dtype) + shift)
