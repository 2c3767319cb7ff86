"""One forward pass on a few tokens that records every module's input and output in every block.

Enters: a model and its blocks. Leaves: a :class:`Trace` of each, in which tensors can be compared by their memory.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from icltui.engine.hooks.run_model import run_model
from icltui.engine.hooks.site import expert_indices, hidden_output, input_device

_TRACED_IDS = (3, 1, 4, 1, 5)


@dataclass
class Trace:
    """Inputs and outputs in one block, in the order of the calls, all kept so that no address is reused."""

    inputs: list[tuple[nn.Module, Tensor]] = field(default_factory=list)
    outputs: list[tuple[nn.Module, Tensor]] = field(default_factory=list)
    routed: set[nn.Module] = field(default_factory=set)
    """Modules whose arguments say which experts each token goes to."""

    def input_of(self, module: nn.Module) -> Shaped[Tensor, "..."]:
        """The module's last input.

        Raises:
            LookupError: the module was not called.
        """
        for seen, tensor in reversed(self.inputs):
            if seen is module:
                return tensor
        raise LookupError(f"its {type(module).__name__} is not called with hidden states")


def trace_blocks(model: Any, blocks: Sequence[nn.Module]) -> list[Trace]:
    """The trace of each block, from one forward pass.

    Raises:
        ForwardError: the model's own code fails.
    """
    traces = {id(block): Trace() for block in blocks}
    ids = torch.tensor([_TRACED_IDS], device=input_device(model))
    with ExitStack() as stack, torch.no_grad():
        for block in {id(block): block for block in blocks}.values():
            trace = traces[id(block)]
            for module in block.modules():
                record = module.register_forward_pre_hook(partial(_record_input, trace), with_kwargs=True)
                stack.callback(record.remove)
                stack.callback(module.register_forward_hook(partial(_record_output, trace)).remove)
        run_model(model, ids, use_cache=False)
    return [traces[id(block)] for block in blocks]


def _record_input(trace: Trace, module: nn.Module, args: Any, kwargs: Any) -> None:
    tensor = args[0] if args else kwargs.get("hidden_states", kwargs.get("x"))
    if isinstance(tensor, Tensor):
        trace.inputs.append((module, tensor))
    if expert_indices(args, kwargs) is not None:
        trace.routed.add(module)


def _record_output(trace: Trace, module: nn.Module, _: Any, output: Any) -> None:
    tensor = hidden_output(output)
    if isinstance(tensor, Tensor):
        trace.outputs.append((module, tensor))


def is_same(a: Shaped[Tensor, "..."], b: Shaped[Tensor, "..."]) -> bool:
    """Whether both tensors share their memory, whatever their shapes."""
    return a.data_ptr() == b.data_ptr() and a.numel() == b.numel() and a.dtype == b.dtype


def is_made_of(tensor: Shaped[Tensor, "*rows width"], rows: Float[Tensor, "tokens hidden"]) -> bool:
    """Whether every row is one of ``rows``, up to a factor: gathered for an expert, weighted by a router, or cast."""
    if tensor.shape[-1] != rows.shape[-1] or not tensor.is_floating_point():
        return False
    flat = tensor.reshape(-1, rows.shape[-1]).double()
    flat = flat[flat.norm(dim=-1) > 0]  # an expert without tokens may be called on zeros
    a = torch.nn.functional.normalize(flat, dim=-1)
    b = torch.nn.functional.normalize(rows.to(a.device).double(), dim=-1)
    return len(flat) > 0 and bool(((a @ b.T).abs().amax(-1) > 1 - 1e-4).all())
