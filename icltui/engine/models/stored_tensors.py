"""The tensors of a checkpoint as its files describe them: names, shapes and dtypes, without the numbers.

Enters: a :class:`~icltui.engine.models.checkpoint.Checkpoint`. Leaves: a :class:`StoredTensor` by name.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import HfApi
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers.modeling_utils import str_to_torch_dtype

from icltui.engine.models.checkpoint import Checkpoint, weight_files
from icltui.engine.models.gguf_config import unpacked_dtype
from icltui.engine.models.gguf_header import GgufHeader
from icltui.values.errors import ModelError


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as its file describes it."""

    shape: tuple[int, ...]
    dtype: str
    """The dtype's name in safetensors: F32, BF16, F8_E4M3, I64, BOOL."""

    @property
    def n_numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        bits = re.search(r"\d+", self.dtype)
        return self.n_numbers * (int(bits[0]) if bits else 8) // 8

    @property
    def is_float(self) -> bool:
        return self.dtype.startswith(("F", "BF"))


def stored_tensors(checkpoint: Checkpoint) -> dict[str, StoredTensor]:
    """Every tensor of the checkpoint, by name; empty where only loading would show them.

    Raises:
        ModelError: a file of the weights is missing or damaged.
    """
    if checkpoint.gguf is not None:
        return _unpacked(checkpoint.gguf)
    if checkpoint.folder is None:
        return _hub_headers(checkpoint)
    return {
        name: tensor
        for file in weight_files(checkpoint.folder)
        for name, tensor in (_safe_header if file.suffix == ".safetensors" else _pickle_header)(file).items()
    }


def _unpacked(header: GgufHeader) -> dict[str, StoredTensor]:
    """The tensors of a GGUF as they will be, unpacked."""
    dtype = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}[unpacked_dtype(header)]
    return {name: StoredTensor(tensor.shape, dtype) for name, tensor in header.tensors.items()}


def _safe_header(file: Path) -> dict[str, StoredTensor]:
    if not file.is_file():
        raise ModelError(
            f"folder {str(file.parent)!r} lacks {file.name}, a part of its weights: download it again"
        )
    try:
        with safe_open(file, framework="np") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 -- no mapping
            return {name: StoredTensor(tuple(s.get_shape()), s.get_dtype()) for name, s in slices.items()}
    except SafetensorError as error:
        raise ModelError(f"{str(file)!r} is damaged or cut off: download it again") from error


def _pickle_header(file: Path) -> dict[str, StoredTensor]:
    names = {dtype: name for name, dtype in str_to_torch_dtype.items()}
    return {
        name: StoredTensor(tuple(t.shape), names.get(t.dtype, f"I{8 * t.itemsize}"))
        for name, t in read_pickle(file, "meta").items()
    }


def read_pickle(file: Path, device: str) -> dict[str, Shaped[Tensor, "..."]]:
    """The tensors of a pickle, and nothing else of it; on ``meta`` without their numbers."""
    try:
        tensors: dict[str, Tensor] = torch.load(file, map_location=device, weights_only=True, mmap=True)
    except RuntimeError:  # a format of before 2020, which cannot be read in parts
        tensors = torch.load(file, map_location=device, weights_only=True)
    return tensors


def _hub_headers(checkpoint: Checkpoint) -> dict[str, StoredTensor]:
    try:
        found = HfApi().get_safetensors_metadata(checkpoint.name_or_path, revision=checkpoint.revision)
    except Exception:  # noqa: BLE001 -- an estimate is a courtesy; what is really wrong shows when loading
        return {}
    return {
        name: StoredTensor(tuple(tensor.shape), tensor.dtype)
        for file in found.files_metadata.values()
        for name, tensor in file.tensors.items()
    }
