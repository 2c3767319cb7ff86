"""What the options of one request say of each other: one that would do nothing is refused, one that follows is set.

Complaints have the command line's names; :meth:`.Operation.read` puts the fields' in their place.
"""

from collections.abc import Collection

from msgspec.structs import replace

from icltui.api.messages import Compile, Examine, Generate
from icltui.api.option_table import check_options, option_of
from icltui.values.errors import BadInput
from icltui.values.exam import USUAL_ROWS, unseen_queries
from icltui.values.recipe import CHOSEN, COMPILED, Recipe, Sampling, idle

_MADE_BY = {"n_queries": ("repeat", "self"), "seed": ("self",)}
"""Kinds of calibration that an option concerns."""


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe by which no patch can be made, or of which a part would do nothing.

    Raises:
        BadInput: naming the option, and what it goes with.
    """
    check_options(recipe)
    for option in map(option_of, idle(recipe)):
        raise BadInput(
            f"{option.flag} does nothing in mode {recipe.mode!r} with components {recipe.components!r}: it goes with "
            f"{option.goes_with}"
        )


def check_sampling(sampling: Sampling) -> None:
    """Refuse an option of sampling that would do nothing.

    Raises:
        BadInput: a limit on what is drawn where nothing is.
    """
    check_options(sampling)
    if sampling.temperature == 0 and (sampling.top_k is not None or sampling.top_p < 1):
        raise BadInput("--top-k and --top-p do nothing at temperature 0: give --temperature too")


def complete_generate(request: Generate, _given: Collection[str]) -> Generate:
    """The request, checked."""
    check_recipe(request.recipe)
    check_sampling(request.sampling)
    return request


def complete_compile(request: Compile, given: Collection[str]) -> Compile:
    """The request in which the options that are ``given`` are taken as they are.

    Raises:
        BadInput: no context, an option that would do nothing, or queries that contradict how they are made.
    """
    if not request.prompt.context.strip():
        raise BadInput("the context is empty, so there is nothing to put into weights: give -c TEXT or @FILE")
    recipe = replace(request.recipe, seed=COMPILED.seed)  # that of controls, which no compilation has
    made_of_many = replace(recipe, queries=recipe.queries or ("one", "another"))
    _check_given(made_of_many, given)
    kind = request.calibrate if "calibrate" in given else "user" if recipe.queries else "self"
    if (kind == "user") != bool(recipe.queries):
        raise BadInput(
            "--calibrate user needs --queries FILE"
            if kind == "user"
            else f"--queries gives the calibration queries, and --calibrate {kind} makes others: leave one of them out"
        )
    for name, kinds in _MADE_BY.items():
        if kind not in kinds and name in given:
            way = " or ".join(kinds)
            raise BadInput(f"{option_of(name).flag} does nothing here: it goes with --calibrate {way}")
    pinned = tuple(name for name in (*CHOSEN, "layers") if name in given)
    return replace(request, recipe=recipe, calibrate=kind, pinned=pinned)


def complete_exam(request: Examine, given: Collection[str]) -> Examine:
    """The request with each row once.

    Raises:
        BadInput: queries that no exam can be held with, an answer to none of them, a row that needs another context,
            or an option that would do nothing.
    """
    _check_given(request.recipe, given)
    unseen_queries(request.recipe.queries, request.holdout)
    for unasked in request.answers.keys() - set(request.holdout):
        raise BadInput(f"an answer to {unasked[:40]!r}, which is no held-out query: leave it out")
    if request.other is None and "joined" in request.rows:
        raise BadInput(
            "the row 'joined' needs another context, which icltui exam takes alone: leave the row out"
        )
    return replace(request, rows=tuple(dict.fromkeys(request.rows or USUAL_ROWS)))


def _check_given(recipe: Recipe, given: Collection[str]) -> None:
    """Refuse a part of the recipe that was given and would do nothing."""
    check_options(recipe)
    for option in map(option_of, idle(recipe)):
        if option.field in given:
            raise BadInput(f"{option.flag} does nothing here: it goes with {option.goes_with}")
