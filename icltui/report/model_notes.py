"""What is out of the ordinary about a model, in lines that go before every report on it."""

from collections import defaultdict

from icltui.text.escape import visible
from icltui.values import ModelInfo
from icltui.values.prompt import layers_text


def model_lines(model: ModelInfo) -> list[str]:
    """One line for each reason for which layers are left out, and what else is out of the ordinary about the model."""
    layers: defaultdict[str, list[int]] = defaultdict(list)
    for refused in model.refused:
        layers[refused.reason].append(refused.layer)
    chosen = f"computed in {visible(model.dtype)}: {visible(model.dtype_reason)}"
    return [
        *([chosen] if model.dtype_reason else []),
        *(
            f"left out: layers {layers_text(found, model.n_layers)}: {visible(why)}"
            for why, found in layers.items()
        ),
        *(f"note: {visible(note)}" for note in model.notes),
    ]
