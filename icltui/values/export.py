"""What *export* and *replay* give: a patch that left the program, and a session that was computed again."""

from typing import Literal

from icltui.values.base import Record
from icltui.values.bounds import Count, TokenCount

ExportFormat = Literal["peft", "gguf-lora", "gguf-control-vector", "factors"]
"""A LoRA adapter for PEFT, or for llama.cpp; the mean shift for llama.cpp; z, δ and the factors as safetensors."""


class ExportReport(Record, frozen=True):
    """What was written, and how the written patch compares with the patch."""

    format: ExportFormat
    files: tuple[str, ...]
    """Paths of the written files."""
    rank: TokenCount
    """Largest rank of the written factors."""
    n_tensors: Count
    """How many tensors were written."""
    n_compared: Count = 0
    """Tokens on which the patch, read back into a fresh model, was held against the patch."""
    largest_difference: float | None = None
    """L∞ of their logits; None where nothing is read back into a model."""
    logit_scale: float | None = None
    """The largest of the patch's logits in magnitude: what the difference is small against."""
    tolerance: float | None = None
    """What ``largest_difference / logit_scale`` must stay under."""
    largest_effect: float | None = None
    """L∞ of the patched logits against those without a patch: what the adapter brings."""
    kl_exported: float | None = None
    """KL(with context ‖ what was exported) after the query, in nats."""
    kl_patch: float | None = None
    """KL(with context ‖ the whole patch): what is less was left out."""
    left_out: tuple[str, ...] = ()
    """What the format cannot carry, in sentences."""
    notes: tuple[str, ...] = ()
    """What the user should know, in sentences."""
