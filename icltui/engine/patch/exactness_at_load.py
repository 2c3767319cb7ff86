"""Whether the patch is exact on a model, tried when it is loaded, on a few arbitrary tokens, layer by layer.

Enters: a wrapped model. Leaves: the model without its inexact layers, and a :class:`LoadCheck`. At each
layer: the hook sees the tensor that the first MLP matrices read; the MLP's output under ΔW equals the contextual one; a
wrong context's does not; the block's output with the shift equals the contextual one; and afterwards the logits are bit
for bit those before. Where several tensors could be v, the block's error decides.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture, States, widen
from icltui.engine.hooks.site import Site, SiteHook, hidden_input
from icltui.engine.hooks.trace import is_made_of
from icltui.engine.measure.forward_pass import forward, forward_states
from icltui.engine.measure.packing_check import reporting_passes, sample_ids
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.patch import TokenPatch
from icltui.values import RefusedLayer
from icltui.values.errors import EngineError, ForwardError, ModelError
from icltui.values.recipe import Components

TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Relative errors allowed, by the model's dtype; float64 as float32, since norms compute in float32."""
_STAGE, _N_PASSES = "proving the patch on it", 9
"""Stage of progress, and its passes where every layer proves at once."""
_FAULTS = (RuntimeError, LookupError, AttributeError, TypeError, ValueError, ForwardError)


def tolerance_of(loaded: LoadedModel) -> float:
    """The relative error that a check allows on this model."""
    return TOLERANCES.get(loaded.dtype, 5e-2)


@dataclass(frozen=True)
class LayerTrial:
    """The trial of one layer; errors are relative to the contextual values, at the query's last token."""

    layer: int
    sees_z: bool
    """Whether every matrix received the tensor that the hook saw."""
    mlp_error: float
    """The error of the MLP's output under ΔW alone."""
    wrong_context: float
    """The error of the MLP's output under the ΔW of another context."""
    block_error: float
    """The error of the block's output under ΔW and the shift."""
    fault: str | None
    """Why the layer cannot be used; None where it can."""


@dataclass(frozen=True)
class LoadCheck:
    """The result of the trial: every layer, and the logits."""

    layers: tuple[LayerTrial, ...]
    logit_error: float
    """Last-token logits with every usable layer patched: L∞ over the largest contextual one."""
    undone: bool
    """Whether the logits after the patches are bit for bit those before."""


def check_at_load(loaded: LoadedModel, on_progress: ProgressCallback = ignore_progress) -> LoadedModel:
    """The model without the layers that cannot be used.

    Raises:
        ModelError: no layer can be used, a patch leaves a trace, or the model gives no numbers.
    """
    try:
        sites, check = check_layers(loaded, on_progress)
    except EngineError as error:
        raise _unusable(loaded, str(error)) from error
    if not check.undone:
        raise _unusable(loaded, "its logits are not the same after a patch as before")
    last = check.layers[-1]
    reaches_end = last.layer == loaded.n_layers - 1 and not last.fault
    if reaches_end and not check.logit_error <= tolerance_of(loaded):
        raise _unusable(
            loaded,
            f"with the last layer patched its logits miss the contextual ones by {check.logit_error:.1e}, so what was "
            "taken for its blocks are none",
        )
    refused = [RefusedLayer(layer=p.layer, reason=p.fault) for p in check.layers if p.fault]
    usable = tuple(site for site, p in zip(sites, check.layers, strict=True) if not p.fault)
    if not usable:
        others = ", and so at every other" if len(refused) > 1 else ""
        raise _unusable(loaded, f"at layer {refused[0].layer} {refused[0].reason}{others}")
    everything = sorted([*loaded.refused, *refused], key=lambda r: r.layer)
    return replace(loaded, sites=usable, refused=tuple(everything))


def _unusable(loaded: LoadedModel, reason: str) -> ModelError:
    return ModelError(f"{type(loaded.model).__name__} cannot be explored: {reason}")


@torch.inference_mode()
def check_layers(
    loaded: LoadedModel, on_progress: ProgressCallback = ignore_progress
) -> tuple[tuple[Site, ...], LoadCheck]:
    """Each site with the v that proves best, and its trial."""
    with reporting_passes(loaded, on_progress, _STAGE, _N_PASSES):
        return _check_layers(loaded)


def _check_layers(loaded: LoadedModel) -> tuple[tuple[Site, ...], LoadCheck]:
    trial = _Trial(loaded)
    before = forward(loaded.model, trial.ids.plain)
    best = list(zip(loaded.sites, trial.layers(loaded.sites), strict=True))
    for attempt in range(max(len(site.other_residuals) for site in loaded.sites)):
        others = [
            replace(site, residual=site.other_residuals[attempt])
            if found.block_error > trial.tolerance / 10 and attempt < len(site.other_residuals)
            else site
            for site, found in best
        ]
        if all(other is site for other, (site, _) in zip(others, best, strict=True)):
            continue
        tried = zip(others, trial.layers(others), strict=True)
        best = [
            new if new[0] is not old[0] and new[1].block_error < old[1].block_error else old
            for old, new in zip(best, tried, strict=True)
        ]
    usable = [site for site, found in best if not found.fault]
    check = LoadCheck(
        layers=tuple(found for _, found in best),
        logit_error=trial.logit_error(usable) if usable else math.inf,
        undone=bool(torch.equal(before, forward(loaded.model, trial.ids.plain))),
    )
    return tuple(site for site, _ in best), check


@dataclass
class MlpOutputs(SiteHook):
    """The MLP's output at the row's last token."""

    seen: dict[int, Float[Tensor, " hidden"]] = field(default_factory=dict)

    def mlp_output(self, layer: int, out: Float[Tensor, "tokens hidden"]) -> None:
        self.seen[layer] = widen(out[-1]).clone()


class _Trial:
    """The prompt that the model is tried on: one query in a context, alone, and in another context."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded, self.tolerance = loaded, tolerance_of(loaded)
        self.ids = sample_ids(loaded, n_context=6, n_query=3)
        other = sample_ids(loaded, n_context=6, n_query=3, seed=1_000_003)
        self.wrong = replace(self.ids, context=other.context)
        self.logits: dict[tuple[Site, ...], tuple[Tensor, Tensor]] = {}
        """Last-token logits with the context, and patched at all of these sites together instead."""

    def layers(self, sites: Sequence[Site]) -> list[LayerTrial]:
        """The trial of each of ``sites``; where one of them breaks the run, each on its own."""
        try:
            return self._together(sites)
        except _FAULTS as error:
            if len(sites) > 1:
                return [check for site in sites for check in self.layers([site])]
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            return [LayerTrial(sites[0].layer, False, math.inf, math.inf, math.inf, reason)]

    def logit_error(self, sites: Sequence[Site]) -> float:
        """L∞ of the last-token logits with ``sites`` patched, over the largest contextual logit."""
        if tuple(sites) not in self.logits:  # a layer fell away, so these were not yet patched together
            context, targets = self._states(sites, self.ids.full)
            self.logits[tuple(sites)] = context, self._patched(sites, "both", targets)[0]
        context, patched = self.logits[tuple(sites)]
        return float((patched - context).abs().max() / context.abs().max())

    def _together(self, sites: Sequence[Site]) -> list[LayerTrial]:
        # Whoever only listens shares a pass, as each pass reads all weights.
        with attach(sites, contextual := MlpOutputs()), _ProjectionInputs(sites) as inputs:
            context, targets = self._states(sites, self.ids.full)
        _, others = self._states(sites, self.wrong.full)
        with attach(sites, patched := MlpOutputs()):
            self._patched(sites, "weights", targets)
        with attach(sites, wrong := MlpOutputs()):
            self._patched(sites, "weights", others)
        errors, together = self._block_errors(sites, targets)
        self.logits[tuple(sites)] = context, together
        checks = []
        for k, site in enumerate(sites):
            real = contextual.seen[site.layer]
            check = LayerTrial(
                layer=site.layer,
                sees_z=inputs.are_z(site.layer),
                mlp_error=relative_error(patched.seen[site.layer], real),
                wrong_context=relative_error(wrong.seen[site.layer], real),
                block_error=errors[k],
                fault=None,
            )
            # If z does not depend on the context, no context is wrong.
            is_told_apart = relative_error(others.z[k, -1], targets.z[k, -1]) > 10 * self.tolerance
            checks.append(replace(check, fault=self._fault(check, is_told_apart)))
        return checks

    def _block_errors(
        self, sites: Sequence[Site], targets: States
    ) -> tuple[list[float], Float[Tensor, " vocabulary"]]:
        """At each layer the worse of two, with every layer patched and with every other; and the former's logits.

        A block above a patched block has its contextual input; above an unpatched block, its output is the contextual
        one only if it depends on nothing but v.
        """
        errors = [0.0] * len(sites)
        logits = []
        for at in (slice(None), slice(0, None, 2), slice(1, None, 2)):
            some, wanted = sites[at], targets.layers(at)
            if some:
                of_some, got = self._patched(some, "both", wanted)
                logits.append(of_some)
                for k, layer in enumerate(range(len(sites))[at]):
                    errors[layer] = max(errors[layer], relative_error(got.out[k, -1], wanted.out[k, -1]))
        return errors, logits[0]

    def _states(self, sites: Sequence[Site], row: list[int]) -> tuple[Float[Tensor, " vocabulary"], States]:
        return forward_states(self.loaded.model, sites, row, len(self.ids.query))

    def _patched(
        self, sites: Sequence[Site], components: Components, targets: States
    ) -> tuple[Float[Tensor, " vocabulary"], States]:
        patch = TokenPatch(sites, components)
        patch.aim(targets, slice(len(self.ids.prefix), None))
        with attach(sites, patch), attach(sites, Capture(slice(-1, None))) as capture:
            logits = forward(self.loaded.model, self.ids.plain)
        return logits, capture.states()

    def _fault(self, check: LayerTrial, is_told_apart: bool) -> str | None:
        limit = f"(allowed: {self.tolerance:.0e})"
        if not check.sees_z:
            return "its matrices read something else than the MLP's input"
        if not check.mlp_error <= self.tolerance:
            return f"the patched MLP misses the contextual one by {check.mlp_error:.1e} {limit}"
        if not check.block_error <= self.tolerance:
            return (
                f"the patched block misses the contextual one by {check.block_error:.1e} {limit}, "
                "so it is not v + MLP(z)"
            )
        if is_told_apart and not check.wrong_context > self.tolerance:
            return "another context's patch does as well, so its MLP does not show what the patch does"
        return None


class _ProjectionInputs:
    """Listens to one run: the tensors that every matrix receives, and the z that the hooks see."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.sites, self.whole = sites, Capture(slice(None))
        self.seen: dict[int, list[Tensor]] = {site.layer: [] for site in sites}
        self.stack = ExitStack()

    def __enter__(self) -> "_ProjectionInputs":
        self.stack.enter_context(attach(self.sites, self.whole))
        for site in self.sites:
            for projection in site.input_projections:
                hook = _keeping(self.seen[site.layer])
                handle = projection.module.register_forward_pre_hook(hook, with_kwargs=True)
                self.stack.callback(handle.remove)
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def are_z(self, layer: int) -> bool:
        """Whether every matrix received rows that the hook saw."""
        return all(is_made_of(tensor, self.whole.kept["z"][layer]) for tensor in self.seen[layer])


def _keeping(kept: list[Tensor]) -> Any:
    def hook(_: nn.Module, args: Any, kwargs: Any) -> None:
        kept.append(hidden_input(args, kwargs))

    return hook


def relative_error(got: Float[Tensor, "*shape"], wanted: Float[Tensor, "*shape"]) -> float:
    """‖got − wanted‖ / ‖wanted‖; 0 where both are 0, infinite where it is NaN."""
    difference = float((got - wanted).norm())
    scale = float(wanted.norm())
    error = difference / scale if scale else (0.0 if difference == 0 else math.inf)
    return error if math.isfinite(error) else math.inf
