"""Which way a model's prefixes are measured: packed where that proves right on the model, else one by one.

Enters: a loaded model. Leaves: the path, and the reason where it is the loop.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
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
_N_PASSES = 8
"""Of the comparison: the context and its copies, each in two parts; and one for each of four units."""

PassProgress = Callable[[int, int], object]
"""Told before each forward pass how many are done, of about how many; an exception of its own stops the work."""


def unheard(done: int, total: int) -> None:
    """Where nobody asks how far it is."""


@contextmanager
def telling_passes(loaded: LoadedModel, progress: PassProgress, about: int) -> Iterator[None]:
    """Tells ``progress`` of every forward pass of the model within; ``about`` how many there will be."""
    numbers = count()

    def begin(*_: Any) -> None:
        done = next(numbers)
        progress(done, max(about, done + 1))

    handle = loaded.model.register_forward_pre_hook(begin)
    try:
        yield
    finally:
        handle.remove()


def choose_path(loaded: LoadedModel, progress: PassProgress = unheard) -> tuple[Path, str]:
    """``packed`` where the packed pass agrees with the loop on a few tokens of this model, else ``loop`` and why."""
    if "position_ids" not in accepted(loaded.model):
        return "loop", "the model cannot be told positions"
    if _rotates_by_length(loaded.model.config):
        return "loop", "its rotary factors depend on the longest position of a pass"
    text = loaded.model.config.get_text_config(decoder=True)
    if unknown := [name for name, value in vars(text).items() if _is_unknown_reach(name, value)]:
        return "loop", f"its config has {unknown[0]!r}, a reach of attention that packing does not know"
    # So long a query that not all copies fit into the first chunk, and the context comes piece by piece.
    plan = Plan(sample_ids(loaded, n_context=9, n_query=12), early=True)
    try:
        with _short_window(text), telling_passes(loaded, progress, _N_PASSES):
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
    known = ("sliding_window", "use_sliding_window", "sliding_window_pattern", "max_window_layers")
    return "window" in name and name.lstrip("_") not in known and type(value) is int and value > 0


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
    """Arbitrary tokens from all over the vocabulary, one of them as the kept prefix; three make a unit."""
    n_vocabulary = min(len(loaded.tokenizer), loaded.model.get_input_embeddings().weight.shape[0])
    tokens = [(k * 2654435761 + seed) % n_vocabulary for k in range(1 + n_context + n_query)]
    return Ids(
        tuple(tokens[:1]),
        tuple(tokens[1 : 1 + n_context]),
        tuple(tokens[1 + n_context :]),
        tuple(range(0, n_context + 1, 3)),
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
