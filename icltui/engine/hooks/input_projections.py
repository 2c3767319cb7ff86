"""Which matrices read z: those whose modules were handed it in the trace.

Enters: a module, the trace of its block, z. Leaves: a :class:`~icltui.engine.hooks.site.Reader` for each.
"""

from dataclasses import replace

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from icltui.engine.hooks.site import Reader
from icltui.engine.hooks.trace import Trace, is_made_of, is_same


def find_readers(root: nn.Module, trace: Trace, z: Tensor, path: str = "") -> list[Reader]:
    """Every matrix inside ``root`` that multiplies z, by what was handed to its module in the trace.

    A reader is called by its module's name inside ``root``; one that is ``root`` itself by ``path``.
    """
    hidden = z.shape[-1]
    rows = z.reshape(-1, hidden)
    readers: list[Reader] = []
    for name, module in root.named_modules():
        reader = _as_reader(name or path.rpartition(".")[2], module, hidden)
        if reader is None:
            if _hides_a_matrix(module) and any(
                seen is module and is_same(tensor, z) for seen, tensor in trace.entered
            ):
                raise LookupError(
                    f"its {type(module).__name__} reads the MLP's input but does not show its matrix"
                )
            continue
        tensors = [tensor for seen, tensor in trace.entered if seen is module]
        if any(is_same(tensor, z) or is_made_of(tensor, rows) for tensor in tensors):
            if reader.experts is not None and module not in trace.routed:
                reader = replace(reader, name="all experts")
            readers.append(reader)
    return readers


def _hides_a_matrix(module: nn.Module) -> bool:
    """Whether the module may multiply by something that is not known as a matrix, such as packed weights."""
    is_leaf = next(module.children(), None) is None
    return is_leaf and any(True for _ in (*module.parameters(), *module.buffers()))


def _as_reader(name: str, module: nn.Module, hidden: int) -> Reader | None:
    """The module's matrix, if it has one that could read vectors of width ``hidden``."""
    if isinstance(module, Conv1D):
        return Reader(name, module, transposed=True)
    if isinstance(module, nn.Linear):
        return Reader(name, module) if module.in_features == hidden else None
    for parameter in ("gate_up_proj", "up_proj", "w1", "weight"):
        weight = getattr(module, parameter, None)
        if not isinstance(weight, nn.Parameter):
            continue
        if weight.ndim == 3:
            transposed = _is_transposed(module, parameter, hidden)
            return Reader("experts", module, parameter, transposed, experts=weight.shape[0])
        if weight.ndim == 2 and weight.shape[-1] == hidden:
            if sum(other.ndim == 2 for other in module.parameters(recurse=False)) > 1:
                raise LookupError(f"its {type(module).__name__} does not tell which of its matrices read")
            return Reader("router", module, parameter)
    return None


def _is_transposed(module: nn.Module, parameter: str, hidden: int) -> bool:
    """Whether experts are stored (experts, hidden, inner): as the module says, else by the axis that is hidden."""
    if hasattr(module, "is_transposed"):
        return bool(module.is_transposed)
    *_, first, last = getattr(module, parameter).shape
    if (first == hidden) == (last == hidden):
        raise LookupError(
            f"the experts' {parameter} of shape (…, {first}, {last}) does not tell which axis reads"
        )
    return bool(first == hidden)
