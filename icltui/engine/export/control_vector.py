"""The mean shift as a control vector for llama.cpp: one constant per layer, added to the residual stream after it.

Enters: a held patch whose shift is a constant. Leaves: a GGUF file, read back bit for bit, and a way to add its
vectors as llama.cpp does: the tensor ``direction.N`` to the output of block N. llama.cpp also counts blocks from 0, so
N is our layer; it adds nothing at block 0 (``llama_adapter_cvec::init``), so that layer cannot be carried.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from icltui.engine.export.gguf_writing import written
from icltui.engine.hooks.site import Site, hidden_output
from icltui.engine.patch.patch import HeldPatch
from icltui.values.errors import EngineError, ModelError

Vectors = Mapping[int, Float[Tensor, " hidden"]]
"""One constant for each layer."""
ARCHITECTURE = "controlvector"


def check_gguf() -> None:
    """Refuses, before any work, a file that could not be written after it.

    Raises:
        ModelError: the gguf package is missing.
    """
    if find_spec("gguf") is None:
        raise ModelError(
            "writing a GGUF file needs gguf, which is not installed: pip install 'icltui[export]'"
        )


def vectors_of(patch: HeldPatch) -> Vectors:
    """The shift at the patch's strength, as llama.cpp reads it: float32, in main memory."""
    biases = {layer: held.bias for layer, held in patch.layers.items()}
    return {
        layer: (patch.alpha * bias).to("cpu", torch.float32).contiguous()
        for layer, bias in biases.items()
        if bias is not None
    }


def write_vectors(path: Path, vectors: Vectors, model_hint: str) -> None:
    """Write the file; ``model_hint``: the model's type.

    Raises:
        OSError: the disk is full.
        EngineError: the vectors that are read back differ in a bit from those written.
    """
    from gguf import GGUFWriter

    writer = GGUFWriter(path, ARCHITECTURE)
    writer.add_string(f"{ARCHITECTURE}.model_hint", model_hint)
    writer.add_uint32(f"{ARCHITECTURE}.layer_count", len(vectors))
    for layer, vector in vectors.items():
        writer.add_tensor(f"direction.{layer}", vector.numpy())
    found = {tensor.name: torch.from_numpy(tensor.data.copy()) for tensor in written(writer, path).tensors}
    wanted = {f"direction.{layer}": vector for layer, vector in vectors.items()}
    if found.keys() != wanted.keys() or not all(torch.equal(found[name], wanted[name]) for name in wanted):
        raise EngineError(
            "the control vector that was read back is not the one that was written: nothing was kept"
        )


@contextmanager
def added(sites: Sequence[Site], vectors: Vectors) -> Iterator[None]:
    """Inside the ``with`` block the vectors are added to each transformer block's output, as llama.cpp does."""
    with ExitStack() as stack:
        for site in sites:
            if site.layer in vectors:
                hook = partial(_add, vectors[site.layer])
                stack.callback(site.block.register_forward_hook(hook).remove)
        yield


def _add(vector: Float[Tensor, " hidden"], _module: nn.Module, _args: Any, output: Any) -> Any:
    out = hidden_output(output)
    new = (out.to(vector.dtype) + vector.to(out.device)).to(out.dtype)
    return type(output)((new, *output[1:])) if isinstance(output, tuple | list) else new
