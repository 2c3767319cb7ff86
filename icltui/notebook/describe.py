"""What is known of a model before anything is asked of it."""

from collections.abc import Mapping

from icltui.api.engine import OnEvent
from icltui.notebook.held_model import engine_on
from icltui.values import ModelInfo
from icltui.values.errors import EngineError


def describe(
    model: object,
    tokenizer: object = None,
    *,
    sites: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
) -> ModelInfo:
    """The model's fingerprint, layers, dtype and device, the layers on which the patch is not exact, and why.

    Args: as those of ``icltui.measure``.

    Raises:
        BadInput: something that is no model or no tokenizer.
        ModelError: a model that no proof accepts, or that cannot be loaded.
    """
    with engine_on(model, tokenizer, sites, on_event or (lambda _event: None)) as engine:
        if engine.info is None:
            raise EngineError("the engine ended without a model: load it anew")
        return engine.info
