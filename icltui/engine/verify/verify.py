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
from icltui.engine.measure.forward_pass import KVCache, can_use_cache, forward, forward_states, position_ids
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.measure.rank_one import Experts, exact_dtype, project, weight_norm
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.exactness_at_load import MlpOutputs, relative_error, tolerance_of
from icltui.engine.patch.patch import TokenPatch, apply_map
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.verify.gradient_alignment import gradient_alignment
from icltui.engine.verify.verdict import judge
from icltui.values import LayerCheck, LogitError, Verification
from icltui.values.prompt import Positions
from icltui.values.recipe import Components

N_PROBES = 16
"""Number of random vectors that ΔW multiplies, up to which its rank shows."""

N_BEHIND = 7
"""Number of tokens after the prompt in a run of another length."""

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
    with attach(sites, mlps := MlpOutputs()):
        context, targets = setup.contextual(ids)
    on_progress("plain")
    before = setup.plain()
    logits = {"plain": logit_error(context, before)}
    components: dict[str, Components] = {"weights": "weights", "shift": "shift", "patched": "both"}
    captured: dict[str, Capture] = {}
    outputs: dict[str, MlpOutputs] = {}
    for name, which in components.items():
        on_progress(name)
        with attach(sites, outputs.setdefault(name, MlpOutputs())):
            logits_of, captured[name] = setup.patched(TokenPatch(sites, which), targets)
        logits[name] = logit_error(context, logits_of)
    on_progress("controls")
    controls = _controls(setup, context, targets, seed)
    on_progress("noise floor")
    undone = bool(torch.equal(before, setup.plain()))
    noise_floor = _noise_floor(loaded, ids, context)
    on_progress("gradient")
    aligned = gradient_alignment(loaded, sites, ids.plain, setup.at, context, targets)
    got, wanted = captured["patched"].states(), targets.token(-1)
    layers = tuple(
        _layer_check(
            site,
            got.layers(slice(k, k + 1)),
            wanted.layers(slice(k, k + 1)),
            (outputs["weights"].seen[site.layer], mlps.seen[site.layer]),
            aligned[k],
        )
        for k, site in enumerate(sites)
    )
    scale = float(context.abs().max())
    verdict = judge(
        layers,
        logits,
        noise_floor,
        scale,
        tolerance_of(loaded),
        undone=undone,
        reaches=bool(sites) and sites[-1].layer == loaded.n_layers - 1,
    )
    return Verification(
        layers=layers,
        logits=logits,
        controls=controls,
        noise_floor=noise_floor,
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


def _noise_floor(loaded: LoadedModel, ids: Ids, context: Float[Tensor, " vocabulary"]) -> float:
    """L∞ between the contextual logits and those of a run with other lengths, whose kernels differ.

    The other run is in two pieces or, where the model cannot continue from a cache, has more tokens at its end.
    """
    if can_use_cache(loaded.model):
        cache = KVCache()
        if before := [*ids.prefix, *ids.context]:
            forward(loaded.model, before, cache)
        again = forward(loaded.model, ids.query, cache)
    else:
        room = N_BEHIND if loaded.window is None else min(N_BEHIND, loaded.window - len(ids.full))
        row = [*ids.full, *ids.query[:1] * room]
        again = forward(loaded.model, row, logits_to_keep=torch.tensor([len(ids.full) - 1]))[0]
    return float((again - context).abs().max())


def _layer_check(
    site: Site,
    got: States,
    wanted: States,
    mlp_outputs: tuple[Float[Tensor, " hidden"], Float[Tensor, " hidden"]],
    alignment: float | None,
) -> LayerCheck:
    """One layer's numbers, from states of one token and MLP outputs under ΔW alone and with the context."""
    z, z_context = got.z[0], wanted.z[0]
    chosen = wanted.experts.get(site.layer)
    experts = None if chosen is None else sorted(set(chosen[-1].tolist()))
    moved, real = (_image(site, x, experts) for x in (apply_map(z, z, z_context - z), z_context))
    actual, predicted = wanted.out[0], got.out[0]
    return LayerCheck(
        layer=site.layer,
        identity_error=finite_or_none(relative_error(moved, real)),
        block_error=finite_or_none(relative_error(predicted, actual)),
        cosine=finite_or_none(torch.nn.functional.cosine_similarity(predicted, actual, dim=-1).mean()),
        nmse=finite_or_none((predicted - actual).square().mean() / actual.square().mean()),
        mlp_error=finite_or_none(relative_error(*mlp_outputs)),
        rank=_rank(site, z, z_context - z, experts),
        gradient_alignment=alignment,
    )


def _image(site: Site, x: Float[Tensor, "rows hidden"], experts: Experts) -> Float[Tensor, "rows inner"]:
    return torch.cat(list(project(site, x, experts).values()), dim=-1)


def _rank(site: Site, z: Float[Tensor, "1 hidden"], dz: Float[Tensor, "1 hidden"], experts: Experts) -> int:
    """The numerical rank of ΔW as the map acts, by SVD of ΔW Ω for Gaussian Ω, in float64 where the device has it.

    With probability 1 the rank of ΔW Ω is that of ΔW, up to the number of columns (Halko et al. 2011, theorem 9.1).
    """
    exact = exact_dtype(z)
    random = torch.randn(N_PROBES, z.shape[-1], generator=torch.Generator().manual_seed(0), dtype=exact)
    probes, z, dz = random.to(z.device), z.to(exact), dz.to(exact)
    change = _image(site, apply_map(probes, z, dz) - probes, experts)
    if not change.isfinite().all():
        return 0
    rounding = 64 * torch.finfo(exact).eps * float(probes.norm()) * weight_norm(site, experts)
    return int(torch.linalg.matrix_rank(change, atol=rounding))
