"""Whether the first position of a row without a kept token is an attention sink, measured on the loaded model.

Enters: a loaded model. Leaves: a :class:`~icltui.values.Sink`, or None. A sink's residual norm is many times the
others' (massive activations, arXiv 2402.17762), and the later tokens attend to it (StreamingLLM, arXiv 2309.17453).
The norm decides, which any kernel shows in one pass; weights of attention would take the model's slow kernel.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture
from icltui.engine.measure.forward_pass import forward
from icltui.engine.measure.packing_check import sample_ids
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values import Sink
from icltui.values.errors import EngineError, ForwardError

RATIO = 10.0
"""‖v‖ at position 0, over the others' median, from which it is a sink: one token then outweighs nine others.

Models without a sink show 1 to 3.4, SmolLM2-135M 150 to 190; see the manual, *models*.
"""
_N_TOKENS, _FEWEST = 16, 3
"""Tokens of the pass, and the fewest among which there are others with a median."""


@torch.inference_mode()
def find_sink(loaded: LoadedModel) -> Sink | None:
    """The sink at position 0; None where no layer shows one, or the model's positions hold too few tokens."""
    row = sample_ids(loaded, n_context=_N_TOKENS - 2, n_query=1).full[: loaded.window]
    if len(row) < _FEWEST:
        return None
    try:
        with attach(loaded.sites, Capture(slice(None))) as capture:
            forward(loaded.model, row)
    except (EngineError, ForwardError):
        return None  # numbers that are not finite, or more tokens than there are positions
    ratios = norm_ratios(capture.states().v)
    layers = [site.layer for site, ratio in zip(loaded.sites, ratios.tolist(), strict=True) if ratio >= RATIO]
    return Sink(position=0, ratio=float(ratios.max()), layers=tuple(layers)) if layers else None


def norm_ratios(v: Float[Tensor, "layers tokens hidden"]) -> Float[Tensor, " layers"]:
    """‖v‖ of the first token over the median of the others', at each layer; 0 where that is no finite number."""
    norms = v.norm(dim=-1)
    ratios = norms[:, 0] / norms[:, 1:].median(dim=1).values
    return torch.where(ratios.isfinite(), ratios, 0.0)
