"""What an adapter was made from, beside it as a file: enough to make its patch again, alone or with another."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from icltui.values.base import PromptIds, Record
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe

PATCH_FILE = "icltui_patch.json"
"""Its name in an adapter's folder; in a GGUF file it is the metadata of :data:`PATCH_KEY`."""
PATCH_KEY = "icltui.patch"


class PatchSource(Record, frozen=True):
    """A model, a prompt with the recipe's queries, and how a patch is made of them."""

    version: str
    """Version of icltui that made it."""
    model: str
    """Name of the model, as it was loaded."""
    revision: str | None
    """Branch, tag or commit on the hub."""
    fingerprint: str
    """The weights' fingerprint."""
    prompt: Prompt
    layers: str
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them."""
    recipe: Recipe
    """How it is made, with the texts of the calibration queries."""
    ids: PromptIds
    """The tokens of the prompt and of the calibration queries."""
    forced: bool = False
    """Whether it was made although it would harm."""
    refused: str | None = None
    """Why it would harm; None where it would not."""
    holdout: tuple[str, ...] = ()
    """Unseen queries that it was tested on."""
    dtype: str = "auto"
    """The dtype that the model was loaded in, which its fingerprint tells too."""
    name: str = ""
    """Name of its context among others."""
    others: tuple["PatchSource", ...] = ()
    """The other contexts that it holds too, solved together; empty where it was compiled from one."""

    @property
    def contexts(self) -> "tuple[PatchSource, ...]":
        """One source for each context that it holds."""
        others = (context for other in self.others for context in other.contexts)
        return (replace(self, others=()), *others)


def join_sources(contexts: Sequence[PatchSource], recipe: Recipe, layers: str) -> PatchSource:
    """The source of a patch that holds all ``contexts``, solved together by ``recipe`` at ``layers``.

    Each of them keeps its own queries, its own number of fitted tokens and its own share of the rank.
    """

    def solved(context: PatchSource) -> PatchSource:
        own = {name: getattr(context.recipe, name) for name in _OF_A_CONTEXT}
        return replace(context, recipe=replace(recipe, **own), layers=layers)

    first, *others = map(solved, contexts)
    return replace(first, others=tuple(others))


def check_joinable(contexts: Sequence[PatchSource]) -> None:
    """Refuse contexts that one patch cannot be solved for.

    Raises:
        BadInput: fewer than two, one twice, or some that differ in their model or in how they are made.
    """
    if len(contexts) < 2:
        raise BadInput(f"{len(contexts)} adapter to join: name at least two")
    first, *others = contexts
    for number, context in enumerate(contexts):
        if context.forced:
            raise BadInput(
                f"{context.name!r} is a forced patch, which would harm ({context.refused}): compile it anew, with more "
                "queries or a header to keep"
            )
        if twin := next((one for one in contexts[:number] if _made_from(one) == _made_from(context)), None):
            raise BadInput(
                f"{twin.name!r} and {context.name!r} are made from the same context and queries: name each once"
            )
    for context in others:
        if context.fingerprint != first.fingerprint:
            raise BadInput(
                f"{first.name!r} and {context.name!r} belong to different weights ({first.model}, fingerprint "
                f"{first.fingerprint}; {context.model}, {context.fingerprint}): compile both on one model"
            )
        for what, ours, theirs in _differences(first, context):
            raise BadInput(
                f"{first.name!r} and {context.name!r} differ in {what} ({ours}; {theirs}), and are solved together: "
                f"compile one of them anew with the other's"
            )


_OF_A_CONTEXT = ("queries", "n_fitted", "rank")
"""Fields of a recipe that each context has for itself."""


def _made_from(context: PatchSource) -> tuple[Any, ...]:
    ids = context.ids
    return ids.prefix, ids.context, ids.queries or ids.query


def _differences(first: PatchSource, other: PatchSource) -> Iterator[tuple[str, object, object]]:
    """What must be equal and is not: its name, and both values."""
    for field, what in (
        ("mode", "their mode"),
        ("metric", "their metric"),
        ("background", "their background text"),
        ("carrier", "what carries the shift"),
        ("cross_fit", "their cross-fit"),
    ):
        ours, theirs = getattr(first.recipe, field), getattr(other.recipe, field)
        if ours != theirs:
            yield what, "the usual" if ours == "" else ours, "the usual" if theirs == "" else theirs
