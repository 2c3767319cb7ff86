"""One forward pass on a few tokens, every module of every block watched: who is handed what, and who gives it.

Enters: a model and its blocks. Leaves: a :class:`Trace` of each, to be asked which tensors are the same in memory.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from icltui.engine.hooks.forward_output import run_model
from icltui.engine.hooks.site import first_output, input_device, routing

_TRACED_IDS = (3, 1, 4, 1, 5)


@dataclass
class Trace:
    """What passed by in one block, in the order of the calls; tensors are kept so that no address is used twice."""

    entered: list[tuple[nn.Module, Tensor]] = field(default_factory=list)
    left: list[tuple[nn.Module, Tensor]] = field(default_factory=list)
    routed: set[nn.Module] = field(default_factory=set)
    """Modules that are told which experts each token goes to."""

    def input_of(self, module: nn.Module) -> Tensor:
        """What the module was handed last.

        Raises:
            LookupError: it was not called.
        """
        for seen, tensor in reversed(self.entered):
            if seen is module:
                return tensor
        raise LookupError(f"its {type(module).__name__} is not called with hidden states")


def trace_blocks(model: Any, blocks: Sequence[nn.Module]) -> list[Trace]:
    """One forward pass on a few tokens, every module of every block watched.

    Raises:
        ForwardError: the model's own code fails.
    """
    traces = {id(block): Trace() for block in blocks}
    ids = torch.tensor([_TRACED_IDS], device=input_device(model))
    with ExitStack() as stack, torch.no_grad():
        for block in {id(block): block for block in blocks}.values():
            trace = traces[id(block)]
            for module in block.modules():
                stack.callback(
                    module.register_forward_pre_hook(partial(_enter, trace), with_kwargs=True).remove
                )
                stack.callback(module.register_forward_hook(partial(_leave, trace)).remove)
        run_model(model, ids, use_cache=False)
    return [traces[id(block)] for block in blocks]


def _enter(trace: Trace, module: nn.Module, args: Any, kwargs: Any) -> None:
    tensor = args[0] if args else kwargs.get("hidden_states", kwargs.get("x"))
    if isinstance(tensor, Tensor):
        trace.entered.append((module, tensor))
    if routing(args, kwargs) is not None:
        trace.routed.add(module)


def _leave(trace: Trace, module: nn.Module, _: Any, output: Any) -> None:
    tensor = first_output(output)
    if isinstance(tensor, Tensor):
        trace.left.append((module, tensor))


def is_same(a: Tensor, b: Tensor) -> bool:
    """Whether both are the same numbers in memory, in whatever shape."""
    return a.data_ptr() == b.data_ptr() and a.numel() == b.numel() and a.dtype == b.dtype


def is_made_of(tensor: Tensor, rows: Tensor) -> bool:
    """Whether every row is one of ``rows``, up to a factor: gathered for an expert, weighted by a router, or cast."""
    if tensor.shape[-1] != rows.shape[-1] or not tensor.is_floating_point():
        return False
    flat = tensor.reshape(-1, rows.shape[-1]).double()
    flat = flat[flat.norm(dim=-1) > 0]  # an expert that a token does not go to may be handed zeros
    a = torch.nn.functional.normalize(flat, dim=-1)
    b = torch.nn.functional.normalize(rows.to(a.device).double(), dim=-1)
    return len(flat) > 0 and bool(((a @ b.T).abs().amax(-1) > 1 - 1e-4).all())
