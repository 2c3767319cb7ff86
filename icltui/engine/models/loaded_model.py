"""A model that can be explored.

Enters: a Hugging Face model and its tokenizer, in memory. Leaves: a :class:`LoadedModel`, its weights untouched and in
evaluation mode, with its sites, its fingerprint and its facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import torch

from icltui import __version__
from icltui.engine.hooks.find_sites import find_sites
from icltui.engine.hooks.site import Site, input_device
from icltui.engine.models.fingerprint import fingerprint
from icltui.engine.models.gguf_header import GgufHeader
from icltui.values import ModelInfo, RefusedLayer, Sink
from icltui.values.bounds import LAYERS, SIZE
from icltui.values.errors import ModelError

LEFT_OUT = (
    "the adapter beside the model's weights (adapter_config.json) is left out: to explore both, merge them with PEFT "
    "(merge_and_unload, then save_pretrained) and load that folder"
)


@dataclass(frozen=True)
class RoundingLevel:
    """The error of z in half precision, relative to ‖z‖, root mean square over tokens; see *measure_rounding*."""

    free: float
    """Error against the whole model in float32, which includes the rounding of the layers below."""
    local: float
    """Error against this layer in float32 on an equal residual stream."""


@dataclass(frozen=True)
class LoadedModel:
    """A model that can be explored."""

    model: Any
    """The ``PreTrainedModel``; typed Any, as its many forward signatures differ."""
    tokenizer: Any
    sites: tuple[Site, ...]
    name: str
    revision: str | None
    window: int | None
    """Longest sequence in tokens, or None when the positions are not bounded."""
    refused: tuple[RefusedLayer, ...] = ()
    """Layers that are not among ``sites``."""
    rounding: Mapping[int, RoundingLevel] = field(default_factory=dict)
    """Rounding errors by layer, of a model in half precision."""
    stored_dtype: str = ""
    """The dtype of the checkpoint's weights, where it is known."""
    dtype_reason: str = ""
    """Why ``auto`` chose another dtype, or one that is slow here; empty where there was nothing to choose."""
    has_adapter: bool = False
    """Whether the model's folder holds a LoRA, which is not loaded."""
    gguf: GgufHeader | None = None
    """The header of the GGUF file that the weights are from, with its path and architecture; None: another format."""
    notes: tuple[str, ...] = ()
    """What else is out of the ordinary about how it was loaded, in sentences."""
    sink: Sink | None = None
    """The first position of a text, where it is an attention sink."""

    @property
    def n_layers(self) -> int:
        """The number of the model's layers, refused ones included."""
        return len(self.sites) + len(self.refused)

    @property
    def device(self) -> torch.device:
        """The device that token ids must be on."""
        return input_device(self.model)

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.model.dtype
        return dtype

    def describe(self, path: Any, path_reason: str = "") -> ModelInfo:
        """The facts that a session keeps; ``path``: the way prefixes are measured, with the reason."""
        return ModelInfo(
            name=self.name,
            revision=self.revision,
            fingerprint=fingerprint(self.model),
            architecture=type(self.model).__name__,
            n_layers=self.n_layers,
            hidden_size=int(self.model.get_input_embeddings().weight.shape[1]),
            n_parameters=self.model.num_parameters(),
            dtype=str(self.dtype).removeprefix("torch."),
            stored_dtype=self.stored_dtype,
            dtype_reason=self.dtype_reason,
            device=str(self.device),
            window=self.window,
            path=path,
            path_reason=path_reason,
            refused=self.refused,
            sink=self.sink,
            notes=(*((LEFT_OUT,) if self.has_adapter else ()), *self.notes),
            versions={
                "icltui": __version__,
                "torch": str(torch.__version__),
                "transformers": version("transformers"),
            },
        )


def wrap_model(
    model: Any,
    tokenizer: Any,
    name: str,
    revision: str | None = None,
    site_paths: Mapping[str, str] | None = None,
) -> LoadedModel:
    """A model in memory as a :class:`LoadedModel`; its gradients are switched off.

    ``site_paths`` names modules that cannot be found, see :func:`icltui.engine.hooks.find_sites.find_sites`.

    Raises:
        BadInput: a path that the model does not have.
        ModelError: the tokenizer gives no offsets, or the blocks have no MLP.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"model {name!r} has a tokenizer without character offsets: icltui needs one with tokenizer.json"
        )
    model.eval().requires_grad_(False)
    for module in model.modules():
        if getattr(getattr(module, "config", None), "return_dict", True) is not True:
            module.config.return_dict = True  # the model's own parts ask each other for named outputs
    model.config.use_cache = True  # a setting of its training
    if not model.config.architectures:  # the layout of the blocks is recognised by it
        model.config.architectures = [type(model).__name__]
    text_config = model.config.get_text_config(decoder=True)
    window = getattr(text_config, "max_position_embeddings", None)
    window = window if type(window) is int and 0 < window <= SIZE else None
    sites, refused = find_sites(model, site_paths)
    if (n_layers := len(sites) + len(refused)) > LAYERS:
        raise ModelError(f"model {name!r} has {n_layers:,} layers: at most {LAYERS:,} can be explored")
    return LoadedModel(model, tokenizer, sites, name, revision, window, refused)
