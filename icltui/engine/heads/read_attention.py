"""The attention weights of each layer, handed over as the layer makes them and dropped at once.

Enters: a loaded model, and what takes the weights. While the ``with`` block lasts, attention is computed in the plain
way (*eager*), which is the one that makes weights, and a hook takes them out of each module's results: so no more than
one layer's are in memory, however many layers there are. Afterwards the model's own way is set again.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from icltui.engine.hooks.module_roles import LOOKUP_ERRORS, LayerModules
from icltui.engine.measure.forward_pass import forward_arguments
from icltui.engine.models.loaded_model import LoadedModel

Weights = Float[Tensor, "heads queries keys"]
TakeWeights = Callable[[int, Weights], None]
"""Called with a layer and its weights; it must keep no more of them than it needs."""

_EXCESS = 1e-2
"""How far above 1 rounding in half precision may bring a sum of weights."""


@contextmanager
def reading_attention(loaded: LoadedModel, take: TakeWeights) -> Iterator[dict[str, Any]]:
    """Hands every layer's weights of the one row that runs to ``take``; gives further arguments of the forward."""
    model = loaded.model
    with ExitStack() as stack:
        arguments = stack.enter_context(_eager(model))
        for layer, block in blocks_of(loaded).items():
            for module in block.modules():
                hook = module.register_forward_hook(partial(_take_out, layer, take, bool(arguments)))
                stack.callback(hook.remove)
        yield arguments


def blocks_of(loaded: LoadedModel) -> dict[int, nn.Module]:
    """The blocks by layer, ascending; of a layer that cannot be patched too, where it is found."""
    blocks = {site.layer: site.block for site in loaded.sites}
    if loaded.refused:
        try:
            modules = LayerModules(loaded.model, {})
            blocks |= {layer.layer: modules.block(layer.layer) for layer in loaded.refused}
        except LOOKUP_ERRORS:
            pass  # then nobody knows where they are
    return dict(sorted(blocks.items()))


@contextmanager
def _eager(model: Any) -> Iterator[dict[str, Any]]:
    """The model computes attention weights; the configs have their own way again afterwards."""
    if not model._can_set_attn_implementation():
        # Older code makes weights only where they are asked for, and hands them up through every layer.
        yield {"output_attentions": True} if "output_attentions" in forward_arguments(model) else {}
        return
    configs = list(_configs(model))
    ways = [config._attn_implementation_internal for config in configs]
    try:
        model.set_attn_implementation("eager")
        yield {}
    finally:
        for config, way in zip(configs, ways, strict=True):
            config._attn_implementation_internal = way


def _configs(model: nn.Module) -> Iterator[Any]:
    """Every config in use, once."""
    waiting = [
        config for module in model.modules() if (config := getattr(module, "config", None)) is not None
    ]
    seen: set[int] = set()
    while waiting:
        config = waiting.pop()
        if id(config) in seen or not hasattr(config, "_attn_implementation_internal"):
            continue
        seen.add(id(config))
        yield config
        waiting += [
            inner for name in config.sub_configs if (inner := getattr(config, name, None)) is not None
        ]


def _take_out(layer: int, take: TakeWeights, drops: bool, _: nn.Module, __: Any, output: Any) -> Any:
    """The module's results; with ``drops`` without the weights among them, which would else be kept to the end.

    An outer module is called later, so that its weights count where an inner one makes something like them.
    """
    if not isinstance(output, tuple | list):
        return None
    for index, part in enumerate(output):
        if index and _are_weights(part):
            take(layer, part[0])
            if not drops:
                return None
            return type(output)([*output[:index], None, *output[index + 1 :]])
    return None


def _are_weights(part: Any) -> bool:
    """Whether it is (1, heads, queries, keys), and its rows are distributions, perhaps without the share of a sink."""
    if not isinstance(part, Tensor) or part.ndim != 4 or not part.is_floating_point():
        return False
    if part.shape[0] != 1 or part.shape[-2] > part.shape[-1]:
        return False
    return bool(part.min() >= 0) and bool(part.sum(-1).max() <= 1 + _EXCESS)
