"""``icltui.patched``: a context's patch in a model that the user holds.

``patched.pyi`` beside it says the same to type checkers and editors; it is made from the table of options, too.
"""

from collections.abc import Iterator, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, Literal

from icltui.api.operation import operation_of
from icltui.notebook.function import arguments_help, parameter_of
from icltui.notebook.held_patch_request import OPTIONS
from icltui.notebook.patched_model import PatchedModel, patched_model
from icltui.values.prompt import Bos

__all__ = ["PatchedModel", "patched"]


def patched(
    model: Any,
    tokenizer: Any,
    context: str = "",
    query: str = "",
    *,
    session: Any = None,
    adapter: Any = None,
    sites: Mapping[str, str] | None = None,
    **options: Any,
) -> PatchedModel:
    texts = {name: text for name, text in (("context", context), ("query", query)) if text}
    if options.get("bos", "") is None:
        del options["bos"]
    return patched_model(model, tokenizer, {**texts, **options}, session, adapter, sites)


_GENERATE = operation_of("generate")
_OWN = {
    "model": "a model of transformers in memory",
    "tokenizer": "the model's tokenizer",
    "session": "in place of the texts: its prompt and its recipe, which other options change",
    "bos": "tokens before the text, kept in both runs (default None: what the tokenizer writes itself, as in your own "
    "calls; auto: where that is nothing, one that takes an attention sink)",
    "adapter": "in place of the texts: the folder of an adapter that icltui wrote, which is made again from its texts",
}


def _parameters() -> Iterator[Parameter]:
    yield Parameter("model", Parameter.POSITIONAL_OR_KEYWORD, annotation=object)
    yield Parameter("tokenizer", Parameter.POSITIONAL_OR_KEYWORD, annotation=object)
    for option in sorted(_GENERATE.options, key=lambda option: option.field not in ("context", "query")):
        if option.field in ("context", "query"):
            yield parameter_of(_GENERATE, option, Parameter.POSITIONAL_OR_KEYWORD)
        elif option.field == "mode":
            kind = Literal["frozen", "compiled"]
            yield Parameter("mode", Parameter.KEYWORD_ONLY, default="frozen", annotation=kind)
        elif option.field == "bos":
            yield Parameter("bos", Parameter.KEYWORD_ONLY, default=None, annotation=Bos | None)
        elif option.field in OPTIONS:
            yield parameter_of(_GENERATE, option, Parameter.KEYWORD_ONLY)
    yield Parameter("session", Parameter.KEYWORD_ONLY, default=None, annotation=object)
    yield Parameter("adapter", Parameter.KEYWORD_ONLY, default=None, annotation=str | Path | None)
    yield Parameter("sites", Parameter.KEYWORD_ONLY, default=None, annotation=Mapping[str, str] | None)


patched.__signature__ = Signature([*_parameters()], return_annotation=PatchedModel)  # type: ignore[attr-defined]
patched.__doc__ = f"""A context's patch for a model in memory: it acts as with the context inside ``with patched(…):``.

The model's own calls, its ``generate``, pipelines, batches, caches and gradients go through the patch; no weight is
touched, and after the block nothing of the patch is left.

Args:
{arguments_help(_GENERATE, patched.__signature__, _OWN)}

Raises:
    BadInput: options that no patch can be made by, a model that is compiled or that a patch acts in, or other
        weights than those of the session or the adapter.
    ModelError: a model that no proof accepts.
"""  # type: ignore[attr-defined]
