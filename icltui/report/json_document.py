"""Any record as JSON for scripts: its keys are a promise to them."""

from icltui.text.pretty_json import pretty
from icltui.values import ModelInfo
from icltui.values.errors import EngineError
from icltui.values.prompt import Prompt


def provenance(model: ModelInfo, prompt: Prompt) -> dict[str, object]:
    """What every answer was got from: the model, its refused layers, and how the prompt was read."""
    return {
        "model": model,
        "refused": model.refused,
        "positions": prompt.positions,
        "chat": prompt.chat,
    }


def as_json(value: object) -> str:
    """Any record as JSON text.

    Raises:
        EngineError: a number in it is not finite.
    """
    try:
        return pretty(value) + "\n"
    except ValueError as error:
        raise EngineError("the model gave a number that is not finite: try --dtype float32") from error
