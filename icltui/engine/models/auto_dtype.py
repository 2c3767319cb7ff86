"""The dtype of ``--dtype auto``: the checkpoint's own, or float32 where the CPU has no instructions for that.

Enters: the request, the model's configuration, its tensors as stored. Leaves: the dtype to load in, and why it is not
the checkpoint's. A CPU without instructions for half precision converts every number that it reads: one pass takes
four times as long as in float32.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from msgspec.structs import replace
from transformers.modeling_utils import str_to_torch_dtype

from icltui.api.messages import LoadModel
from icltui.engine.models.device import DTYPES, has_instructions, pick_dtype
from icltui.engine.models.memory_estimate import estimate_memory, missing_bytes
from icltui.engine.models.stored_tensors import StoredTensor
from icltui.text.units import in_bytes


def stored_dtype(config: Any, stored: Mapping[str, StoredTensor]) -> torch.dtype | None:
    """The dtype that the configuration names, else that of most weights; None where neither is known."""
    declared = getattr(config, "dtype", None)
    if isinstance(declared, torch.dtype):
        return declared
    sizes: Counter[str] = Counter()
    for tensor in stored.values():
        sizes[tensor.dtype] += tensor.n_numbers
    dtypes = (str_to_torch_dtype.get(name) for name, _ in sizes.most_common())
    return next((dtype for dtype in dtypes if dtype in DTYPES.values()), None)


def choose_dtype(
    request: LoadModel,
    config: Any,
    stored: Mapping[str, StoredTensor],
    on_cpu: bool,
    free: int,
    blocks: str = "",
) -> tuple[Any, str]:
    """The dtype to load in, ``auto`` or torch's, and a reason where ``auto`` is not the checkpoint's own.

    ``free``: bytes of main memory; ``blocks``: the type of a GGUF's blocks, which are unpacked.
    """
    asked, own = pick_dtype(request.dtype), stored_dtype(config, stored)
    is_plain = (request.device_map, request.quantize) == ("none", "none")
    is_quantized = getattr(config, "quantization_config", None) is not None
    if asked != "auto" or not on_cpu or not is_plain or is_quantized or has_instructions(own):
        return asked, ""
    name = str(own).removeprefix("torch.")
    stored_as = f"blocks of {blocks} are unpacked to {name}" if blocks else f"the checkpoint is in {name}"
    reason = f"{stored_as}, for which this CPU has no instructions"
    if not stored:
        return asked, f"{reason}, so it is slow: --dtype float32 is not, and takes twice the memory"
    wide = estimate_memory(stored, config, replace(request, dtype="float32"), torch.float32, free)
    if missing_bytes(wide) <= 0:
        return torch.float32, reason
    needed = in_bytes(wide.weight_bytes + wide.measure_bytes)
    return asked, f"{reason}, so it is slow: float32 would take {needed} of {in_bytes(free)} free"
