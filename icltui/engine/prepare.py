"""A request's words in the loaded model's terms: which layers, which tokens, and whether there is room for them.

Enters: a loaded model and what was asked. Leaves: ids and sites, or a :class:`~icltui.engine.craft.Case`.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from icltui.engine.craft import Case
from icltui.engine.model import LoadedModel
from icltui.engine.site import Site
from icltui.engine.tokens import Ids, check_known, check_length, tokenize
from icltui.errors import BadInput
from icltui.prompt import Prompt, resolve_layers
from icltui.recipe import Recipe, check_recipe
from icltui.record import TokenizedPrompt


@dataclass(frozen=True)
class Prepared:
    """A prompt, ready to run."""

    sites: list[Site]
    ids: Ids
    tokens: TokenizedPrompt


def prepare(loaded: LoadedModel, prompt: Prompt, layers: str, n_more: int = 0) -> Prepared:
    """The prompt's tokens and the selected sites; ``n_more`` tokens are to be generated behind it.

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
    return Prepared([site for site in loaded.sites if site.layer in chosen], ids, tokens)


def make_case(
    loaded: LoadedModel,
    prompt: Prompt,
    layers: str,
    recipe: Recipe,
    holdout: tuple[str, ...] = (),
    n_tokens: int = 1,
) -> Case:
    """The prompt, the recipe's queries and the held-out ones behind the same context.

    Raises:
        BadInput: a recipe that no patch can be made by, or any of these prompts cannot be run.
    """
    check_recipe(recipe)
    is_compiled = recipe.mode == "compiled"
    n_more = max(n_tokens, recipe.n_fitted + 1 if is_compiled else 1)
    own = prepare(loaded, prompt, layers, n_more)

    def behind_it(queries: tuple[str, ...]) -> tuple[Ids, ...]:
        return tuple(prepare(loaded, replace(prompt, query=query), layers, n_more).ids for query in queries)

    other = replace(prompt, context=recipe.other_context)
    return Case(
        loaded,
        own.sites,
        own.ids,
        prompt.positions,
        recipe,
        calibration=behind_it(recipe.queries) if is_compiled else (),
        holdout=behind_it(holdout),
        other_context=prepare(loaded, other, layers, n_more).ids.context if recipe.control == "other" else (),
    )
