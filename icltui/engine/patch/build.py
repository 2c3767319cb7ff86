"""A patch built by its recipe, for one prompt.

Enters: a :class:`PatchSpec`. Leaves: a :class:`BuiltPatch`: the patch, and the passages that
it was made from. *frozen* holds the patch of the query's last token; *compiled* holds one patch of every token of one
or several queries and of the model's continuation in the context; *per-step* holds none, as a patch is made for
each token while text is generated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from msgspec.structs import replace as with_changes

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.site import Site
from icltui.engine.metric.background import Background
from icltui.engine.metric.metric import LayerMetric
from icltui.engine.metric.ordinary import ordinary_moments
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.calibration import Passage, PassageReader, in_other_context
from icltui.engine.patch.fit import FitPass, FittedTokens, fit_pass
from icltui.engine.patch.fitter import FittedLayer
from icltui.engine.patch.patch import Alpha, HeldPatch, LayerPatch, TokenPatch, control_noise
from icltui.engine.prompts.tokenize import Ids
from icltui.values import LayerFit, PromptIds
from icltui.values.prompt import Positions
from icltui.values.recipe import Recipe, strengths_of

N_LATER = 8
"""Tokens of the contextual continuation, after the fitted ones, that a patch is tested on."""


@dataclass(frozen=True)
class PatchSpec:
    """A patch to be built: the model, the layers, the tokens and the recipe."""

    loaded: LoadedModel
    sites: Sequence[Site]
    ids: Ids
    positions: Positions
    recipe: Recipe
    calibration: tuple[Ids, ...] = ()
    """The recipe's queries after the prompt's context."""
    holdout: tuple[Ids, ...] = ()
    other_context: tuple[int, ...] = ()
    """The context of the control ``other``, tokenised."""
    background: Background | None = None
    """The text that is ordinary; None where the recipe asks for none."""

    @property
    def record(self) -> PromptIds:
        """The tokens of the prompt and of the recipe's texts."""
        rows = {
            text: (*ids.context, *ids.query)
            for text, ids in zip(self.recipe.queries, self.calibration, strict=False)
        }
        other = {self.recipe.other_context: self.other_context} if self.recipe.control == "other" else {}
        text = self.background.digest if self.background is not None else ""
        return with_changes(self.ids.record, queries=rows, other_context=other, background=text)

    def metrics(self, on_progress: ProgressCallback = ignore_progress) -> dict[int, LayerMetric]:
        """What the recipe weighs a patch by, by layer: none where it is the norm.

        Raises:
            BadInput: a background of too few tokens, or memory that does not suffice.
        """
        if self.recipe.metric == "plain" or self.background is None:
            return {}
        return ordinary_moments(self.loaded, self.background, on_progress).metrics(self.recipe.epsilon)

    @property
    def n_fitted(self) -> int:
        """The number of a continuation's tokens that are fitted, if it has as many."""
        return self.recipe.n_fitted if self.recipe.mode == "compiled" else 0

    @property
    def control_ids(self) -> Ids:
        """The prompt with the context whose patch is made: its own, unless the recipe names a control."""
        if self.recipe.control == "other":
            return replace(self.ids, context=self.other_context)
        if self.recipe.control == "shuffled":
            chance = torch.Generator().manual_seed(self.recipe.seed)
            order = torch.randperm(len(self.ids.context), generator=chance).tolist()
            return replace(self.ids, context=tuple(self.ids.context[k] for k in order))
        return self.ids


@dataclass(frozen=True)
class BuiltPatch:
    """A patch and the passages that it was made from."""

    spec: PatchSpec
    prompt: Passage | None = None
    """The prompt's passage, fitted or not; None where the patch did not need it."""
    fitted: tuple[FittedTokens, ...] = ()
    """The tokens that the patch was fitted on; none for a patch per step."""
    patch: HeldPatch | None = None
    """The held patch at strength 1; None for a patch per step."""
    fits: tuple[LayerFit, ...] = ()
    alpha: float = 1.0

    def acting_on(self, passage: Passage, alpha: Alpha | None = None) -> HeldPatch | TokenPatch:
        """The patch as it acts on the row of ``passage``; at its own strength unless another is given."""
        strength = self.alpha if alpha is None else alpha
        if self.patch is not None:
            return self.patch.at(strength)
        return per_step_patch(self.spec, passage, strength)

    @property
    def own(self) -> Passage:
        """The prompt's passage, read when the patch was built."""
        assert self.prompt is not None, "a patch per step of a given strength asks nothing of its prompt"
        return self.prompt

    @property
    def n_tokens(self) -> int:
        """The number of tokens that the patch was made from."""
        return sum(part.n_tokens for part in self.fitted) or len(self.spec.ids.query)

    @property
    def rank(self) -> int:
        """The largest rank of the patch's low-rank maps."""
        held = self.patch.layers.values() if self.patch else ()
        parts = [part.rank for layer in held for part in (layer.weights, layer.output) if part is not None]
        return max(parts, default=1)


def token_patch(spec: PatchSpec, alpha: Alpha) -> TokenPatch:
    """A patch for each token by the spec's recipe, not aimed yet."""
    recipe = spec.recipe
    patch = TokenPatch(spec.sites, recipe.components, alpha, control_noise(recipe))
    patch.layer_alphas = strengths_of(recipe.layer_alphas)
    return patch


def per_step_patch(spec: PatchSpec, passage: Passage, alpha: Alpha) -> TokenPatch:
    """A patch for each token of ``passage``, aimed at its contextual states."""
    targets = with_control(spec, passage).targets
    patch = token_patch(spec, alpha)
    patch.aim(targets, slice(len(passage.ids.prefix), None))
    return patch


def with_control(spec: PatchSpec, passage: Passage) -> Passage:
    """The passage with the states that its patch is made of; a control's are from another context."""
    if spec.recipe.control not in ("other", "shuffled"):
        return passage
    return in_other_context(spec.loaded, spec.sites, passage, spec.control_ids.context)


def build_patch(
    spec: PatchSpec, n_later: int = N_LATER, on_progress: ProgressCallback = ignore_progress
) -> BuiltPatch:
    """The patch at strength 1; the prompt's text is read ``n_later`` tokens further than it is fitted.

    Raises:
        BadInput: tokens that no patch can meet, or too high a rank.
    """
    spec.metrics(on_progress)
    rows = [spec.ids, *spec.calibration]
    n_more = spec.n_fitted + n_later
    reader, passages = PassageReader(spec.loaded, spec.sites, spec.positions, len(rows)), []
    for number, ids in enumerate(rows):
        on_progress("reading the contextual text", number, len(rows))
        still = partial(on_progress, "reading the contextual text", number, len(rows))
        passages.append(reader.read(ids, n_with_room(spec, ids, n_more), still))
    own, *others = passages
    if spec.recipe.mode != "per-step":
        on_progress("making the patch", 0, 1)
    return build_from(spec, own, others)


def build_from(spec: PatchSpec, own: Passage, others: Sequence[Passage]) -> BuiltPatch:
    """The patch at strength 1 from passages that were read: the prompt's ``own``, and those of the recipe's queries.

    Raises:
        BadInput: tokens that no patch can meet, or too high a rank.
    """
    if spec.recipe.mode == "per-step":
        return BuiltPatch(spec, own)
    return refit(BuiltPatch(spec, own, fitted_tokens(spec, own, others)))


def fitted_tokens(spec: PatchSpec, own: Passage, others: Sequence[Passage]) -> tuple[FittedTokens, ...]:
    """The tokens that a held patch is fitted on: of ``others``, where there are none of the prompt's own passage."""
    is_compiled = spec.recipe.mode == "compiled"
    return tuple(
        FittedTokens(
            passage,
            len(passage.ids.query) if is_compiled else 1,
            min(spec.n_fitted, len(passage.continuation)),
        )
        for passage in (others or [own])
    )


def refit(built: BuiltPatch, unshifted: frozenset[int] = frozenset()) -> BuiltPatch:
    """The patch fitted anew on its tokens, at the spec's layers; layers in ``unshifted`` get no shift."""
    return with_layers(built, fit_built(built, unshifted))


def with_layers(built: BuiltPatch, layers: Mapping[int, FittedLayer]) -> BuiltPatch:
    """The patch whose layers were fitted, each at the strength that the recipe gives it."""
    sites = built.spec.sites
    strengths = strengths_of(built.spec.recipe.layer_alphas)
    patch = HeldPatch(sites, {n: _at(made.patch, strengths.get(n, 1.0)) for n, made in layers.items()})
    return replace(built, patch=patch, fits=tuple(layers[site.layer].record(site) for site in sites))


def with_layer_alphas(built: BuiltPatch, spec: PatchSpec) -> BuiltPatch:
    """A patch whose layers are all at strength 1 at those of ``spec``, which it is then of."""
    strengths = strengths_of(spec.recipe.layer_alphas)
    if built.patch is None or not strengths:
        return replace(built, spec=spec)
    layers = {layer: _at(part, strengths.get(layer, 1.0)) for layer, part in built.patch.layers.items()}
    return replace(built, spec=spec, patch=HeldPatch(built.patch.sites, layers))


def _at(part: LayerPatch, alpha: float) -> LayerPatch:
    """One layer's patch at a strength of its own."""
    return part if alpha == 1 else part.times(alpha)


def fit_built(built: BuiltPatch, unshifted: frozenset[int] = frozenset()) -> dict[int, FittedLayer]:
    """Each layer of the patch with the vectors that it was fitted on, which :func:`refit` drops."""
    return fit_leaving_out(built, (), unshifted).layers


def fit_leaving_out(
    built: BuiltPatch, strengths: Sequence[float], unshifted: frozenset[int] = frozenset()
) -> FitPass:
    """The layers, and each fitted passage through the patch made without it, at each of the ``strengths``."""
    spec = built.spec
    aimed = [replace(part, passage=with_control(spec, part.passage)) for part in built.fitted]
    return fit_pass(spec.loaded, spec.sites, aimed, spec.recipe, unshifted, spec.metrics(), strengths)


def n_with_room(spec: PatchSpec, ids: Ids, n_more: int) -> int:
    """``n_more`` tokens after a query, or as many of them as the model has positions for.

    Fitted tokens were checked to have room.
    """
    window = spec.loaded.window
    return n_more if window is None else max(0, min(n_more, window - len(ids.full)))
