"""Several contexts in one patch, solved together: not added up, which would count what they share twice.

Enters: the sources of adapters of one model. Leaves: the patch of each context alone, and the one that all of their
tokens are fitted in, each with its own context's targets, by one least squares at each layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from statistics import fmean

import torch
from msgspec.structs import replace as with_changes

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.compile.read_passages import SpecPassages, read_passages
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.hooks.site import Site
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.alpha_search import with_alpha
from icltui.engine.patch.build import BuiltPatch, PatchSpec, build_from, fitted_tokens, refit
from icltui.engine.patch.calibration import Passage
from icltui.engine.patch.low_rank_map import LowRank
from icltui.engine.patch.patch import HeldPatch, LayerPatch
from icltui.values import AnswerConflict
from icltui.values.patch_source import PatchSource
from icltui.values.prompt import layers_text
from icltui.values.recipe import Recipe

_ONE_IN = 3
"""Of a context without unseen queries, one calibration query in so many is left out to test with."""


@dataclass(frozen=True)
class ContextPart:
    """One context, its tokens read."""

    source: PatchSource
    spec: PatchSpec
    """That of its adapter, whose layers may be fewer than those that are solved together."""
    sites: Sequence[Site]
    """The layers of all contexts' adapters."""
    passages: SpecPassages
    """With targets at all of ``sites``."""

    @property
    def is_unseen(self) -> bool:
        """Whether there are queries to test with that it was not compiled on."""
        return bool(self.passages.unseen)

    @property
    def tested(self) -> Sequence[Passage]:
        """The queries that patches are tested with."""
        return self.passages.unseen or self.passages.calibration[::_ONE_IN]

    @property
    def untested(self) -> Sequence[Passage]:
        """The calibration queries that patches of a test are made from."""
        calibration = self.passages.calibration
        if self.is_unseen:
            return calibration
        return [passage for number, passage in enumerate(calibration) if number % _ONE_IN]

    def alone(self, calibration: Sequence[Passage], on_progress: ProgressCallback) -> BuiltPatch:
        """The patch of this context alone at its strength, made of these passages as its adapter was.

        Raises:
            BadInput: tokens that no patch can meet.
        """
        spec = replace(self.spec, calibration=tuple(passage.ids for passage in calibration))
        ours = [number for number, site in enumerate(self.sites) if site in spec.sites]
        own, *others = (
            replace(passage, targets=passage.targets.layers(ours))
            for passage in (self.passages.own, *calibration)
        )
        return with_alpha(build_from(spec, own, others), on_progress)


def read_contexts(
    loaded: LoadedModel, sources: Sequence[PatchSource], on_progress: ProgressCallback
) -> list[ContextPart]:
    """The contexts' passages, read anew at the layers of all of their adapters.

    Raises:
        BadInput: a prompt that this model reads as other tokens than those that its adapter was compiled on.
    """
    specs = [
        make_spec(loaded, source.prompt, source.layers, source.recipe, source.holdout, kept=source.ids)
        for source in sources
    ]
    sites = [site for site in loaded.sites if any(site in spec.sites for spec in specs)]
    return [
        ContextPart(source, spec, sites, read_passages(replace(spec, sites=sites), on_progress))
        for source, spec in zip(sources, specs, strict=True)
    ]


def joint_recipe(alone: Sequence[BuiltPatch], ridge: float | None = None) -> tuple[Recipe, tuple[str, ...]]:
    """How all contexts are solved together, and notes on what their patches do not agree in.

    Of ridges and ε it is the largest, which bends the model least; of strengths the mean; ranks add up; layers and
    components are those of any. A ``ridge`` that is given is the only one.
    """
    recipes = [built.spec.recipe for built in alone]
    ridges = [recipe.ridge for recipe in recipes] if ridge is None else [ridge]
    epsilons = [recipe.epsilon for recipe in recipes]
    alphas = [built.alpha for built in alone]
    ranks = [recipe.rank for recipe in recipes if recipe.rank is not None]
    made = with_changes(
        recipes[0],
        ridge=max(ridges),
        epsilon=max(epsilons),
        alpha=fmean(alphas),
        components=components.pop() if len(components := {r.components for r in recipes}) == 1 else "both",
        rank=min(sum(ranks), _highest_rank(alone)) if len(ranks) == len(recipes) else None,
    )
    agreed = (
        ("ridge", ridges, made.ridge),
        ("ε", epsilons, made.epsilon),
        ("strength", alphas, fmean(alphas)),
    )
    notes = [
        f"the adapters differ in {what} ({', '.join(f'{value:g}' for value in values)}): {used:g} is used for all"
        for what, values, used in agreed
        if len(set(values)) > 1
    ]
    n_layers = alone[0].spec.loaded.n_layers
    layers = [layers_text((site.layer for site in built.spec.sites), n_layers) for built in alone]
    for what, texts in (("layers", layers), ("components", [recipe.components for recipe in recipes])):
        if len(set(texts)) > 1:
            notes.append(f"the adapters differ in {what} ({'; '.join(texts)}): those of all are used for all")
    return made, tuple(notes)


def _highest_rank(alone: Sequence[BuiltPatch]) -> int:
    """The highest rank of a patch that is fitted on the tokens of all."""
    width: int = alone[0].fitted[0].passage.targets.z.shape[-1]
    return min(width, sum(built.n_tokens for built in alone))


def solve_together(
    parts: Sequence[ContextPart], calibrations: Sequence[Sequence[Passage]], recipe: Recipe
) -> BuiltPatch:
    """The patch that is fitted on the tokens of all ``calibrations``, one for each part, at the strength of ``recipe``.

    Raises:
        BadInput: more tokens than a map of the model's width can meet, or some that depend on the others.
    """
    first = parts[0]
    fitted = tuple(
        tokens
        for part, passages in zip(parts, calibrations, strict=True)
        for tokens in fitted_tokens(part.spec, part.passages.own, passages)
    )
    spec = replace(first.spec, sites=first.sites, recipe=recipe)
    return with_alpha(refit(BuiltPatch(spec, first.passages.own, fitted)))


def add_up(patches: Sequence[HeldPatch]) -> HeldPatch:
    """The patches side by side, each as it is: what concatenating their adapters makes."""
    sites = {site.layer: site for patch in patches for site in patch.sites}
    layers = {
        layer: reduce(
            _sum, (patch.layers[layer].times(patch.alpha) for patch in patches if layer in patch.layers)
        )
        for layer in sorted(sites)
    }
    return HeldPatch([sites[layer] for layer in layers], layers)


def _sum(one: LayerPatch, other: LayerPatch) -> LayerPatch:
    bias = [part.bias for part in (one, other) if part.bias is not None]
    return LayerPatch(
        _beside(one.weights, other.weights),
        _beside(one.output, other.output),
        torch.stack(bias).sum(0) if bias else None,
    )


def _beside(one: LowRank | None, other: LowRank | None) -> LowRank | None:
    if one is None or other is None:
        return one or other
    return LowRank(torch.cat([one.read, other.read]), torch.cat([one.write, other.write], dim=1))


def conflicts(parts: Sequence[ContextPart]) -> tuple[AnswerConflict, ...]:
    """The queries that are fitted in several contexts, whose answers begin differently."""
    asked: dict[tuple[int, ...], list[tuple[ContextPart, Passage, str]]] = {}
    for part in parts:
        texts = part.source.recipe.queries or (part.source.prompt.query,)
        passages = part.passages.calibration or [part.passages.own]
        for passage, text in zip(passages, texts, strict=True):
            asked.setdefault(tuple(passage.ids.plain), []).append((part, passage, text))
    found = []
    for same in asked.values():
        answers = [_answer(passage) for _, passage, _ in same]
        if len(set(answers)) > 1:
            tokenizer = same[0][0].spec.loaded.tokenizer
            found.append(
                AnswerConflict(
                    query=same[0][2],
                    contexts=tuple(part.source.name for part, _, _ in same),
                    answers=tuple(str(tokenizer.decode(answer)) for answer in answers),
                )
            )
    return tuple(found)


def _answer(passage: Passage) -> tuple[int, ...]:
    """The fitted beginning of the contextual continuation, at least its first token."""
    return passage.continuation or (int(passage.logits[0].argmax()),)
