"""A GGUF file as transformers reads it: whether it holds a model, and its place for ``from_pretrained``.

Enters: a file. Leaves: its header, checked, and arguments under which transformers unpacks its blocks into ordinary
floats.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import transformers

from icltui.engine.models.gguf_header import GgufHeader, block_types, read_header
from icltui.engine.models.gguf_tokenizer import unknown_split
from icltui.storage.paths import shown
from icltui.values.errors import ModelError

ENDING = ".gguf"
_LINK = "model.gguf"
MOST_LAYERS = 10_000
"""Layers, heads or experts: more than any model has."""
_OTHER_KINDS = {
    "adapter": "an adapter: give the model that it was made on",
    "mmproj": "the vision part of a model: give the file of its language model",
    "controlvector": "a control vector: give the model that it was made on",
    "clip": "the vision part of a model: give the file of its language model",
    "imatrix": "statistics for quantizing: give the model that they were made on",
    "vocab": "a vocabulary without weights: give the file of the model",
}


def model_header(file: Path) -> GgufHeader:
    """The header of a GGUF file that holds a whole language model.

    Raises:
        ModelError: it is damaged, holds something else or a part, or blocks that cannot be unpacked.
    """
    header = read_header(file)
    kinds = (header.text("general.type"), header.architecture)
    if other := next((_OTHER_KINDS[kind] for kind in kinds if kind in _OTHER_KINDS), None):
        raise ModelError(f"{shown(file)} is {other}")
    n_parts = header.settings.get("split.count", 1)
    if isinstance(n_parts, int) and n_parts > 1:
        raise ModelError(
            f"{shown(file)} is one of {n_parts:,} parts of a model: put them together with "
            f"`llama-gguf-split --merge FIRST-PART WHOLE.gguf`, and give that file"
        )
    if not header.architecture or not header.tensors:
        missing = "tensors" if header.architecture else "architecture (general.architecture)"
        raise ModelError(f"{shown(file)} has no {missing}: it holds no model")
    _check_architecture(header)
    _check_types(header)
    _check_counts(header)
    return header


def _check_architecture(header: GgufHeader) -> None:
    known = readable_architectures()
    if re.sub("[-_]", "", header.architecture) not in {name.replace("_", "") for name in known}:
        raise ModelError(
            f"{shown(header.file)} is of architecture {header.architecture[:40]!a}, which transformers "
            f"{transformers.__version__} cannot read from a GGUF: it reads {', '.join(known)}"
        )


def _check_types(header: GgufHeader) -> None:
    from gguf import GGMLQuantizationType, dequantize

    kinds = {tensor.type: name for name, tensor in header.tensors.items()}
    n_bytes = {kind: size for kind, _, size in block_types().values()}
    for kind, name in kinds.items():
        try:
            dequantize(np.zeros((1, n_bytes[kind]), np.uint8), GGMLQuantizationType[kind])
        except NotImplementedError:
            raise ModelError(
                f"{shown(header.file)} holds {name!a} in blocks of {kind}, which the gguf package cannot unpack: "
                "take a file of the model in another type, such as Q8_0 or F16"
            ) from None


def _check_counts(header: GgufHeader) -> None:
    for key, value in header.settings.items():
        most = max(value, default=0) if isinstance(value, list) else value
        if key.endswith(("_count", "_count_kv")) and isinstance(most, int) and most > MOST_LAYERS:
            raise ModelError(f"{shown(header.file)} claims {key} {most:,}: {MOST_LAYERS:,} are the most")


@contextmanager
def alone_in_folder(file: Path) -> Iterator[dict[str, Any]]:
    """Arguments of ``from_pretrained`` that name the file in a folder of its own.

    transformers would prefer a tokenizer.json that lies beside the file, and wants a name that ends in .gguf.
    """
    with TemporaryDirectory(prefix="icltui-") as folder:
        Path(folder, _LINK).symlink_to(file.absolute())
        yield {"pretrained_model_name_or_path": folder, "gguf_file": _LINK}


@contextmanager
def unpacking(count_tensors: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Arguments that make transformers unpack the blocks; ``count_tensors`` replaces the bar that it draws meanwhile.

    Before version 5.20 transformers always unpacks, and has no argument for it.
    """
    from transformers import modeling_gguf_pytorch_utils as reader

    config, bar = getattr(transformers, "GgufConfig", None), reader.tqdm
    reader.tqdm = count_tensors
    try:
        yield {} if config is None else {"quantization_config": config(dequantize=True)}
    finally:
        reader.tqdm = bar


def readable_architectures() -> list[str]:
    """The architectures that transformers reads from a GGUF, as it names them."""
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES as BY_TABLE

    by_module = getattr(transformers.integrations, "GGUF_ARCHS", ())
    return sorted({*BY_TABLE, *by_module} - {"general", "tokenizer"})


def gguf_notes(header: GgufHeader) -> tuple[str, ...]:
    """What is out of the ordinary about the model of a GGUF, in sentences."""
    rule = unknown_split(header)
    unpacked = (
        f"its weights are unpacked from blocks of {header.blocks}, which round those that they were made from"
    )
    split = (
        f"text is split into words by GPT-2's rule, as the file's, {rule!a}, is not known: some texts may become other "
        "tokens than in llama.cpp"
    )
    return (*([unpacked] if header.blocks else []), *([split] if rule else []))
