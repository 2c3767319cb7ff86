"""A request in the loaded model's terms: its layers, its tokens, and a check that they fit.

Enters: a loaded model and the request. Leaves: ids and sites, or a :class:`~icltui.engine.patch.build.PatchSpec`.
"""

from dataclasses import dataclass
from dataclasses import replace as with_

from msgspec.structs import replace

from icltui.api.option_table import check_options
from icltui.engine.hooks.site import Site
from icltui.engine.metric.background import read_background
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import PatchSpec
from icltui.engine.prompts.prompt_check import check_known, check_length
from icltui.engine.prompts.tokenize import Ids, tokenize
from icltui.values import PromptIds, TokenizedPrompt
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt, resolve_layers
from icltui.values.recipe import Recipe, canonical, strengths_of


@dataclass(frozen=True)
class PromptInputs:
    """A prompt, ready to run."""

    sites: list[Site]
    ids: Ids
    tokens: TokenizedPrompt


def prepare_inputs(loaded: LoadedModel, prompt: Prompt, layers: str, n_more: int = 0) -> PromptInputs:
    """The prompt's tokens and the selected sites; ``n_more`` tokens are to be generated after it.

    Raises:
        BadInput: no usable layer, a prompt that cannot be tokenised, or one that is too long.
    """
    refused = {layer.layer: layer.reason for layer in loaded.refused}
    chosen = resolve_layers(layers, loaded.n_layers, refused)
    if not chosen:
        raise BadInput("no layer is selected: choose at least one")
    ids, tokens = tokenize(loaded, prompt)
    check_known(loaded, ids)
    check_length(loaded, ids, n_more)
    return PromptInputs([site for site in loaded.sites if site.layer in chosen], ids, tokens)


def make_spec(
    loaded: LoadedModel,
    prompt: Prompt,
    layers: str,
    recipe: Recipe,
    holdout: tuple[str, ...] = (),
    n_tokens: int = 1,
    kept: PromptIds | None = None,
) -> PatchSpec:
    """The spec of the prompt, with the recipe's queries and the held-out ones after the prompt's context.

    ``kept`` is the prompt's record from when its patch was made, whose header all of them get.

    Raises:
        BadInput: a recipe that no patch can follow, a prompt that cannot be run, or one whose tokens differ from
            ``kept``.
    """
    check_options(recipe)
    if strange := [n for n in strengths_of(recipe.layer_alphas) if n >= loaded.n_layers]:
        raise BadInput(f"a strength for layer {strange[0]}: this model has layers 0 to {loaded.n_layers - 1}")
    is_compiled = recipe.mode == "compiled"
    n_more = max(n_tokens, recipe.n_fitted + 1 if is_compiled else 1)
    own = prepare_inputs(loaded, prompt, layers, n_more)

    def after_it(queries: tuple[str, ...]) -> tuple[Ids, ...]:
        others = (
            prepare_inputs(loaded, replace(prompt, query=query), layers, n_more).ids for query in queries
        )
        return tuple(ids if kept is None else _headed(loaded, ids, kept, n_more) for ids in others)

    other = replace(prompt, context=recipe.other_context)
    spec = PatchSpec(
        loaded,
        own.sites,
        own.ids if kept is None else with_kept_header(loaded, own.ids, kept, n_more),
        prompt.positions,
        recipe,
        calibration=after_it(recipe.queries) if is_compiled else (),
        holdout=after_it(holdout),
        other_context=prepare_inputs(loaded, other, layers, n_more).ids.context
        if recipe.control == "other"
        else (),
        background=read_background(loaded, recipe.background) if _weighs(recipe) else None,
    )
    if kept is not None:
        _check_same(kept, spec.record)
    return spec


def _weighs(recipe: Recipe) -> bool:
    """Whether the patch is solved in the metric of a text."""
    return canonical(recipe).metric == "ordinary"


def with_kept_header(loaded: LoadedModel, ids: Ids, kept: PromptIds, n_more: int = 0) -> Ids:
    """``ids`` of the prompt with the header of ``kept``.

    Raises:
        BadInput: the text's tokens differ from those of ``kept``, or there is no room for the header.
    """
    if (kept.context, kept.query) != (ids.context, ids.query):
        _check_same(kept, ids.record)
    return _headed(loaded, ids, kept, n_more)


def _check_same(kept: PromptIds, found: PromptIds) -> None:
    if parts := kept.unlike(found):
        raise BadInput(
            f"the prompt is not the one that the patch was made of ({parts}): the tokenizer or its chat template was "
            "edited since: generate it anew"
        )


def _headed(loaded: LoadedModel, ids: Ids, kept: PromptIds, n_more: int) -> Ids:
    """``ids`` after the header of ``kept``."""
    headed = with_(ids, prefix=kept.prefix)
    check_known(loaded, headed)
    check_length(loaded, headed, n_more)
    return headed
