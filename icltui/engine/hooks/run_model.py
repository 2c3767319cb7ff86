"""Call a model's own forward, the one call that runs foreign code on tokens, and take its output apart.

Enters: a model and the arguments of its forward. Leaves: a :class:`ForwardOutput`, from a named output or from a bare
tuple, in which the logits come first and a cache, if any, next.
"""

import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

import icltui
from icltui.engine.hooks import fast_pre_hook
from icltui.engine.hooks.out_of_memory import is_out_of_memory, shortage_error
from icltui.values.errors import ForwardError, IcltuiError

_OURS = Path(icltui.__file__).parent
_TORCH = Path(torch.__file__).parent


@dataclass(frozen=True)
class ForwardOutput:
    """The output of one forward pass."""

    logits: Float[Tensor, "rows tokens vocabulary"]
    """Logits of every input token, or of the last ones where only those are requested."""
    cache: Any
    """The ``past_key_values`` of the next pass; None where the model gives none."""


def run_model(model: Any, ids: Int[Tensor, "rows tokens"], **kwargs: Any) -> Any:
    """The raw output of the model's forward on ``ids``; errors of our own hooks in it are raised unchanged.

    Raises:
        ForwardError: the model's own code fails.
        OutOfMemory: the memory does not suffice.
    """
    if "use_cache" in kwargs and not _takes_use_cache(type(model).forward):
        del kwargs["use_cache"]
    try:
        return model(ids, **kwargs)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except IcltuiError:
        raise
    except BaseException as error:  # a model's own code may panic, or raise SystemExit
        if is_out_of_memory(error):
            raise shortage_error(error) from error
        frames = traceback.extract_tb(error.__traceback__)[1:]
        if any(
            _OURS in Path(frame.filename).parents and frame.filename != fast_pre_hook.__file__
            for frame in frames
        ):
            raise  # a hook's own error; a FastPreHook also calls the model's forward
        raise _failed(model, error, frames) from error


def _failed(model: Any, error: BaseException, frames: list[traceback.FrameSummary]) -> ForwardError:
    where = next((frame for frame in reversed(frames) if _TORCH not in Path(frame.filename).parents), None)
    place = f" ({Path(where.filename).name}, line {where.lineno})" if where else ""
    return ForwardError(
        f"the forward pass of {type(model).__name__} fails: {type(error).__name__}: {_words(error)}{place}: "
        "its code may be meant for another version of transformers"
    )


def _words(error: BaseException) -> str:
    """The error's message on one line; empty where its ``__str__`` fails, too."""
    try:
        return " ".join(str(error).split())[:300]
    except Exception:  # noqa: BLE001 -- the class may be the model's own
        return ""


def forward_output(model: Any, ids: Int[Tensor, "rows tokens"], **kwargs: Any) -> ForwardOutput:
    """The logits and the cache that the model gives on ``ids``.

    Raises:
        ForwardError: the model's own code fails, or gives no logits.
        OutOfMemory: the memory does not suffice.
    """
    output = run_model(model, ids, **kwargs)
    try:
        logits, memory, is_named = _parts(output)
    except Exception as error:  # an output may be of a class of the model's own
        raise _failed(model, error, traceback.extract_tb(error.__traceback__)[2:]) from error
    if not isinstance(logits, Tensor) or not _are_logits(model, logits, ids, is_named):
        raise ForwardError(
            f"the forward pass of {type(model).__name__} gives {_described(logits)} as logits, where numbers "
            f"(rows {ids.shape[0]}, tokens, vocabulary) are needed: its code may be meant for another version of "
            "transformers"
        )
    return ForwardOutput(logits, memory)


def _parts(output: Any) -> tuple[Any, Any, bool]:
    """Logits, cache, and whether the output names them."""
    if isinstance(output, Mapping):
        return output.get("logits"), output.get("past_key_values"), True
    if hasattr(output, "logits") or not isinstance(output, tuple | list):
        return getattr(output, "logits", None), getattr(output, "past_key_values", None), True
    logits, memory = (*output, None, None)[:2]
    return logits, None if isinstance(memory, Tensor) else memory, False


@cache
def _takes_use_cache(forward: Callable[..., Any]) -> bool:
    parameters = inspect.signature(forward).parameters
    return "use_cache" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _are_logits(model: Any, logits: Tensor, ids: Tensor, is_named: bool) -> bool:
    is_here = logits.layout == torch.strided and logits.device.type != "meta"
    is_shaped = (
        is_here
        and logits.ndim == 3
        and logits.shape[0] == ids.shape[0]
        and 0 < logits.shape[1] <= ids.shape[1]
    )
    if is_named or not is_shaped:
        return is_shaped and logits.is_floating_point() and logits.shape[2] > 0
    head = model.get_output_embeddings()  # a bare tuple may begin with any tensor
    width = model.config.get_text_config(decoder=True).vocab_size if head is None else head.weight.shape[0]
    return logits.is_floating_point() and logits.shape[2] == width


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return "nothing" if value is None else f"a {type(value).__name__}"
    kind = "" if value.layout == torch.strided else f"{str(value.layout).removeprefix('torch.')} "
    where = " without values" if value.device.type == "meta" else ""
    return f"{kind}{str(value.dtype).removeprefix('torch.')} numbers of shape {tuple(value.shape)}{where}"
