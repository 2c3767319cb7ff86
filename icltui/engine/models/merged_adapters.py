"""Adapters of PEFT as what they are to a patch: a change of the weights.

Enters: a model with a LoRA or the like in its modules. Leaves: the same with the adapters merged into the matrices that
they adapt, which must be the caller's own: a patch is of the whole matrix, and its norms are the whole matrix's.
"""

import sys
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from icltui.engine.hooks.run_model import forward_output
from icltui.engine.hooks.site import input_device
from icltui.values.errors import ForwardError, ModelError

_IDS = (3, 1, 4, 1, 5)
_TOLERANCES = {torch.float32: 1e-3, torch.float64: 1e-6}
"""How far logits may be from those before the merge, relative to their largest; in half precision a tenth."""


def adapted_weights(model: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters that merging the model's adapters changes."""
    for _, layer in _adapted_layers(model):
        yield from layer.get_base_layer().parameters()


def adapter_state(model: nn.Module) -> tuple[tuple[object, ...], ...]:
    """Which adapters act at each layer that has some, how strongly, and which are merged: no weight tells."""
    return tuple(
        (
            name,
            layer.disable_adapters,
            *map(tuple, (layer.active_adapters, layer.merged_adapters)),
            tuple(sorted(getattr(layer, "scaling", {}).items())),
        )
        for name, layer in _adapted_layers(model)
    )


def merge_adapters(model: Any) -> None:
    """Put the active adapters into the weights, in place, and take their modules out.

    Raises:
        ModelError: they cannot be merged, or the model says something else then.
    """
    layers = list(_adapted_layers(model))
    if not layers:
        return
    before = _logits(model)
    try:
        with torch.no_grad():
            for name, layer in layers:
                if not layer.disable_adapters:
                    layer.merge()
                parent, _, own_name = name.rpartition(".")
                setattr(model.get_submodule(parent), own_name, layer.get_base_layer())
    except (RuntimeError, ValueError, AttributeError, NotImplementedError, TypeError) as error:
        raise _unmergeable(model, " ".join(str(error).split())[:200]) from error
    miss = float((_logits(model) - before).abs().max() / before.abs().max())
    if not miss <= _TOLERANCES.get(model.dtype, 0.1):
        raise _unmergeable(model, f"its logits miss those with the adapter beside the weights by {miss:.1e}")


def _unmergeable(model: nn.Module, reason: str) -> ModelError:
    return ModelError(
        f"the adapter of {type(model).__name__} cannot be merged into its weights ({reason}): hand in what "
        "merge_and_unload gives, or the base model"
    )


def _adapted_layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The outermost layers of adapters, by name; none where PEFT was never imported."""
    tuners = sys.modules.get("peft.tuners.tuners_utils")
    if tuners is None:
        return
    found: list[str] = []
    for name, module in model.named_modules():
        is_inner = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, tuners.BaseTunerLayer) and not is_inner:
            found.append(name)
            yield name, module


@torch.no_grad()
def _logits(model: Any) -> Float[Tensor, "tokens vocabulary"]:
    """Logits after a few tokens.

    Raises:
        ModelError: there are none.
    """
    try:
        ids = torch.tensor([_IDS], device=input_device(model))
        return forward_output(model, ids, use_cache=False).logits[0].double()
    except ForwardError as error:
        raise _unmergeable(model, str(error)) from error
