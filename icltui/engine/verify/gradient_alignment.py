"""Whether ΔW is a gradient step, by one backward pass through the run without the context.

Enters: ids, the contextual distribution. Leaves, layer by layer, ``−cos(W δz, ∂ℓ/∂(W z))`` at the query's last token, ℓ
being the cross-entropy against the contextual distribution: 1 where the context moves the MLP as a step down that loss
does.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture, States
from icltui.engine.hooks.site import Site, is_offloaded
from icltui.engine.measure.forward_pass import forward
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.measure.rank_one import project
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values.errors import ForwardError


def gradient_alignment(
    loaded: LoadedModel,
    sites: Sequence[Site],
    row: Sequence[int],
    at: Sequence[int],
    contextual: Float[Tensor, " vocabulary"],
    targets: States,
) -> list[float | None]:
    """The alignment at each site; None where no matrix shows its output, as in a mixture of experts.

    ``row`` and ``at``: the tokens without the context and their positions; ``contextual``: logits with it; ``targets``:
    the states of the last token with it.
    """
    if is_offloaded(loaded.model):
        return [None] * len(sites)  # else the graph would hold every offloaded weight on its device at once
    images: dict[int, dict[str, Tensor]] = {site.layer: {} for site in sites}
    with torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
        embedding = loaded.model.get_input_embeddings()
        stack.callback(embedding.register_forward_hook(_with_gradient).remove)
        for site in sites:
            if any(projection.experts is not None for projection in site.input_projections):
                continue  # the experts' images of z are hidden, and the rest is not W
            for projection in site.input_projections:
                if isinstance(projection.module, nn.Linear | Conv1D):  # other modules need not return W z
                    keep = _keeping(images[site.layer], projection.name)
                    stack.callback(projection.module.register_forward_hook(keep).remove)
        capture = stack.enter_context(attach(sites, Capture(slice(-1, None))))
        try:
            log_p = forward(loaded.model, row, position_ids=at).log_softmax(-1)
            (-(contextual.clone().softmax(-1) * log_p).sum()).backward()  # type: ignore[no-untyped-call]
        except (RuntimeError, ForwardError):  # an operation without a derivative, as some kernels are
            return [None] * len(sites)
    states = capture.states()
    deltas = targets.z[:, -1].detach() - states.z[:, -1].detach()
    return [_alignment(site, delta, images[site.layer]) for site, delta in zip(sites, deltas, strict=True)]


def _with_gradient(
    _: nn.Module, __: Any, output: Float[Tensor, "*tokens hidden"]
) -> Float[Tensor, "*tokens hidden"]:
    return output.detach().requires_grad_()


def _keeping(kept: dict[str, Tensor], name: str) -> Any:
    def hook(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            output.retain_grad()
            kept[name] = output

    return hook


@torch.no_grad()
def _alignment(site: Site, delta: Float[Tensor, " hidden"], images: dict[str, Tensor]) -> float | None:
    moved = project(site, delta[None])
    pairs = [
        (moved[name][0], image.grad.reshape(-1, image.shape[-1])[-1].to(delta))
        for name, image in images.items()
        if image.grad is not None and image.shape[-1] == moved[name].shape[-1]
    ]
    if not pairs:
        return None
    u, gradient = (torch.cat(vectors) for vectors in zip(*pairs, strict=True))
    return finite_or_none(-torch.nn.functional.cosine_similarity(u, gradient, dim=-1, eps=0.0))
