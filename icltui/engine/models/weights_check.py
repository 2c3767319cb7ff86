"""Whether a checkpoint's weights fill the model that its config.json describes.

Enters: what ``from_pretrained`` reports of missing, mismatched and unexpected keys. Leaves: nothing, or a refusal, as
transformers would fill the gaps with noise and only warn.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from icltui.engine.models.unexpected_keys import learned_keys
from icltui.values.errors import ModelError


def check_weights(
    name: str, report: Mapping[str, Any], model: Any, files: Callable[[], Sequence[Path]]
) -> None:
    """Refuse weights that do not fit; constants that an older version of the architecture saved may be unexpected.

    ``files`` gives the checkpoint's files, and is called only where they must be looked at.

    Raises:
        ModelError: naming the first that is missing, of another shape, or of a layer that the model lacks.
    """
    stacks = {_stack(key) for key, _ in model.named_parameters()}
    faults = [f"{key} is missing" for key in sorted(report["missing_keys"])]
    faults += [f"{key[0]} is of another shape" for key in sorted(report["mismatched_keys"])]
    unexpected = [key for key in report["unexpected_keys"] if _belongs(key, stacks)]
    faults += [
        f"{key} has no place" for key in learned_keys(unexpected, model, files() if unexpected else ())
    ]
    if faults:
        raise ModelError(
            f"model {name!r} has weights that do not fit its config.json: {faults[0]}"
            + (f", and {len(faults) - 1} more" if len(faults) > 1 else "")
        )


def _stack(key: str) -> str:
    """``model.layers.`` of ``model.layers.3.mlp.up_proj.weight``; empty without a number."""
    match = re.search(r"\.\d+\.", f".{key}")
    return f".{key}"[: match.start() + 1] if match else ""


def _belongs(key: str, stacks: set[str]) -> bool:
    """Whether the weight is of a stack of layers that the model has, and not, say, of a vision tower."""
    stack = _stack(key)
    return bool(stack) and any(known.endswith(stack) for known in stacks)
