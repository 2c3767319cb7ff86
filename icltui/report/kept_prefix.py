"""What is kept before the text in both runs, and what an attention sink rules where nothing is.

Enters: the model's sink and the prompt's tokens. Leaves: lines for reports, JSON, and the units to mark. With nothing
kept the query's first token is the sink of the run without the context: its δ is the way from a sink to an ordinary
token, hundreds of times the others'. Later tokens attend to a sink in both runs, so that their δ is their own.
"""

from collections.abc import Sequence

from icltui.text.escape import token_text
from icltui.values import Dynamics, ModelInfo, PromptIds, Sink, Token
from icltui.values.prompt import layers_text
from icltui.values.recipe import Recipe

SINK = "!"
"""The mark of a number that the sink rules."""


def kept_json(model: ModelInfo, kept: Sequence[Token]) -> dict[str, object]:
    """The kept tokens and the model's sink, as scripts read them."""
    return {"kept_prefix": kept, "sink": model.sink}


def kept_lines(model: ModelInfo, ids: PromptIds | None, kept: Sequence[Token]) -> list[str]:
    """One line on what is kept, or a warning where nothing is and the model has a sink; else none.

    ``kept`` may lack the texts of ``ids.prefix``, as older records do.
    """
    if ids is None:
        return []
    if ids.prefix:
        return [f"kept before the text in both runs: {kept_words(ids, kept)}{_against(model.sink)}"]
    return [f"warning: {sink_words(model, ids)}"] if model.sink else []


def kept_words(ids: PromptIds, kept: Sequence[Token]) -> str:
    """The kept tokens: one by its text, several by their number and the first one's."""
    text = token_text(kept[0].text) if kept else f"id {ids.prefix[0]}"
    return text if len(ids.prefix) == 1 else f"{len(ids.prefix)} tokens from {text} on"


def sink_words(model: ModelInfo, ids: PromptIds) -> str:
    """What the sink rules where nothing is kept."""
    assert model.sink is not None
    whom = (
        "the query's only token, which every number is about"
        if len(ids.query) == 1
        else "the query's first token, and a patch that is fitted on it or a random one of its norm is about the sink"
    )
    return (
        f"nothing is kept before the text, and the first position is an attention sink ({sink_fact(model)}): without "
        f"the context that is {whom}; --bos auto or always keeps a token, where there is one"
    )


def sink_fact(model: ModelInfo) -> str:
    """How much of a sink it is, and where."""
    assert model.sink is not None
    return f"{_ratio(model.sink)}, layers {layers_text(model.sink.layers, model.n_layers)}"


def is_ruled(sink: Sink | None, ids: PromptIds | None) -> bool:
    """Whether numbers at the query's last token are about the sink: nothing is kept, and it is the first one too."""
    return sink is not None and ids is not None and not ids.prefix and len(ids.query) == 1


def is_patch_ruled(sink: Sink | None, ids: PromptIds | None, recipe: Recipe) -> bool:
    """Whether a patch is fitted on a token that is the sink of the run without the context."""
    is_fitted = recipe.mode == "compiled" or is_ruled(sink, ids)
    return sink is not None and ids is not None and not ids.prefix and is_fitted


def ruled_unit(dynamics: Dynamics, n_units: int) -> int | None:
    """The unit whose step leads from the sink or to it, once :func:`is_ruled`; None where all stay in the context."""
    if dynamics == "drop":
        return 1 if n_units == 1 else None
    return (1 if dynamics == "grow" else n_units) if n_units else None


def _against(sink: Sink | None) -> str:
    return "" if sink is None else f", as the first position is an attention sink ({_ratio(sink)})"


def _ratio(sink: Sink) -> str:
    return f"‖v‖ {sink.ratio:.0f} times the others'"
