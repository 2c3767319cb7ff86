"""A second model over the very weights of a first, to hook, switch and trace without a trace on the first.

Enters: a model that somebody holds and may be training. Leaves: a copy of its modules, settings and hooks, whose
weights are the first one's memory: nothing large is copied, and whatever is set on the copy is not set on the first.
"""

from collections.abc import Iterator
from copy import copy, deepcopy
from typing import Any

from torch import Tensor, nn

from icltui.engine.models.merged_adapters import adapted_weights, merge_adapters
from icltui.values.errors import ModelError


def copy_sharing_weights(model: nn.Module) -> Any:
    """A copy of ``model`` whose parameters and buffers are views of the model's, without gradients.

    Weights that are tied stay tied. The functions that the user hooked to its modules are called in the copy too, with
    the copy's modules: they are part of what the model computes. A forward that ``torch.compile`` made is left out, as
    it would run the first model. Adapters of PEFT are merged, into copies of the matrices that they adapt.

    Raises:
        ModelError: something in the model cannot be copied, or an adapter not merged.
    """
    memo: dict[int, Any] = {id(kept): replaced for kept, replaced in _kept(model)}
    try:
        twin = deepcopy(model, memo)
    except Exception as error:  # a model's attributes may be of any class
        raise ModelError(
            f"{type(model).__name__} holds something that cannot be copied "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}): take it off the model, or load it anew"
        ) from error
    for module in twin.modules():
        if hasattr(vars(module).get("forward"), "_torchdynamo_orig_callable"):
            del module.forward
    for name in _MOVERS & set(vars(twin)):
        delattr(twin, name)
    twin.eval()
    merge_adapters(twin)
    return twin


_MOVERS = {"to", "cuda", "npu", "xpu", "mlu", "sdaa", "musa"}
"""Methods that accelerate replaces by functions that hold the first model itself."""


def _kept(model: nn.Module) -> Iterator[tuple[Any, Any]]:
    """What is not copied deeply, each with what the copy has in its place."""
    changed = {id(parameter) for parameter in adapted_weights(model)}
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None and id(parameter) not in changed:
                yield parameter, _view(parameter)
        for name, value in vars(module).items():
            if isinstance(value, Tensor):  # such as the weight of a weight norm
                yield value, value.detach()
            elif name.endswith(("_hooks", "_hooks_with_kwargs", "_hooks_always_called")):
                yield value, copy(value)
        for buffer in module._buffers.values():
            if buffer is not None:
                yield buffer, buffer.detach()
        weights = getattr(vars(module).get("_hf_hook"), "weights_map", None)
        if weights is not None:  # what accelerate keeps in main memory or on disk
            yield weights, weights


def _view(parameter: nn.Parameter) -> nn.Parameter:
    """The parameter's memory as a parameter without gradient; of a class of its own, if quantized, the very one.

    Raises:
        ModelError: the latter is trained, which switching off its gradient in the copy would end.
    """
    kind: type = type(parameter)
    if kind is nn.Parameter or not issubclass(kind, nn.Parameter):
        return nn.Parameter(parameter.detach(), requires_grad=False)
    if parameter.requires_grad:
        raise ModelError(
            f"it has parameters of class {kind.__name__} that are trained: call requires_grad_(False) on them"
        )
    return parameter
