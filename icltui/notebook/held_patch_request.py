"""What a patch that stays in a model is made from: options, a session, or an adapter that this program wrote.

Enters: texts and options by the one table, or a session or a folder in their place. Leaves: a :class:`PatchRequest`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from icltui.api.messages import Generate
from icltui.api.operation import Operation, operation_of
from icltui.api.option_table import option_of
from icltui.notebook.plain_type import plain_number
from icltui.storage.patch_source import read_source
from icltui.values import ModelInfo, PromptIds, Session
from icltui.values.errors import BadInput
from icltui.values.patch_source import PatchSource
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling, idle

_GENERATE = operation_of("generate")
_OF_TEXT = {*Sampling.__struct_fields__, *Generate.__struct_fields__} - {
    *Recipe.__struct_fields__,
    "layers",
    "holdout",
}
OPTIONS = tuple(
    option.field
    for option in _GENERATE.options
    if option.field
    not in {*_OF_TEXT, "unit", "positions"}  # the user's own calls have positions of their own
)
"""Names of the options that make a patch which stays in a model."""


@dataclass(frozen=True)
class PatchRequest:
    """A patch to be made on a model."""

    prompt: Prompt
    layers: str
    recipe: Recipe
    holdout: tuple[str, ...] = ()
    kept: PromptIds | None = None
    """The prompt's tokens when the patch was first made; None for a new one."""
    fingerprint: str | None = None
    """The weights that it was first made on."""

    def check_weights(self, info: ModelInfo) -> None:
        """Refuse weights that it was not made on.

        Raises:
            BadInput: naming both.
        """
        if self.fingerprint not in (None, info.fingerprint):
            raise BadInput(
                f"this patch belongs to other weights (fingerprint {self.fingerprint}, this model's is "
                f"{info.fingerprint}): load that model in the dtype of then, or make the patch anew from its texts"
            )


def request_of_texts(options: Mapping[str, Any]) -> PatchRequest:
    """The patch that the texts and options amount to.

    Raises:
        BadInput: a name that is no option, a value that cannot be, or an option that would do nothing.
    """
    return _read({"mode": "frozen", **options}, options)


def request_of_session(session: Session, options: Mapping[str, Any]) -> PatchRequest:
    """The patch of the session's prompt by its recipe, except for ``options``.

    Raises:
        BadInput: as :func:`request_of_texts`; or a text beside the session, which has its own.
    """
    for name in ("context", "query"):
        if name in options:
            raise BadInput(f"the session has a {name} of its own: leave {name} out")
    prompt = {name: getattr(session.prompt, name) for name in ("context", "query", "bos", "chat")}
    recipe = msgspec.structs.asdict(session.recipe)
    own = {**prompt, **recipe, "layers": session.layers, "holdout": session.holdout}
    request = _read({**own, **options}, options)
    fingerprint = None if session.model is None else session.model.fingerprint
    made = session.generation
    same = made is not None and made.recipe == request.recipe and request.prompt == session.prompt
    return _with(request, made.ids if made is not None and same else None, fingerprint)


def request_of_adapter(folder: Path) -> PatchRequest:
    """The patch that the adapter in ``folder`` is.

    Raises:
        BadInput: none that this program wrote, or one that holds several contexts.
    """
    source = read_source(folder)
    if source.others:
        raise BadInput(
            f"the adapter holds {len(source.contexts)} contexts, solved together: load it with PEFT, or name an "
            "adapter of one context"
        )
    request = PatchRequest(source.prompt, source.layers, source.recipe, source.holdout)
    return _with(request, source.ids, source.fingerprint)


def source_of(
    request: PatchRequest, info: ModelInfo, layers: str, ids: PromptIds, alpha: float
) -> PatchSource:
    """What the patch is made from, for the folder of its adapter."""
    return PatchSource(
        version=info.versions["icltui"],
        model=info.name,
        revision=info.revision,
        fingerprint=info.fingerprint,
        prompt=request.prompt,
        layers=layers,
        recipe=replace(request.recipe, alpha=alpha),
        ids=ids,
        holdout=request.holdout,
        dtype=info.dtype,
    )


def _with(request: PatchRequest, kept: PromptIds | None, fingerprint: str | None) -> PatchRequest:
    return PatchRequest(request.prompt, request.layers, request.recipe, request.holdout, kept, fingerprint)


def _read(values: dict[str, Any], given: Mapping[str, Any]) -> PatchRequest:
    values = {name: plain_number(value) for name, value in values.items()}
    for name in given:
        if name not in OPTIONS:
            raise BadInput(f"{name!r} is no option of patched: use {', '.join(OPTIONS)}")
    if values.get("mode") == "per-step":
        raise BadInput(
            "a patch per step is made anew for every token while the context runs beside it, so none stays in a model: "
            "use icltui.generate, or mode 'frozen' or 'compiled'"
        )
    if not values.get("query") and values.get("mode") == "compiled" and values.get("queries"):
        values["query"] = next(iter(values["queries"]))
    operation = Operation(name="patched", usual=_GENERATE.usual, purpose=_GENERATE.purpose)
    request = operation.read({name: value for name, value in values.items() if name in OPTIONS})
    assert isinstance(request, Generate)
    recipe = request.recipe
    for name in idle(recipe):
        if name in given:
            raise BadInput(
                f"{name} does nothing in mode {recipe.mode!r} with components {recipe.components!r}: it goes with "
                f"{option_of(name).goes_with}"
            )
    return PatchRequest(request.prompt, request.layers, recipe, request.holdout)
