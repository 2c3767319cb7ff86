"""The rounding error of z in half precision, measured on the loaded model, at each layer, against float32.

Enters: a model in half precision. Leaves: for each layer the error of z relative to ‖z‖, root mean square over the
tokens of a text. It hardly depends on the text and its length. Two prefixes between which a unit makes no difference
show ‖δ‖ = √2 times that error: a smaller ‖δ‖ is rounding.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture
from icltui.engine.measure.block_inputs import BlockInputs, GivenBlockInputs
from icltui.engine.measure.forward_pass import forward
from icltui.engine.measure.packing_check import reporting_passes
from icltui.engine.models.loaded_model import LoadedModel, RoundingLevel
from icltui.engine.models.upcast import can_compute_in_float32, computing_in_float32, is_quantized
from icltui.values.errors import ForwardError

_TEXT = (
    "The ship left the harbour at 7:45 with 312 passengers. Two days later a storm came up from the west, and "
    "the captain, who had seen worse, ordered tea. def area(r): return 3.14159 * r ** 2"
)
_STAGE, _N_PASSES = "measuring its rounding", 3
_N_TOKENS = 48
_N_FIRST = 8
"""Number of first tokens that are left out, since their attention sees few others."""


@torch.inference_mode()
def measure_rounding(
    loaded: LoadedModel, on_progress: ProgressCallback = ignore_progress
) -> dict[int, RoundingLevel]:
    """The rounding of each site's layer; empty where the model is not in half precision or cannot run in float32."""
    tokens = loaded.tokenizer(_TEXT).input_ids[:_N_TOKENS]
    if not can_compute_in_float32(loaded.model) or is_quantized(loaded.model) or len(tokens) <= _N_FIRST:
        return {}
    with reporting_passes(loaded, on_progress, _STAGE, _N_PASSES):
        return _measure(loaded, tokens)


def _measure(loaded: LoadedModel, tokens: list[int]) -> dict[int, RoundingLevel]:
    inputs = BlockInputs()
    with attach(loaded.sites, inputs):
        z = _z(loaded, tokens)
    try:
        with computing_in_float32(loaded.model):
            free = _error(z, _z(loaded, tokens))
            with attach(loaded.sites, GivenBlockInputs(inputs.in_float32(), torch.arange(len(tokens)))):
                local = _error(z, _z(loaded, tokens))
    except (RuntimeError, ForwardError):  # raised by modules that use each other's weights
        return {}
    pairs = zip(loaded.sites, free.tolist(), local.tolist(), strict=True)
    return {site.layer: RoundingLevel(f, o) for site, f, o in pairs if math.isfinite(f) and math.isfinite(o)}


def _z(loaded: LoadedModel, tokens: list[int]) -> Float[Tensor, "layers tokens hidden"]:
    with attach(loaded.sites, Capture(slice(_N_FIRST, None))) as capture:
        forward(loaded.model, tokens)
    return capture.states().z


def _error(
    z: Float[Tensor, "layers tokens hidden"], exact: Float[Tensor, "layers tokens hidden"]
) -> Float[Tensor, " layers"]:
    """‖z − exact‖ / ‖exact‖, root mean square over the tokens."""
    relative: Tensor = (z - exact).norm(dim=-1) / exact.norm(dim=-1)
    return relative.square().mean(dim=-1).sqrt()
