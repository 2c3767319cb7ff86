"""A patch that stays in a model, tried: its fit, its logits beside controls, and the noise floor.

Enters: a built patch. Leaves: a :class:`~icltui.notebook.held_patch_report.HeldPatchReport`.
"""

from dataclasses import replace

import torch
from msgspec.structs import replace as with_changes

from icltui.api.progress_callback import ignore_progress
from icltui.engine.generate.generate import logit_error
from icltui.engine.generate.jobs import make_patch
from icltui.engine.hooks.attach import attach
from icltui.engine.measure.forward_pass import forward_states
from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.report import report_patch
from icltui.engine.verify.noise_floor import LastInputs, Outputs, noise_floor
from icltui.notebook.held_patch_report import HeldPatchReport
from icltui.values import LogitError
from icltui.values.recipe import Control

CONTROLS: tuple[Control, ...] = ("random", "shuffled")


@torch.no_grad()  # not inference mode, which rules derivatives in α out
def report_held(built: BuiltPatch) -> HeldPatchReport:
    """The report on ``built`` at its strength."""
    wanted = built.own.logits[0]

    def error(patch: BuiltPatch, alpha: float) -> LogitError:
        return logit_error(wanted, patched_logits(patch, built.own, alpha)[0])

    return HeldPatchReport(
        recipe=with_changes(built.spec.recipe, alpha=built.alpha),
        layers=tuple(site.layer for site in built.spec.sites),
        patch=report_patch(built),
        logits={"plain": error(built, 0.0), "patched": error(built, built.alpha)},
        controls={name: error(_control(built, name), built.alpha) for name in CONTROLS},
        noise_floor=contextual_noise(built),
    )


def _control(built: BuiltPatch, name: Control) -> BuiltPatch:
    recipe = with_changes(built.spec.recipe, control=name, alpha=1.0)
    return make_patch(replace(built.spec, recipe=recipe), ignore_progress)


@torch.no_grad()
def contextual_noise(built: BuiltPatch) -> float:
    """What rounding makes of right runs with the context, L∞ in logits."""
    spec = built.spec
    inputs = LastInputs.of(spec.loaded, spec.ids)
    with attach(spec.sites, wanted := Outputs()), attach(spec.sites, inputs):
        logits, _ = forward_states(spec.loaded.model, spec.sites, spec.ids.full, len(spec.ids.query))
    return noise_floor(spec.loaded, spec.sites, spec.ids, logits, wanted, inputs).logits
