"""What is known of a model."""

from typing import Literal

import msgspec

from icltui.values.base import Record
from icltui.values.bounds import LayerCount, LayerIndex, Size, TokenCount, Width

Path = Literal["packed", "loop"]
"""How the prefixes were measured: all in one packed pass, or one forward pass each."""
Quantize = Literal["none", "8bit", "4bit"]
"""Whether bitsandbytes quantizes the weights while they load."""


class RefusedLayer(Record, frozen=True):
    """A layer on which the patch is not exact, so that its numbers would be wrong."""

    layer: LayerIndex
    """Index of the layer, from 0."""
    reason: str
    """Reason for the refusal, in words."""


class Sink(Record, frozen=True):
    """An attention sink: a token whose residual norm is many times the others', and which they attend to."""

    position: TokenCount
    """Position in a text without a kept token."""
    ratio: float
    """‖v‖ there over the median of the other tokens', at the layer where that is largest."""
    layers: tuple[LayerIndex, ...]
    """The layers where it is a sink, ascending."""


class ModelInfo(Record, frozen=True):
    """The loaded model, as a session remembers it."""

    name: str
    """Hugging Face id, folder, GGUF file, ``ollama:NAME``, or ``demo`` for the embedded model."""
    revision: str | None
    """Branch, tag or commit; None: the repository's default."""
    fingerprint: str
    """Hash of the weights: equal fingerprints mean equal numbers on equal versions."""
    architecture: str
    """The class of the Hugging Face model."""
    n_layers: LayerCount
    """Transformer blocks."""
    hidden_size: Width
    """Width of the residual stream."""
    n_parameters: Size
    """Number of parameters, each shared weight counted once."""
    dtype: str
    """What is computed in, such as ``float32``."""
    device: str
    """Device, such as ``cpu`` or ``cuda:0``."""
    window: Size | None
    """Longest sequence in tokens that the model's positions allow."""
    path: Path
    versions: dict[str, str]
    """Versions of icltui, torch and transformers, by name."""
    path_reason: str = ""
    """Why the prefixes are measured one by one; empty where they are packed."""
    refused: tuple[RefusedLayer, ...] = ()
    """Layers that are left out of patches and measures."""
    sites: dict[str, str] = msgspec.field(default_factory=dict)
    """Module paths given by hand, without which other numbers would come out."""
    quantize: Quantize = "none"
    stored_dtype: str = ""
    """What the checkpoint's weights are saved in; empty where that is not known."""
    dtype_reason: str = ""
    """Why ``--dtype auto`` chose other numbers than those, or none that are quick on this machine."""
    notes: tuple[str, ...] = ()
    """What is out of the ordinary about how it was loaded, in sentences."""
    sink: Sink | None = None
    """The first position of a text, where it is a sink; None where it is none, and in older records."""


class Estimate(Record, frozen=True):
    """What a model will take, known before it is loaded; sizes in bytes."""

    n_parameters: Size
    """Numbers in the checkpoint's tensors."""
    weight_bytes: Size
    """The weights in the dtype that is asked for."""
    measure_bytes: Size
    """What a measure adds: the cache of a context as long as the positions allow (at most 4,096), and one chunk."""
    available_bytes: Size
    """Free on the device that the model is to be on."""


class ZooRow(Record, frozen=True):
    """What the proof says of a tiny random model of one family, or of a real model.

    Errors are relative, the worst of all layers. None where there is no such number: the model cannot be explored, or
    not in that dtype.
    """

    family: str
    """The name that Transformers gives the type, followed by the variant where it has one."""
    model_class: str
    """The class of the Hugging Face model."""
    n_layers: LayerCount = 0
    """0 where it cannot be explored at all."""
    n_exact: LayerCount = 0
    """Layers on which both errors in float32 are rounding."""
    n_refused: LayerCount = 0
    """Layers that are refused, with the reason among the notes."""
    mlp_error: float | None = None
    """Of the MLP's output under ΔW alone, in float32."""
    mlp_error_bfloat16: float | None = None
    """``mlp_error`` in bfloat16."""
    block_error: float | None = None
    """Of the block's output under ΔW and the shift, in float32."""
    block_error_bfloat16: float | None = None
    """``block_error`` in bfloat16."""
    logit_error: float | None = None
    """L∞ of the logits with all usable layers patched, over the largest one, in float32."""
    undone: bool | None = None
    """Whether the logits after the patch are bit for bit those before it."""
    n_said: TokenCount | None = None
    """Of ``N_TOKENS`` generated with the context, how many a patch per step says too; None where it cannot go on."""
    path: Path | None = None
    """How the prefixes are measured."""
    notes: tuple[str, ...] = ()
    """Why layers, or the whole family, are refused, and why the prefixes are not packed."""
    is_real: bool = False
    """Whether its weights are trained, not random."""
