"""The matrices that multiply z: those whose modules have z as their input in the trace.

Enters: a module, the trace of its block, z. Leaves: an :class:`~icltui.engine.hooks.site.InputProjection` for each.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from icltui.engine.hooks.site import InputProjection
from icltui.engine.hooks.trace import Trace, is_made_of, is_same

_PLAIN = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def find_input_projections(
    root: nn.Module, trace: Trace, z: Float[Tensor, "*tokens hidden"], path: str = ""
) -> list[InputProjection]:
    """Every matrix inside ``root`` that multiplies z, named by its module's path in ``root``, or ``root``'s ``path``.

    Raises:
        LookupError: a module reads z and does not show which of its weights multiplies it, or adds others to it.
    """
    hidden = z.shape[-1]
    rows = z.reshape(-1, hidden)
    found: list[InputProjection] = []
    for name, module in root.named_modules():
        tensors = [tensor for seen, tensor in trace.inputs if seen is module]
        projection = _as_projection(name or path.rpartition(".")[2], module, hidden)
        if projection is None:
            if _has_weights_of_its_own(module) and any(is_same(tensor, z) for tensor in tensors):
                raise LookupError(
                    f"its {type(module).__name__} reads the MLP's input but does not show its matrix"
                )
            if module is not root and _matrices(module) and any(is_same(tensor, z) for tensor in tensors):
                raise _added_to(module)
        elif any(is_same(tensor, z) or is_made_of(tensor, rows) for tensor in tensors):
            if projection.experts is not None and module not in trace.routed:
                projection = replace(projection, name="all experts")
            if _is_plain(module) and set(_matrices(module)) > {"weight"}:
                raise _added_to(module)
            found.append(projection)
    return found


def _has_weights_of_its_own(module: nn.Module) -> bool:
    """Whether the module may multiply by weights that are not known as a matrix, such as packed ones."""
    is_leaf = next(module.children(), None) is None
    return is_leaf and any(True for _ in (*module.parameters(), *module.buffers()))


def _matrices(module: nn.Module) -> list[str]:
    """Names of the matrices that are the module's own, its parts' left out."""
    return [name for name, own in module._parameters.items() if own is not None and own.ndim > 1]


def _is_plain(module: nn.Module) -> bool:
    """Whether the module is a matrix in numbers of its own, without scales beside it."""
    weight = module._parameters.get("weight")
    return isinstance(module, nn.Linear) and weight is not None and weight.dtype in _PLAIN


def _added_to(module: nn.Module) -> LookupError:
    """An adapter that is not PEFT's: what it adds to the matrix is no change of it that could be seen."""
    others = " and ".join(name for name in _matrices(module) if name != "weight")
    return LookupError(
        f"its {type(module).__name__} adds to a matrix what {others} give, which is not in the "
        "matrix: merge them into it"
    )


def _as_projection(name: str, module: nn.Module, hidden: int) -> InputProjection | None:
    """The module's matrix, if it has one that could multiply vectors of width ``hidden``."""
    if isinstance(module, Conv1D):
        return InputProjection(name, module, transposed=True)
    if isinstance(module, nn.Linear):
        return InputProjection(name, module) if module.in_features == hidden else None
    for parameter in ("gate_up_proj", "up_proj", "w1", "weight"):
        weight = getattr(module, parameter, None)
        if not isinstance(weight, nn.Parameter):
            continue
        if weight.ndim == 3:
            transposed = _is_transposed(module, parameter, hidden)
            return InputProjection("experts", module, parameter, transposed, experts=weight.shape[0])
        if weight.ndim == 2 and weight.shape[-1] == hidden:
            if sum(other.ndim == 2 for other in module.parameters(recurse=False)) > 1:
                raise LookupError(f"its {type(module).__name__} does not tell which of its matrices read")
            return InputProjection("router", module, parameter)
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
