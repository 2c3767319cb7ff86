"""Whether the patch is right on the loaded model and one prompt, with controls beside it.

Enters: ids. Leaves: a :class:`~icltui.values.Verification`. Identity and block errors are relative, at the
query's last token, layer by layer in the patched run. Δb is the measured residual difference δ, never
``O_actual − O_without``, which would make the check a tautology.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.generate.generate import logit_error
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture, States
from icltui.engine.hooks.site import Site
from icltui.engine.measure.forward_pass import forward, forward_states, position_ids
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.exactness_at_load import tolerance_of
from icltui.engine.patch.patch import TokenPatch
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.verify.gradient_alignment import gradient_alignment
from icltui.engine.verify.layer_check import LayerRuns, check_layer
from icltui.engine.verify.noise_floor import LastInputs, Outputs, noise_floor, resolution
from icltui.engine.verify.verdict import judge
from icltui.values import LogitError, Verification
from icltui.values.prompt import Positions
from icltui.values.recipe import Components

NOTE = (
    "The identity holds for any vectors, trained or not, and once the last layer is patched its output is the "
    "contextual one by construction: small errors prove the hooks, not the theory. What is no tautology: how far "
    "the controls and ΔW or Δb alone miss, and what a frozen patch says on tokens it was not made from."
)


@dataclass(frozen=True)
class _Setup:
    """The model and the prompt that are verified."""

    loaded: LoadedModel
    sites: Sequence[Site]
    ids: Ids
    positions: Positions

    @property
    def at(self) -> Sequence[int]:
        """The positions of the row without the context."""
        return position_ids(self.ids, (0, len(self.ids.context)), self.positions)

    def plain(self) -> Float[Tensor, " vocabulary"]:
        """Logits of the query alone."""
        return forward(self.loaded.model, self.ids.plain, position_ids=self.at)

    def contextual(self, ids: Ids) -> tuple[Float[Tensor, " vocabulary"], States]:
        """Logits after the query in its context, and the states of its tokens."""
        return forward_states(self.loaded.model, self.sites, ids.full, len(ids.query))

    def patched(self, patch: TokenPatch, targets: States) -> tuple[Float[Tensor, " vocabulary"], Capture]:
        """Logits of the patched query, and z before its map, v and block outputs at its last token."""
        patch.aim(targets, slice(len(self.ids.prefix), None))
        # The capture sees z before the patch's map, and the block's output after its shift.
        capture = Capture(slice(-1, None))
        with (
            attach(patch.sites, _Before(capture)),
            attach(patch.sites, patch),
            attach(patch.sites, _After(capture)),
        ):
            return forward(self.loaded.model, self.ids.plain, position_ids=self.at), capture


def verify(
    loaded: LoadedModel,
    sites: Sequence[Site],
    ids: Ids,
    seed: int,
    on_progress: ProgressCallback = ignore_progress,
    positions: Positions = "reset",
) -> Verification:
    """Every check of one prompt; ``on_progress`` gets the name of each before it begins."""
    setup = _Setup(loaded, sites, ids, positions)
    on_progress("context")
    with attach(sites, wanted := Outputs()), attach(sites, inputs := LastInputs.of(loaded, ids)):
        context, targets = setup.contextual(ids)
    on_progress("plain")
    with attach(sites, unpatched := Outputs()):
        before = setup.plain()
    logits = {"plain": logit_error(context, before)}
    components: dict[str, Components] = {"weights": "weights", "shift": "shift", "patched": "both"}
    captured: dict[str, Capture] = {}
    outputs: dict[str, Outputs] = {}
    for name, which in components.items():
        on_progress(name)
        with attach(sites, outputs.setdefault(name, Outputs())):
            logits_of, captured[name] = setup.patched(TokenPatch(sites, which), targets)
        logits[name] = logit_error(context, logits_of)
    on_progress("controls")
    controls = _controls(setup, context, targets, seed)
    on_progress("noise floor")
    undone = bool(torch.equal(before, setup.plain()))
    floor = noise_floor(loaded, sites, ids, context, wanted, inputs)
    on_progress("gradient")
    aligned = gradient_alignment(loaded, sites, ids.plain, setup.at, context, targets)
    last, both, half = targets.token(-1), captured["patched"].states(), captured["weights"].states()
    tolerance = tolerance_of(loaded)
    layers = tuple(
        check_layer(
            site,
            LayerRuns(
                wanted=last.layers(slice(k, k + 1)),
                got=both.layers(slice(k, k + 1)),
                weights=half.layers(slice(k, k + 1)),
                mlp=(wanted.mlp[n], unpatched.mlp[n], outputs["weights"].mlp[n]),
                block=(wanted.block[n], unpatched.block[n]),
                floors=(floor.mlp[n], floor.block[n]),
            ),
            loaded.dtype,
            tolerance,
            aligned[k],
        )
        for k, (n, site) in enumerate((site.layer, site) for site in sites)
    )
    scale = float(context.abs().max())
    verdict = judge(
        layers,
        logits,
        floor.logits,
        scale,
        resolution(loaded.dtype, targets.z.shape[-1]),
        tolerance,
        undone=undone,
        reaches=bool(sites) and sites[-1].layer == loaded.n_layers - 1,
    )
    return Verification(
        layers=layers,
        logits=logits,
        controls=controls,
        noise_floor=floor.logits,
        undone=undone,
        tolerance=verdict.tolerance,
        ok=verdict.ok,
        note=NOTE,
        seed=seed,
        logit_scale=scale,
        patched_share=finite_or_none(verdict.error),
        noise_share=finite_or_none(verdict.noise),
        allowed=finite_or_none(verdict.allowed),
        caveat=verdict.caveat,
    )


class _Before(Capture):
    """Hands z and v, before the patch, on to another capture."""

    def __init__(self, keeper: Capture) -> None:
        super().__init__(keeper.at)
        self.kept |= {name: keeper.kept[name] for name in ("z", "v")}


class _After(Capture):
    """Hands block outputs, after the patch, on to another capture."""

    def __init__(self, keeper: Capture) -> None:
        super().__init__(keeper.at)
        self.kept["output"] = keeper.kept["output"]


def _controls(
    setup: _Setup, context: Float[Tensor, " vocabulary"], targets: States, seed: int
) -> dict[str, LogitError]:
    """A patch of random directions and equal norms, and the patch of the shuffled context."""
    noise = torch.Generator().manual_seed(seed)
    random, _ = setup.patched(TokenPatch(setup.sites, "both", noise=noise), targets)
    order = torch.randperm(len(setup.ids.context), generator=noise).tolist()
    mixed = replace(setup.ids, context=tuple(setup.ids.context[k] for k in order))
    _, wrong = setup.contextual(mixed)
    shuffled, _ = setup.patched(TokenPatch(setup.sites, "both"), wrong)
    return {"random": logit_error(context, random), "shuffled": logit_error(context, shuffled)}
