"""A hash that tells a model's weights from any others', without a pass over all of them.

Enters: a model whose weights are in memory, or at rest in files. Leaves: 16 hexadecimal digits. The proof at load has
run by then, so the pages that the sample lies in are in memory already, as far as memory holds the model.
"""

import hashlib

from accelerate.utils.offload import OffloadedWeightsLoader, PrefixedDataset
from jaxtyping import Shaped
from torch import Tensor, nn
from transformers.integrations.accelerate import load_offloaded_parameter

_N_SAMPLES = 1024


def fingerprint(model: nn.Module) -> str:
    """A hash of every parameter's name, shape and dtype and of up to 1,024 of its values, evenly spread.

    The sample takes no noticeable time on any model, and a fine-tune still changes the hash.
    """
    digest = hashlib.sha256()
    # Tied weights that are offloaded seem to be parameters of their own.
    tied = set(getattr(model, "all_tied_weights_keys", ()))
    for name, parameter in sorted(model.named_parameters()):
        if name in tied:
            continue
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
        is_at_rest = parameter.device.type == "meta"  # offloaded: on its device only while it works
        values = _at_rest(model, name) if is_at_rest else parameter.detach()
        picked = values.flatten()[:: max(1, values.numel() // _N_SAMPLES)][:_N_SAMPLES].cpu()
        picked = picked.to(parameter.dtype)
        if picked.is_floating_point():
            picked = picked.double()
        digest.update(picked.numpy().tobytes())
    return digest.hexdigest()[:16]


def _at_rest(model: nn.Module, name: str) -> Shaped[Tensor, "..."]:
    """An offloaded parameter in the dtype of its file: a map, of which only what is looked at is read.

    accelerate's own way to it converts the whole tensor.
    """
    parts = name.split(".")
    for n in range(len(parts) - 1, -1, -1):
        owner, key = model.get_submodule(".".join(parts[:n])), ".".join(parts[n:])
        weights = getattr(getattr(owner, "_hf_hook", None), "weights_map", None)
        while isinstance(weights, PrefixedDataset):
            weights, key = weights.dataset, weights.prefix + key
        if isinstance(weights, OffloadedWeightsLoader) and "safetensors_file" in weights.index.get(key, ()):
            entry = {field: value for field, value in weights.index[key].items() if field != "dtype"}
            in_file: Tensor = OffloadedWeightsLoader(index={key: entry})[key]
            return in_file
    whole: Tensor = load_offloaded_parameter(model, name)
    return whole
