"""Which way a model's prefixes are measured: packed where that proves right on the model, else one by one.

Enters: a loaded model. Leaves: the path, and the reason where it is the loop.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from icltui.engine.model import LoadedModel
from icltui.engine.prefixes import Plan, measure_prefixes
from icltui.engine.run import accepted
from icltui.engine.tokens import Ids
from icltui.errors import IcltuiError
from icltui.record import Path

_TOLERANCES = {torch.float32: 1e-2, torch.float64: 1e-2}
"""Of the spread between prefixes, which is what a wrong mask would change."""


def choose_path(loaded: LoadedModel) -> tuple[Path, str]:
    """``packed`` where the packed pass agrees with the loop on a few tokens of this model, else ``loop`` and why."""
    if "position_ids" not in accepted(loaded.model):
        return "loop", "the model cannot be told positions"
    if _rotates_by_length(loaded.model.config):
        return "loop", "its rotary factors depend on the longest position of a pass"
    text = loaded.model.config.get_text_config(decoder=True)
    if unknown := [name for name, value in vars(text).items() if _is_unknown_reach(name, value)]:
        return "loop", f"its config has {unknown[0]!r}, a reach of attention that packing does not know"
    plan = Plan(sample_ids(loaded, n_context=9, n_query=4))
    try:
        with _short_window(text):
            packed, loop = (_gather(loaded, plan, path) for path in ("packed", "loop"))
    except (IcltuiError, ValueError) as error:
        return "loop", f"packing is not possible: {str(error).splitlines()[0][:200]}"
    except (TypeError, RuntimeError, LookupError, AttributeError) as error:
        return "loop", f"its cache or its attention does not take packed copies ({type(error).__name__})"
    tolerance = _TOLERANCES.get(loaded.dtype, 0.15)
    for a, b in zip(packed, loop, strict=True):
        miss, spread = float((a - b).norm()), float((b - b[:1]).norm())
        if not spread > 0:
            return "loop", "a few prefixes do not differ, so nothing shows that packing is right"
        if not miss <= tolerance * spread:
            return (
                "loop",
                f"packed prefixes miss single ones by {miss / spread:.0%} of what lies between prefixes",
            )
    return "packed", ""


def _is_unknown_reach(name: str, value: Any) -> bool:
    is_window = "window" in name and "sliding_window" not in name and name != "max_window_layers"
    return is_window and type(value) is int and value > 0


@contextmanager
def _short_window(text: Any) -> Iterator[None]:
    """A sliding window so short that a few tokens show whether packing keeps to it as the model does."""
    window = getattr(text, "sliding_window", None)
    if not window:
        yield
        return
    text.sliding_window = min(window, 5)
    try:
        yield
    finally:
        text.sliding_window = window


def sample_ids(loaded: LoadedModel, n_context: int, n_query: int, seed: int = 97) -> Ids:
    """Arbitrary tokens from all over the vocabulary, one of them as the kept prefix."""
    n_vocabulary = min(len(loaded.tokenizer), loaded.model.get_input_embeddings().weight.shape[0])
    tokens = [(k * 2654435761 + seed) % n_vocabulary for k in range(1 + n_context + n_query)]
    return Ids(
        tuple(tokens[:1]),
        tuple(tokens[1 : 1 + n_context]),
        tuple(tokens[1 + n_context :]),
        tuple(range(n_context + 1)),
    )


def _rotates_by_length(config: Any) -> bool:
    """Whether rotary factors depend on the longest position of a call, which packing changes."""
    text = config.get_text_config(decoder=True)
    rope = getattr(text, "rope_parameters", None) or {}
    kinds = {rope.get("rope_type"), *(r.get("rope_type") for r in rope.values() if isinstance(r, dict))}
    return bool(kinds & {"longrope", "dynamic"})


@torch.inference_mode()
def _gather(loaded: LoadedModel, plan: Plan, path: Path) -> tuple[Tensor, Tensor, Tensor]:
    """z, v and logits of every unit, in the order of units."""
    kept = list(measure_prefixes(loaded, loaded.sites, plan, path))
    order = torch.tensor([unit for chunk in kept for unit in chunk.units]).argsort()
    z, v = torch.cat([chunk.z for chunk in kept])[order], torch.cat([chunk.v for chunk in kept])[order]
    logits = torch.cat([chunk.logits for chunk in kept if chunk.logits is not None])[order]
    return z, v, logits
