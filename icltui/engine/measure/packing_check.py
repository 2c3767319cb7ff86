"""The way a model's prefixes are measured: packed where that proves right on the model, else one by one.

Enters: a loaded model. Leaves: the path, and the reason where it is the loop.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture
from icltui.engine.measure.forward_pass import can_use_cache, forward, forward_arguments, token_row
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.models.upcast import can_compute_in_float32, computing_in_float32, is_half, is_quantized
from icltui.engine.prompts.tokenize import Ids
from icltui.values import Path
from icltui.values.errors import ForwardError, IcltuiError

STRICT = 1e-2
"""Share of the spread between prefixes allowed in float32: a right pass misses 1e-5, a wrong mask 3e-2 or more."""
LOOSE = 0.5
"""Share of the spread allowed in half precision, once float32 shows the mask to be right."""
NOISE = 4
"""Errors of right ways by which the packed pass may miss, in half precision or with quantized weights."""
_STAGE, _N_PACKED, _N_LOOP = "trying the packed pass on it", 4, 4
"""Stage of progress; passes of the context and its copies, each in two parts; and one for each of four units."""


Gathered = tuple[
    Float[Tensor, "copies layers hidden"],
    Float[Tensor, "copies layers hidden"],
    Float[Tensor, "copies vocabulary"],
]
"""z, v and logits of every unit."""


@contextmanager
def reporting_passes(
    loaded: LoadedModel, on_progress: ProgressCallback, stage: str, about: int
) -> Iterator[None]:
    """Reports every forward pass of the model inside the block; ``about``: their expected number."""
    numbers = count()

    def begin(*_: Any) -> None:
        done = next(numbers)
        on_progress(stage, done, max(about, done + 1))

    handle = loaded.model.register_forward_pre_hook(begin)
    try:
        yield
    finally:
        handle.remove()


def choose_path(loaded: LoadedModel, on_progress: ProgressCallback = ignore_progress) -> tuple[Path, str]:
    """``packed`` where the packed pass agrees with the loop on a few tokens of this model, else ``loop`` and why.

    A mask is right or wrong whatever numbers the model computes in, but in half precision rounding hides which: two
    right ways lie as far apart as a mask wrong by one token moves them. So a model in half precision is asked in
    float32 first, where they lie 1e-5 apart; in its own numbers only whether its kernels take the mask as well.
    """
    if "position_ids" not in forward_arguments(loaded.model):
        return "loop", "the model cannot be told positions"
    if not can_use_cache(loaded.model):
        return "loop", "it cannot go on from a cache"
    if _rotates_by_length(loaded.model.config):
        return "loop", "its rotary factors depend on the longest position of a pass"
    text = loaded.model.config.get_text_config(decoder=True)
    if unknown := [name for name, value in vars(text).items() if _is_unknown_reach(name, value)]:
        return "loop", f"its config has {unknown[0]!r}, a reach of attention that packing does not know"
    widens = can_compute_in_float32(loaded.model)
    try:
        with (
            _short_window(text),
            reporting_passes(loaded, on_progress, _STAGE, _N_LOOP + (2 if widens else 1) * _N_PACKED),
        ):
            reason = _fault_of(loaded, widens)
    except ForwardError as error:
        cause = type(error.__cause__ or error).__name__
        return "loop", f"its cache or its attention does not take packed copies ({cause})"
    except (IcltuiError, ValueError) as error:
        return "loop", f"packing is not possible: {str(error).splitlines()[0][:200]}"
    except (TypeError, RuntimeError, LookupError, AttributeError) as error:
        return "loop", f"its cache or its attention does not take packed copies ({type(error).__name__})"
    return ("loop", reason) if reason else ("packed", "")


def _fault_of(loaded: LoadedModel, widens: bool) -> str:
    """Why the packed pass is wrong on this model; empty where it is right."""
    # The query is so long that not all copies fit into the first chunk, and the context runs piece by piece.
    plan = Plan(sample_ids(loaded, n_context=9, n_query=12), early=True)
    rounds = is_quantized(loaded.model)
    if not widens:
        return _compare_ways(loaded, plan, rounds or is_half(loaded.model))
    try:
        with computing_in_float32(loaded.model):
            exact = _gather(loaded, plan, "loop")
            reason = packing_fault(loaded, plan, _gather(loaded, plan, "packed"), exact, STRICT, rounds)
    except (RuntimeError, ForwardError):  # raised by modules that use each other's weights
        return _compare_ways(loaded, plan, allows_noise=True)
    if reason:
        return reason
    packed = _gather(loaded, plan, "packed")
    if not packing_fault(loaded, plan, packed, exact, LOOSE, allows_noise=False):
        return ""  # as near to the truth as the model's own loop need be
    return packing_fault(loaded, plan, packed, _gather(loaded, plan, "loop"), LOOSE, allows_noise=True)


def _compare_ways(loaded: LoadedModel, plan: Plan, allows_noise: bool) -> str:
    """:func:`packing_fault` of both ways in the numbers that the model computes in."""
    packed, loop = (_gather(loaded, plan, path) for path in ("packed", "loop"))
    return packing_fault(loaded, plan, packed, loop, STRICT, allows_noise)


def packing_fault(
    loaded: LoadedModel, plan: Plan, packed: Gathered, loop: Gathered, limit: float, allows_noise: bool
) -> str:
    """Why the packed pass counts as wrong; empty where it misses the loop by less than is allowed.

    Allowed is ``limit`` of the spread between prefixes or, with ``allows_noise``, ``NOISE`` times :func:`_noise`.
    """
    noise: tuple[float, ...] = ()
    for k, (a, b) in enumerate(zip(packed, loop, strict=True)):
        miss, spread = float((a - b).norm()), float((b - b[:1]).norm())
        if not spread > 0:
            return "a few prefixes do not differ, so nothing shows that packing is right"
        if miss <= limit * spread:
            continue
        if allows_noise:
            noise = noise or _noise(loaded, plan, loop)
            if miss <= NOISE * noise[k]:
                continue
        return f"packed prefixes miss single ones by {miss / spread:.0%} of what lies between prefixes"
    return ""


def _noise(loaded: LoadedModel, plan: Plan, loop: Gathered) -> tuple[float, ...]:
    """Distance between two right ways to z, v and logits: each prefix alone, and with more tokens after it.

    A causal model does not see those tokens, but kernels of another length compute the row: with a few more, and with
    as many as make the row as long as the packed one.
    """
    length = len(plan.ids.full) + plan.n_units * len(plan.ids.query)
    others = [_gather_followed(loaded, plan, length_of) for length_of in (lambda n: n + 7, lambda _: length)]
    return tuple(max(float((other[k] - of).norm()) for other in others) for k, of in enumerate(loop))


def _is_unknown_reach(name: str, value: Any) -> bool:
    known = ("sliding_window", "use_sliding_window", "sliding_window_pattern", "max_window_layers")
    return "window" in name and name.lstrip("_") not in known and type(value) is int and value > 0


@contextmanager
def _short_window(text: Any) -> Iterator[None]:
    """A sliding window so short that a few tokens show whether packing keeps to it, and no shorter than the query."""
    window = getattr(text, "sliding_window", None)
    if not window:
        yield
        return
    text.sliding_window = min(window, 16)
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
def _gather(loaded: LoadedModel, plan: Plan, path: Path) -> Gathered:
    """z, v and logits of every unit, in the order of units."""
    kept = list(measure_prefixes(loaded, loaded.sites, plan, path))
    order = torch.tensor([unit for chunk in kept for unit in chunk.units]).argsort()
    z, v = torch.cat([chunk.z for chunk in kept])[order], torch.cat([chunk.v for chunk in kept])[order]
    logits = torch.cat([chunk.logits for chunk in kept if chunk.logits is not None])[order]
    return z, v, logits


@torch.inference_mode()
def _gather_followed(loaded: LoadedModel, plan: Plan, length_of: Callable[[int], int]) -> Gathered:
    """:func:`_gather` by the loop, where further tokens fill each row up to ``length_of`` its length."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for unit in range(plan.n_units + 1):
        tokens = token_row(plan.ids, plan.gap(unit))
        more = [tokens[k % len(tokens)] for k in range(length_of(len(tokens)) - len(tokens))]
        last = torch.tensor([len(tokens) - 1])
        with attach(loaded.sites, Capture(last)) as capture:
            logits = forward(loaded.model, [*tokens, *more], logits_to_keep=last)
        states = capture.states()
        found.append((states.z[:, 0], states.v[:, 0], logits[0]))
    z, v, logits = (torch.stack(of) for of in zip(*found, strict=True))
    return z, v, logits
