"""An adapter as a GGUF file for llama.cpp, which adds ``alpha / rank · B (A x)`` to each product of a matrix and x.

Enters: an adapter for PEFT. Leaves: its tensors, bit for bit, as ``blk.N.ffn_up.weight.lora_a`` (rank, in) and
``….lora_b`` (out, rank), which is the orientation that PEFT has for ``Conv1D`` too; and a way to read the file and add
what it holds as llama.cpp does (``llama_adapter_lora_init`` and ``build_lora_mm`` there). Names of architectures and
matrices are gguf's own. A matrix of several experts is none of a module's, and has no name here.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from icltui.engine.export.gguf_writing import written
from icltui.engine.export.peft import PREFIX, Adapter, has_experts
from icltui.engine.models.loaded_model import LoadedModel
from icltui.storage.patch_source import encode_source
from icltui.values.errors import BadInput, EngineError
from icltui.values.patch_source import PATCH_KEY, PatchSource

_OTHER_NAMES = {
    "mistral": "llama",
    "phi": "phi2",
    "cohere": "commandr",
    "gpt_bigcode": "starcoder",
}
"""Types of models that llama.cpp's ``convert_hf_to_gguf.py`` writes as an architecture of another name."""

Names = Mapping[str, str]
"""The name in a GGUF file of each module's matrix, by the module's path in the model."""


def architecture_of(loaded: LoadedModel) -> str:
    """The name that a GGUF file gives the model's architecture: its own file, where it is from one.

    Raises:
        BadInput: gguf has none for this type of model, or its matrices belong to experts.
    """
    from gguf import MODEL_ARCH_NAMES

    if has_experts(loaded):
        raise BadInput(
            "a matrix of experts, which GGUF stores apart from the others, fits into no GGUF adapter here: "
            "export --to peft"
        )
    if loaded.gguf is not None:
        return loaded.gguf.architecture
    kind = str(_config(loaded).model_type)
    wanted = _letters(_OTHER_NAMES.get(kind, kind.removesuffix("_text")))
    found = next((name for name in MODEL_ARCH_NAMES.values() if _letters(name) == wanted), None)
    if found is None:
        raise BadInput(
            f"GGUF has no architecture for models of type {kind!r}, so llama.cpp reads no adapter of it: "
            "export --to peft"
        )
    return str(found)


def names_of(loaded: LoadedModel, architecture: str) -> Names:
    """The names of all matrices that the architecture has."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    arch = next(arch for arch, name in MODEL_ARCH_NAMES.items() if name == architecture)
    table = get_tensor_name_map(arch, _config(loaded).num_hidden_layers)
    # llama.cpp's converter, too, takes the text model of a larger one out of its wrapper.
    named = (
        (path, table.get_name(path.replace("language_model.", "")))
        for path, _ in loaded.model.named_modules()
    )
    return {path: f"{name}.weight" for path, name in named if name is not None}


def write_lora(
    path: Path, adapter: Adapter, architecture: str, names: Names, source: PatchSource | None = None
) -> None:
    """Write the file.

    Raises:
        BadInput: the architecture has no name for a matrix of the adapter.
        OSError: the disk is full.
        EngineError: the tensors that are read back differ in a bit from those written.
    """
    from gguf import GGUFType, GGUFWriter

    tensors = _renamed(adapter, architecture, names)
    writer = GGUFWriter(path, architecture)
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(adapter.rank))
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, adapter.base.place)
    writer.add_string("icltui.fingerprint", adapter.base.fingerprint)
    if source is not None:
        writer.add_string(PATCH_KEY, encode_source(source).decode())
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor.numpy())
    found = _tensors(written(writer, path))
    if found.keys() != tensors.keys() or not all(torch.equal(found[name], tensors[name]) for name in tensors):
        raise EngineError("the adapter that was read back is not the one that was written: nothing was kept")


@contextmanager
def with_lora(model: Any, path: Path, names: Names) -> Iterator[None]:
    """Inside the ``with`` block the file's matrices are added to the products of the model's, as llama.cpp does.

    Raises:
        EngineError: the file has a tensor that no matrix of the model takes.
    """
    from gguf import GGUFReader

    reader = GGUFReader(path)
    alpha = float(reader.get_field("adapter.lora.alpha").contents())
    tensors = _tensors(reader)
    with ExitStack() as stack:
        for at, module in model.named_modules():
            if at in names and f"{names[at]}.lora_a" in tensors:
                a, b = (tensors.pop(f"{names[at]}.lora_{side}") for side in "ab")
                hook = partial(_add, a, b, alpha / a.shape[0])
                stack.callback(module.register_forward_hook(hook).remove)
        if tensors:
            raise EngineError(f"no matrix of the model is called {next(iter(tensors))}: nothing was kept")
        yield


def _add(
    a: Float[Tensor, "rank _in"],
    b: Float[Tensor, "_out rank"],
    scale: float,
    _module: nn.Module,
    args: Any,
    out: Float[Tensor, "*tokens _out"],
) -> Float[Tensor, "*tokens _out"]:
    wide = torch.promote_types(out.dtype, a.dtype)
    a, b = a.to(out.device, wide), b.to(out.device, wide)
    added: Tensor = scale * (args[0].to(wide) @ a.T @ b.T)
    return (out.to(wide) + added).to(out.dtype)


def _renamed(adapter: Adapter, architecture: str, names: Names) -> dict[str, Tensor]:
    renamed = {}
    for key, tensor in adapter.tensors.items():
        path, _, side = key.removeprefix(PREFIX).removesuffix(".weight").rpartition(".lora_")
        if path not in names:
            raise BadInput(
                f"GGUF has no name for the matrix {path} in the architecture {architecture}, so llama.cpp reads no "
                "adapter of it: export --to peft"
            )
        renamed[f"{names[path]}.lora_{side.lower()}"] = tensor
    return renamed


def _tensors(reader: Any) -> dict[str, Tensor]:
    return {tensor.name: torch.from_numpy(tensor.data.copy()) for tensor in reader.tensors}


def _config(loaded: LoadedModel) -> Any:
    return loaded.model.config.get_text_config(decoder=True)


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(".", "")
