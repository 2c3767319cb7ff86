"""A row becomes a session: the prompt and the recipe that it answers, and the model that answered."""

from collections.abc import Mapping
from typing import cast, get_args

import msgspec
from msgspec.structs import replace

from icltui.api.messages import LoadModel
from icltui.values import Session
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import LARGEST_ALPHA, Components, Mode, Recipe

Row = Mapping[str, object]


def session_of(row: Row, folder: str, asked: Row) -> Session:
    """The session that computes the row again; it holds no numbers yet.

    Args:
        row: its fields.
        folder: the name of its folder.
        asked: what the folder says was asked, among which is how all its prompts are read.

    Raises:
        BadInput: the row names no prompt.
    """
    context, query = row.get("context"), row.get("query")
    if not isinstance(context, str) or not isinstance(query, str) or not query.strip():
        raise BadInput("this row has no context and query, so there is nothing to open: v shows its fields")
    layers = row.get("layers")
    return Session(
        title=f"{folder}-{place}" if (place := row.get("prompt")) is not None else folder,
        prompt=replace(_reading(asked.get("reading")), context=context, query=query),
        layers=layers if isinstance(layers, str) and layers else "all",
        recipe=_recipe(row),
    )


def _reading(asked: object) -> Prompt:
    """A prompt without texts, read as ``asked`` says; as usual where it says nothing that is known."""
    try:
        found = msgspec.convert(asked, Prompt)
    except msgspec.ValidationError:
        return Prompt()
    return Prompt(bos=found.bos, chat=found.chat, positions=found.positions)


def _recipe(row: Row) -> Recipe:
    mode, components, seed, alpha = (row.get(name) for name in ("mode", "components", "seed", "alpha"))
    recipe = Recipe()
    if mode in get_args(Mode):
        recipe = replace(recipe, mode=cast(Mode, mode))
    if components in get_args(Components):
        recipe = replace(recipe, components=cast(Components, components))
    if isinstance(seed, int):
        recipe = replace(recipe, seed=seed)
    if isinstance(alpha, float) and 0 <= alpha <= LARGEST_ALPHA:
        recipe = replace(recipe, alpha=alpha)
    return recipe


def load_of(row: Row, usual: LoadModel) -> LoadModel:
    """The row's model, loaded as ``usual`` says but in the row's own numbers; ``usual`` where it names none."""
    name, revision, dtype = (row.get(field) for field in ("model", "revision", "dtype"))
    if not isinstance(name, str) or not name:
        return usual
    load = replace(usual, model=name)
    if isinstance(revision, str) and revision:
        load = replace(load, revision=revision)
    return replace(load, dtype=dtype) if isinstance(dtype, str) and dtype else load
