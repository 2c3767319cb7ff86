"""Whether the sizes in config.json are the checkpoint's, before anything of that size is made.

Enters: the file, its configuration, the headers of the weights. Leaves: nothing, or a refusal. transformers makes every
layer, and every tensor that the weights lack, as large as config.json says: a few bytes could fill the memory.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from icltui.engine.models.checkpoint import read_bounded
from icltui.engine.models.stored_tensors import StoredTensor
from icltui.values.errors import ModelError

MOST_LAYERS = 10_000
"""Layers, heads, experts or labels: more than any model has."""
_COUNTS = re.compile(r"(^|_)(layers?|depth|blocks|heads?|experts|labels)($|_(?!norm|types|scale))")
MOST_TIMES, MOST_TIMES_QUANTIZED = 2, 16
"""Most numbers of a model per number in its file: an embedding may be shared, or eight numbers packed in one."""
MOST_BUFFERS = 2**30
"""Bytes of tensors that no file holds, such as masks, beside as many as the weights have."""


def check_config(name: str, file: Path) -> None:
    """Refuse a configuration that would take too long to read.

    Raises:
        ModelError: it is too large, not JSON, or counts more layers, heads, experts or labels than any model has.
    """
    try:
        config = json.loads(read_bounded(file))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"model {name!r} has a config.json that is no JSON ({type(error).__name__})"
        ) from error
    if not isinstance(config, dict):
        raise ModelError(f"model {name!r} has a config.json that is no table of settings")
    for key, value in _numbers(config):
        if _COUNTS.search(key) and not value <= MOST_LAYERS:
            raise ModelError(
                f"model {name!r} has {key} {_size(value)} in its config.json: {MOST_LAYERS:,} are the most"
            )
        if isinstance(value, int) and abs(value) > 2**63:
            raise ModelError(f"model {name!r} has {key} {_size(value)} in its config.json, which is no size")


def check_claims(name: str, config: Any, stored: Mapping[str, StoredTensor], auto_class: Any) -> None:
    """Refuse the configuration of a model that the weights cannot fill; unknown weights pass.

    Raises:
        ModelError: naming the size that is claimed and the size of the weights.
    """
    if not stored:
        return
    n_layers = getattr(config.get_text_config(decoder=True), "num_hidden_layers", None)
    if isinstance(n_layers, int) and n_layers > len(stored):
        raise ModelError(
            f"model {name!r} has {n_layers:,} layers by its configuration, and weights of {len(stored):,} tensors: "
            "they are not of one model"
        )
    try:
        with torch.device("meta"):
            model = auto_class.from_config(config)
    except Exception:  # noqa: BLE001 -- what is wrong with it is said where it is made in earnest
        return
    _check_numbers(name, config, stored, model)


def _check_numbers(
    name: str, config: Any, stored: Mapping[str, StoredTensor], model: torch.nn.Module
) -> None:
    n_stored = sum(tensor.n_numbers for tensor in stored.values())
    claimed = {key: tuple(parameter.shape) for key, parameter in model.named_parameters()}
    times = MOST_TIMES if getattr(config, "quantization_config", None) is None else MOST_TIMES_QUANTIZED
    n_claimed = sum(map(math.prod, claimed.values()))
    if n_claimed > times * n_stored:
        key, shape = max(claimed.items(), key=lambda item: math.prod(item[1]))
        raise ModelError(
            f"model {name!r} has {n_claimed:,} numbers by its configuration ({key} {shape} the most of them), and "
            f"weights of {n_stored:,}: they are not of one model"
        )
    saved = model.state_dict().keys()
    n_bytes = sum(buffer.nbytes for key, buffer in model.named_buffers() if key not in saved)
    if n_bytes > MOST_BUFFERS + sum(tensor.n_bytes for tensor in stored.values()):
        raise ModelError(
            f"model {name!r} has masks or tables of {n_bytes:,} bytes by its configuration: its number of positions is "
            "none that a model has"
        )


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, int | float]]:
    """Every number in the JSON ``value``, after the key that it has there."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _numbers(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _numbers(part, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


def _size(value: int | float) -> str:
    return f"{value:,}" if abs(value) < 10**15 else "of more than 15 digits"
