"""Is it right? Proof of the patch on the loaded model and this very prompt, with its controls beside it.

Enters: ids. Leaves: a :class:`~icltui.record.Verification`. Identity and block errors are relative, at the
query's last token, layer by layer in the patched run. Δb is the measured residual difference δ, never
``O_actual − O_without``, which would make the check a tautology.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from icltui.engine.capture import Capture, States
from icltui.engine.dynamics import plain
from icltui.engine.generate import ContextRun, logit_error
from icltui.engine.model import LoadedModel
from icltui.engine.patch import TokenPatch, apply_map
from icltui.engine.prefixes import forward, sample_ids
from icltui.engine.site import Site, attach
from icltui.engine.tokens import Ids
from icltui.engine.update import project
from icltui.errors import ModelError
from icltui.record import Components, LayerCheck, LogitError, Verification

TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Relative errors allowed, by the model's dtype; float64 as float32, since norms compute in float32 inside."""

NOTE = (
    "The identity holds for any vectors, trained or not, and once the last layer is patched its output is the "
    "contextual one by construction: small errors prove the hooks, not the theory. What is no tautology: how far "
    "the controls and ΔW or Δb alone miss, and what a frozen patch says on tokens it was not made from."
)


def verify(
    loaded: LoadedModel,
    sites: Sequence[Site],
    ids: Ids,
    seed: int,
    progress: Callable[[str], None] = lambda _stage: None,
) -> Verification:
    """Every check of one prompt; ``progress`` is told the stage at hand and may raise to stop."""
    progress("context")
    context, targets = ContextRun(loaded.model, sites=sites).states(ids.full, len(ids.query))
    progress("plain")
    before = forward(loaded.model, ids.plain)
    logits = {"plain": logit_error(context, before)}
    components: dict[str, Components] = {"weights": "weights", "shift": "shift", "patched": "both"}
    captured: dict[str, Capture] = {}
    for name, which in components.items():
        progress(name)
        patch = TokenPatch(sites, which)
        logits_of, captured[name] = _patched(loaded, patch, ids, targets)
        logits[name] = logit_error(context, logits_of)
    progress("controls")
    controls = _controls(loaded, sites, ids, context, targets, seed)
    progress("noise floor")
    undone = bool(torch.equal(before, forward(loaded.model, ids.plain)))
    layers = _layer_checks(sites, captured["patched"].states(), targets.token(-1))
    tolerance = TOLERANCES.get(loaded.dtype, 5e-2)
    scale = float(context.abs().max())
    noise_floor = _noise_floor(loaded, ids, context)
    return Verification(
        layers=layers,
        logits=logits,
        controls=controls,
        noise_floor=noise_floor,
        undone=undone,
        tolerance=tolerance,
        ok=undone
        and noise_floor <= tolerance * scale
        and _exact(layers, tolerance)
        and _reaches(loaded, sites, logits["patched"], tolerance * scale),
        note=NOTE,
    )


def prove(loaded: LoadedModel) -> None:
    """Refuse a model on which the patch is not exact, on a few arbitrary tokens: its numbers would be wrong in silence.

    Raises:
        ModelError: naming the first layer that fails, and by how much.
    """
    ids = sample_ids(loaded, n_context=6, n_query=3)
    _, targets = ContextRun(loaded.model, sites=loaded.sites).states(ids.full, len(ids.query))
    _, captured = _patched(loaded, TokenPatch(loaded.sites, "both"), ids, targets)
    tolerance = TOLERANCES.get(loaded.dtype, 5e-2)
    for check in _layer_checks(loaded.sites, captured.states(), targets.token(-1)):
        if check.block_error is None or check.block_error > tolerance:
            error = "not a number" if check.block_error is None else f"{check.block_error:.1e}"
            raise ModelError(
                f"{type(loaded.model).__name__} cannot be explored: at layer {check.layer} the patched block misses "
                f"the contextual one by {error} (allowed: {tolerance:.0e}), so its blocks are not v + MLP(z)"
            )


def _patched(loaded: LoadedModel, patch: TokenPatch, ids: Ids, targets: States) -> tuple[Tensor, Capture]:
    """Logits of the patched query, and z before its map, v and block outputs at its last token."""
    patch.aim(targets, n_kept=len(ids.prefix))
    # The capture stands in front of the patch's map, to see z as it comes, and behind its shift.
    capture = Capture(slice(-1, None))
    with (
        attach(patch.sites, _Before(capture)),
        attach(patch.sites, patch),
        attach(patch.sites, _After(capture)),
    ):
        return forward(loaded.model, ids.plain), capture


class _Before(Capture):
    """Hands z and v on to another capture as they come in."""

    def __init__(self, keeper: Capture) -> None:
        super().__init__(keeper.at)
        self.zs, self.vs = keeper.zs, keeper.vs


class _After(Capture):
    """Hands block outputs on to another capture as they leave."""

    def __init__(self, keeper: Capture) -> None:
        super().__init__(keeper.at)
        self.outs = keeper.outs


def _controls(
    loaded: LoadedModel, sites: Sequence[Site], ids: Ids, context: Tensor, targets: States, seed: int
) -> dict[str, LogitError]:
    """A patch of random directions and equal norms, and the patch of the shuffled context."""
    noise = torch.Generator().manual_seed(seed)
    random, _ = _patched(loaded, TokenPatch(sites, "both", noise=noise), ids, targets)
    order = torch.randperm(len(ids.context), generator=noise).tolist()
    mixed = replace(ids, context=tuple(ids.context[k] for k in order))
    _, wrong = ContextRun(loaded.model, sites=sites).states(mixed.full, len(ids.query))
    shuffled, _ = _patched(loaded, TokenPatch(sites, "both"), ids, wrong)
    return {"random": logit_error(context, random), "shuffled": logit_error(context, shuffled)}


def _noise_floor(loaded: LoadedModel, ids: Ids, context: Tensor) -> float:
    """L∞ between the contextual logits and the same from a run in two pieces, whose kernels differ in length."""
    cache = DynamicCache(config=loaded.model.config)
    before = [*ids.prefix, *ids.context]
    if before:
        forward(loaded.model, before, cache)
    return float((forward(loaded.model, ids.query, cache, past=len(before)) - context).abs().max())


def _layer_checks(sites: Sequence[Site], got: States, wanted: States) -> tuple[LayerCheck, ...]:
    checks = []
    for k, site in enumerate(sites):
        z, z_context = got.z[k], wanted.z[k]
        identity = relative_error(project(site, apply_map(z, z, z_context - z)), project(site, z_context))
        actual, predicted = wanted.out[k], got.out[k]
        checks.append(
            LayerCheck(
                layer=site.layer,
                identity_error=plain(identity),
                block_error=plain(relative_error(predicted, actual)),
                cosine=plain(torch.nn.functional.cosine_similarity(predicted, actual, dim=-1).mean()),
                nmse=plain((predicted - actual).square().mean() / actual.square().mean()),
            )
        )
    return tuple(checks)


def relative_error(got: Float[Tensor, "*shape"], wanted: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """‖got − wanted‖ / ‖wanted‖."""
    error: Tensor = (got - wanted).norm() / wanted.norm()
    return error


def _exact(layers: Sequence[LayerCheck], tolerance: float) -> bool:
    errors = [error for check in layers for error in (check.identity_error, check.block_error)]
    return all(error is not None and error <= tolerance for error in errors)


def _reaches(loaded: LoadedModel, sites: Sequence[Site], patched: LogitError, tolerance: float) -> bool:
    """The logits follow only when the last layer is among the patched ones; else there is nothing to ask."""
    if not sites or sites[-1].layer != loaded.sites[-1].layer:
        return True
    return patched.linf is not None and patched.linf <= tolerance
