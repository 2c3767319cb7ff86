"""The position of the theory's tensors in a layer, and the interface of hooks that read or change them.

A :class:`Site` holds the modules of one layer, as :mod:`icltui.engine.hooks.find_sites` found them; a
:class:`SiteHook` sees, and may change, their inputs and outputs while :mod:`icltui.engine.hooks.attach` attaches it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Residual = Literal["norm", "mlp", "parallel"]
"""The source of v: the pre-MLP norm's input; the MLP's own input; block input plus attention output."""
Hidden = Float[Tensor, "*tokens hidden"]


@dataclass(frozen=True)
class InputProjection:
    """Matrices that multiply z. Their parameter is looked up at each use, as offloading may move it."""

    name: str
    module: nn.Module
    parameter: str = "weight"
    transposed: bool = False
    """True when stored (…, hidden, inner), as ``Conv1D`` does, not (…, inner, hidden)."""
    experts: int | None = None
    """Number of experts, one matrix each, that share the parameter; None: it is one matrix."""


@dataclass(frozen=True)
class Site:
    """The modules of one layer."""

    layer: int
    block: nn.Module
    mlp: nn.Module
    """The module whose input is z: the whole MLP where it is one module, else the first projection."""
    siblings: tuple[nn.Module, ...]
    """Other modules of the block whose input is z too, such as a shared expert outside the MLP."""
    residual: Residual
    norm: nn.Module | None
    attention: nn.Module | None
    down_proj: nn.Module | None
    """The down projection, whose input is g; None where experts share none."""
    input_projections: tuple[InputProjection, ...]
    other_residuals: tuple[Residual, ...] = ()
    """Further candidates for v, for a check at load that fails with ``residual``."""


class SiteHook:
    """Reads or changes the tensors at sites; a method that returns None leaves its tensor as it is.

    A subclass overrides the methods that it needs; no hook is registered for the others.
    """

    flatten: ClassVar[bool] = True
    """True: tensors are (tokens, hidden). False: they have the model's own shape (…, hidden), which is quicker."""
    has_threads: ClassVar[bool] = False
    """Whether passes of several threads may run through the hook at once."""

    @property
    def shifts_at_residual(self) -> bool:
        """Whether the shift depends on v alone, so that it is known as soon as v is."""
        return False

    def block_input(self, layer: int, r: Hidden) -> Hidden | None:
        """Sees the residual stream that enters the block, and may replace it."""

    def residual(self, layer: int, v: Hidden) -> None:
        """Sees v. Keep a copy only, as the stream may be shifted in place."""

    def mlp_input(self, layer: int, z: Hidden) -> Hidden | None:
        """Sees z, and may replace it for every matrix that reads it."""

    def projection_output(self, layer: int, name: str, p: Float[Tensor, "*tokens inner"]) -> None:
        """Sees W z without its bias, where W is a module of its own that reads all of z."""

    def routing(self, layer: int, experts: Int[Tensor, "tokens chosen"]) -> None:
        """Sees which experts each token goes to."""

    def down_input(self, layer: int, g: Float[Tensor, "*tokens inner"]) -> None:
        """Sees g."""

    def shift(self, layer: int) -> Float[Tensor, "*rows hidden"] | None:
        """The tensor to add to the block's residual stream once the MLP's norm has read it."""

    def add_shift(self, layer: int, stream: Hidden) -> None:
        """Adds :meth:`shift` to the residual stream of the block in place."""
        shift = self.shift(layer)
        if shift is not None:
            add_in_place(stream, shift)

    def mlp_output(self, layer: int, out: Hidden) -> None:
        """Sees the output of the MLP, or of its down projection."""

    def block_output(self, layer: int, out: Hidden) -> None:
        """Sees the block's output."""


def hidden_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Float[Tensor, "*tokens width"]:
    """The tensor that a module is called on: hidden states, or g for a down projection.

    Raises:
        LookupError: the first argument is no tensor.
    """
    tensor = args[0] if args else kwargs.get("hidden_states", kwargs.get("x"))
    if not isinstance(tensor, Tensor):
        raise LookupError("a module whose first argument is not its hidden states")
    return tensor


def hidden_output(output: Any) -> Any:
    """The hidden states among a module's results."""
    return output[0] if isinstance(output, tuple | list) else output


def expert_indices(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Int[Tensor, "tokens chosen"] | None:
    """Which experts each token goes to, if a module's arguments say so."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor) and value.ndim == 2 and value.dtype in (torch.int64, torch.int32):
            return value
    return None


def input_device(model: Any) -> torch.device:
    """The device that token ids must be on; an offloaded embedding is on it only while it works."""
    embedding = model.get_input_embeddings()
    works_on = getattr(getattr(embedding, "_hf_hook", None), "execution_device", None)
    return torch.device(embedding.weight.device if works_on is None else works_on)


def is_offloaded(model: nn.Module) -> bool:
    """Whether some weights of the model are on their device only while they work."""
    return any(getattr(getattr(module, "_hf_hook", None), "offload", False) for module in model.modules())


def add_in_place(stream: Hidden, shift: Float[Tensor, "*rows hidden"]) -> None:
    """Add ``shift`` to ``stream`` in place, rounded once."""
    if stream.dtype == shift.dtype:
        stream += shift
    else:
        stream.copy_(stream.to(shift.dtype) + shift)
