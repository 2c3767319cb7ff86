"""What each layer's attention does at the last token of a prompt: weights, values, and its way to the residual stream.

Enters: a loaded model and ids. Leaves: an :class:`AttentionAtLast` of each layer, or why there is none. The tokens
before the last run in the model's own way and leave their values in its cache; only the last runs with weights, so that
memory does not grow with the square of the text. Nothing is taken for granted of the family: which matrix reads Σ α v,
and what follows it, is seen in the numbers.
"""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.pytorch_utils import Conv1D

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.heads.read_attention import reading_attention
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.site import Site, SiteHook, hidden_output
from icltui.engine.measure.forward_pass import KVCache, forward
from icltui.engine.measure.rank_one import exact_dtype
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values import Path

SAME = 1e-3
"""Relative difference up to which two tensors are one in float32, computed in another order."""
_PASS = 1024
"""Tokens that run at a time before the last."""

Vector = Float[Tensor, "hidden"]


class NotASum(Exception):
    """Why δ of a layer is no sum over its heads, in words."""


@dataclass(frozen=True)
class AttentionAtLast:
    """One layer's attention at the last token, in float64 where the device has it."""

    weights: Float[Tensor, "heads keys"]
    values: Float[Tensor, "heads keys _head"]
    """Each query head's own, also where several share one."""
    has_sink: bool
    """Whether the weights sum to less than 1, as a learned sink takes the rest."""
    projection: Float[Tensor, "heads _head hidden"]
    """W_O: what each head's output adds, the gate of the last token included where there is one."""
    is_gated: bool
    """Whether something lies between Σ α v and the matrix that reads it."""
    scale: float
    """The factor between the projection's output and what is added to the residual stream; 1 in most models."""
    norm: nn.Module | None
    """The norm between them."""
    output: Vector
    """The projection's output."""


def attention_at_last(
    loaded: LoadedModel,
    sites: Sequence[Site],
    ids: Sequence[int],
    path: Path,
    on_progress: ProgressCallback = ignore_progress,
) -> dict[int, AttentionAtLast | str]:
    """Each site's attention at the last of ``ids``, or why it cannot be had, by layer."""
    # A cache of full length even where attention has a window, as packing has shown it to work.
    cache = KVCache(DynamicCache() if path == "packed" else None)
    for begin in range(0, len(ids) - 1, _PASS):
        on_progress("running the context", begin // _PASS, -(-len(ids) // _PASS))
        forward(loaded.model, ids[begin : min(begin + _PASS, len(ids) - 1)], cache)
    on_progress("reading attention at the last token")
    weights: dict[int, Tensor] = {}
    calls = {site.layer: _Calls() for site in sites}
    with ExitStack() as stack:
        stack.enter_context(attach(sites, streams := _Streams()))
        for site in sites:
            for module in site.block.modules():
                stack.callback(
                    module.register_forward_hook(calls[site.layer].record, with_kwargs=True).remove
                )
        arguments = stack.enter_context(reading_attention(loaded, partial(_keep_last, weights)))
        forward(loaded.model, ids[-1:], cache, **arguments)
    return {site.layer: _of_layer(site, weights, cache, calls[site.layer], streams) for site in sites}


def _keep_last(kept: dict[int, Tensor], layer: int, weights: Float[Tensor, "heads queries keys"]) -> None:
    kept[layer] = weights[:, -1].clone()


@dataclass
class _Streams(SiteHook):
    """The last token's residual stream at the block's input, and before the MLP."""

    inputs: dict[int, Tensor] = field(default_factory=dict)
    residuals: dict[int, Tensor] = field(default_factory=dict)

    def block_input(self, layer: int, r: Float[Tensor, "tokens hidden"]) -> None:
        self.inputs[layer] = widen(r[-1]).clone()

    def residual(self, layer: int, v: Float[Tensor, "tokens hidden"]) -> None:
        self.residuals[layer] = widen(v[-1]).clone()


@dataclass
class _Calls:
    """Each module's input and output at the last token, in the order of the calls' ends."""

    seen: list[tuple[nn.Module, Tensor, Tensor]] = field(default_factory=list)

    def record(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        given = args[0] if args else kwargs.get("hidden_states", kwargs.get("x"))
        made = hidden_output(output)
        if isinstance(given, Tensor) and isinstance(made, Tensor) and given.is_floating_point():
            self.seen.append((module, _last(given), _last(made)))


def _last(tensor: Tensor) -> Tensor:
    """The last row, copied, since the stream may be changed in place."""
    return widen(tensor.reshape(-1, tensor.shape[-1])[-1]).clone()


def _of_layer(
    site: Site, weights: dict[int, Tensor], cache: KVCache, calls: _Calls, streams: _Streams
) -> AttentionAtLast | str:
    try:
        if site.layer not in weights:
            raise NotASum("no attention weights: it has linear attention or a state space")
        alpha = _exact(weights[site.layer])
        values = _exact(_values(site, alpha, cache))
        heads = torch.einsum("hk,hkd->hd", alpha, values).reshape(-1)
        projection, output, gate = _output_projection(heads, streams, site.layer, calls)
        scale, norm = _way_to_stream(output, streams, site.layer, calls)
        matrix = (gate * _exact(_matrix(projection)).T).T
    except NotASum as error:
        return str(error)
    has_sink = any(getattr(module, "sinks", None) is not None for module in site.block.modules())
    return AttentionAtLast(
        alpha,
        values,
        has_sink,
        matrix.reshape(*values.shape[::2], -1),
        isinstance(gate, Tensor),
        scale,
        norm,
        _exact(output),
    )


def _exact(tensor: Tensor) -> Tensor:
    return tensor.to(exact_dtype(tensor))


def _values(
    site: Site, weights: Float[Tensor, "heads keys"], cache: KVCache
) -> Float[Tensor, "heads keys _head"]:
    layers = getattr(cache.value, "layers", ())
    index = next(
        (i for module in site.block.modules() if isinstance(i := getattr(module, "layer_idx", None), int)),
        site.layer,
    )
    values = getattr(layers[index], "values", None) if index < len(layers) else None
    if not isinstance(values, Tensor) or not values.numel():
        raise NotASum("its cache holds no values of its own")
    n_heads, n_keys = weights.shape
    if values.ndim == 4 and values.shape[2] < n_keys:
        raise NotASum(f"its cache keeps the values of the last {values.shape[2]} tokens alone")
    if values.ndim != 4 or values.shape[2] != n_keys or n_heads % values.shape[1]:
        raise NotASum(
            f"its cache holds values of shape {tuple(values.shape)} for {n_heads} heads and {n_keys} tokens"
        )
    own: Tensor = values[0]
    return own.repeat_interleave(n_heads // values.shape[1], dim=0)


def _output_projection(
    heads: Float[Tensor, " side_by_side"], streams: _Streams, layer: int, calls: _Calls
) -> tuple[nn.Module, Vector, Float[Tensor, " side_by_side"] | float]:
    """The matrix that reads the heads' outputs side by side, what it gives, and the gate before it.

    A gate, which depends on the token alone, is taken to be whatever is between; the check of the sum finds out.
    """
    wide = [
        call
        for call in calls.seen
        if isinstance(call[0], nn.Linear | Conv1D) and call[1].shape == heads.shape
    ]
    for module, given, made in wide:
        if is_same(given, heads):
            return module, made, 1.0
    for module, given, made in reversed(wide):
        with suppress(NotASum):
            _way_to_stream(made, streams, layer, calls)
            return module, made, (given / heads).nan_to_num(posinf=0.0, neginf=0.0)
    raise NotASum("no matrix reads Σ α v: its attention does more to the values than weigh them")


def _matrix(projection: nn.Module) -> Float[Tensor, "_in hidden"]:
    weight: Any = projection.weight
    if weight.device.type == "meta" or not weight.is_floating_point() or weight.ndim != 2:
        raise NotASum(
            "the weights of its output projection are quantized or elsewhere: load the model without that"
        )
    matrix: Tensor = weight if isinstance(projection, Conv1D) else weight.T
    return matrix


def _way_to_stream(
    output: Vector, streams: _Streams, layer: int, calls: _Calls
) -> tuple[float, nn.Module | None]:
    """The factor, or the norm, by which the projection's output becomes what is added to the stream."""
    if layer not in streams.inputs or layer not in streams.residuals:
        raise NotASum("its residual stream is not seen")
    added = streams.residuals[layer] - streams.inputs[layer]
    if is_same(added, output):
        return 1.0, None
    for module, given, made in calls.seen:
        if is_same(given, output) and is_same(made, added) and not isinstance(module, nn.Linear | Conv1D):
            return 1.0, module
    scale = float(added @ output / (output @ output)) if added.shape == output.shape else 0.0
    if scale and is_same(added, scale * output):
        return scale, None
    raise NotASum("something else than its attention is added to the residual stream before the MLP")


def is_same(found: Float[Tensor, " _found"], wanted: Float[Tensor, " _wanted"]) -> bool:
    """Whether two vectors are one but for rounding."""
    if found.shape != wanted.shape:
        return False
    return bool((found - wanted.to(found)).norm() <= SAME * wanted.norm())
