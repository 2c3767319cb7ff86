"""A held patch as a LoRA adapter for PEFT.

Enters: a patch, and the factor with which each down projection reaches its block's output
(:mod:`icltui.engine.export.foldable`). Leaves: tensors and a configuration, and the two files that hold them.

The map of the MLP's input, ``x += write (read·x)``, is for every matrix W that reads it ``ΔW = (W write) read``:
A = read, B = W write. The shift, ``stream += write (read·g)``, is A = read, B = write over the factor, on the down
projection. All modules get one rank, zero-padded, ``lora_alpha`` equals it, and the strength is in B: vLLM and
llama.cpp's converter know no other. Layouts are those of PEFT from 0.20 on, see ``peft.tuners.lora.layer``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from icltui.engine.export.adapter_base_model import Base, base_of, write_card
from icltui.engine.hooks.site import InputProjection, Site
from icltui.engine.measure.rank_one import project
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.low_rank_map import LowRank
from icltui.engine.patch.patch import HeldPatch
from icltui.storage.patch_source import encode_source
from icltui.values.patch_source import PATCH_FILE, PatchSource

PREFIX = "base_model.model."
"""The prefix of each module's path; PEFT does not find tensors under another, and loads zeros."""
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


@dataclass(frozen=True)
class Adapter:
    """The contents of the files."""

    tensors: dict[str, Tensor]
    config: dict[str, Any]
    rank: int
    base: Base


@dataclass(frozen=True)
class _Piece:
    """The change of one module's matrix, or of its experts' matrices, in PEFT's layout."""

    module: nn.Module
    parameter: str
    a: Float[Tensor, "experts rank _in"]
    b: Float[Tensor, "_out rank experts"]

    def padded(
        self, rank: int
    ) -> tuple[Float[Tensor, "experts_rank _in"], Float[Tensor, "_out experts_rank"]]:
        """A and B with the experts side by side, zeros where the rank is smaller."""
        missing = rank - self.a.shape[1]
        a = nn.functional.pad(self.a, (0, 0, 0, missing)).flatten(0, 1)
        b = nn.functional.pad(self.b, (0, 0, 0, missing)).flatten(1, 2)
        return a, b


def make_adapter(loaded: LoadedModel, patch: HeldPatch, factors: Mapping[int, float]) -> Adapter:
    """The patch at its strength; every layer that holds a shift must have a factor."""
    pieces = [piece for site in patch.sites for piece in _pieces(site, patch, factors)]
    rank = max((piece.a.shape[1] for piece in pieces), default=1)
    paths = {id(module): path for path, module in loaded.model.named_modules()}
    tensors: dict[str, Tensor] = {}
    for piece in pieces:
        name = PREFIX + paths[id(piece.module)]
        a, b = piece.padded(rank)
        for side, tensor in (("A", a), ("B", b)):
            tensors[f"{name}.lora_{side}.weight"] = tensor.to("cpu", torch.float32).contiguous()
    base = base_of(loaded)
    return Adapter(tensors, _config(loaded, base, pieces, paths, rank), rank, base)


def write_adapter(folder: Path, adapter: Adapter, source: PatchSource | None = None) -> None:
    """Writes both files, the model card and, where it is given, the ``source`` into an existing folder."""
    write_card(folder, adapter.base, source)
    if source is not None:
        (folder / PATCH_FILE).write_bytes(encode_source(source))
    save_file(adapter.tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(adapter.config, indent=2) + "\n", encoding="utf-8")


def has_experts(loaded: LoadedModel) -> bool:
    """Whether some of the model's matrices are parameters of experts, not modules."""
    return any(
        not isinstance(projection.module, nn.Linear | Conv1D)
        for site in loaded.sites
        for projection in site.input_projections
    )


def _pieces(site: Site, patch: HeldPatch, factors: Mapping[int, float]) -> Iterator[_Piece]:
    held, alpha = patch.layers[site.layer], patch.alpha
    if held.weights is not None:
        images = project(site, held.weights.write.T)
        for projection in site.input_projections:
            yield _of_reader(projection, held.weights, alpha * images[projection.name])
    if held.output is not None:
        assert site.down_proj is not None
        write = alpha * held.output.write / factors[site.layer]
        yield _Piece(site.down_proj, "weight", held.output.read[None], write[..., None])


def _of_reader(projection: InputProjection, map_: LowRank, image: Float[Tensor, "rank _inner"]) -> _Piece:
    """The change of a matrix that reads z; ``image``: W write, experts side by side."""
    experts = projection.experts or 1
    images = image.reshape(len(image), experts, -1)  # rank, experts, inner
    read = map_.read.to(image)
    # PEFT takes a parameter of experts for (experts, out, in) unless its module says otherwise.
    swapped = (
        projection.experts is not None
        and projection.transposed
        and not getattr(projection.module, "is_transposed", False)
    )
    if swapped:
        return _Piece(
            projection.module,
            projection.parameter,
            images.transpose(0, 1),
            read.T[..., None].expand(-1, -1, experts),
        )
    return _Piece(
        projection.module, projection.parameter, read.expand(experts, -1, -1), images.permute(2, 0, 1)
    )


def _config(
    loaded: LoadedModel, base: Base, pieces: Sequence[_Piece], paths: Mapping[int, str], rank: int
) -> dict[str, Any]:
    # With experts every target is a parameter: PEFT renames the modules of such models to older names.
    by_parameter = has_experts(loaded)
    modules = [paths[id(piece.module)] for piece in pieces]
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.place,
        "revision": base.revision,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": any(isinstance(piece.module, Conv1D) for piece in pieces),
        "inference_mode": True,
        "target_modules": [] if by_parameter else modules,
    }
    if by_parameter:
        names = (f"{path}.{piece.parameter}" for path, piece in zip(modules, pieces, strict=True))
        config["target_parameters"] = list(names)
    return config
