"""One row of tokens through the model: where each stands, and the logits behind it.

Enters: ids, what they continue, and where they stand. Leaves: logits in at least float32.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture, States, widen
from icltui.engine.hooks.forward_output import forward_output, run_model
from icltui.engine.hooks.site import Site, input_device
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput, EngineError, ForwardError
from icltui.values.prompt import Positions

Gap = tuple[int, int]
"""The context tokens [begin, end) that a run goes without."""


@dataclass
class KVCache:
    """What a run remembers of the tokens that were fed: of the kind that the model itself makes at its first use."""

    value: Any = None
    length: int = 0
    """Tokens in it."""
    row: list[tuple[int, int]] = field(default_factory=list)
    """Where the model's own cannot be gone on from: each token with its place, to be run again."""

    def drop(self, n: int) -> None:
        """Forget the last ``n`` tokens."""
        if self.row:
            del self.row[-n:]
        else:
            self.value.crop(-n)
        self.length -= n


def can_use_cache(model: Any) -> bool:
    """Whether the model can go on from a cache; see :mod:`icltui.engine.measure.kv_cache_check`."""
    return bool(getattr(model.config, "use_cache", True))


def forward_arguments(model: Any) -> frozenset[str]:
    """Names of the arguments that the model's forward takes."""
    return _parameters(type(model).forward)


@cache  # as it takes as long as a patch at several layers
def _parameters(forward: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(forward).parameters)


def token_row(ids: Ids, gap: Gap) -> list[int]:
    """The prompt without the context tokens of ``gap``."""
    begin, end = gap
    return [*ids.prefix, *ids.context[:begin], *ids.context[end:], *ids.query]


def position_ids(ids: Ids, gap: Gap, positions: Positions, n_more: int = 0) -> range | list[int]:
    """The position of each token of :func:`token_row` and of ``n_more`` after it.

    ``reset`` closes the gap; ``keep`` leaves each token at its position in the full prompt.

    >>> position_ids(Ids((7,), (1, 2, 3), (9,), (0, 1, 2, 3)), (1, 3), "keep")
    [0, 1, 4]
    """
    begin, end = gap
    length = len(ids.full) + n_more
    if positions == "reset" or begin == end:
        return range(length - (end - begin))
    first = len(ids.prefix) + begin
    return [*range(first), *range(first + end - begin, length)]


def forward_rows(model: Any, rows: Sequence[Sequence[int]], at: Sequence[Sequence[int]]) -> None:
    """Run several rows at once for the hooks' sake; ``at``: where each token stands.

    Shorter rows are padded behind, where causal attention does not look.
    """
    longest = max(map(len, rows))
    if len(rows) == 1:
        forward(model, rows[0], at=at[0])
        return
    known, device = forward_arguments(model), input_device(model)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    kwargs: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
    padded = [[*stands, *range(stands[-1] + 1, stands[-1] + 1 + longest - len(stands))] for stands in at]
    if any(stands != list(range(longest)) for stands in padded):
        if "position_ids" not in known:
            raise BadInput("this model takes no positions: use --positions reset")
        kwargs["position_ids"] = torch.tensor(padded, device=device)
        # Without it, a jump in the positions is taken for the beginning of another text.
        kwargs["attention_mask"] = torch.ones_like(ids)
    run_model(model, ids, use_cache=False, **kwargs)


def forward(
    model: Any,
    ids: Sequence[int],
    cache: KVCache | None = None,
    at: Sequence[int] | None = None,
    keep: Tensor | None = None,
    **kwargs: Any,
) -> Tensor:
    """Logits (vocabulary,) behind the last of ``ids``, which continue what is in ``cache``, if given, and go into it.

    ``at``: the position of each, by default right behind those in the cache. ``keep``: the indices whose logits are
    wanted instead of the last's, (positions, vocabulary). Where the model cannot go on from a cache, the whole row that
    ``ids`` continue runs again, and hooks see all of it.

    Raises:
        BadInput: positions with a gap for a model that cannot be told any.
        EngineError: logits that are not numbers.
        ForwardError: the model's own code fails, or gives no logits.
    """
    if cache is not None and not can_use_cache(model):
        return _run_again(model, ids, cache, at, keep, **kwargs)
    device = input_device(model)
    known = forward_arguments(model)
    past = cache.length if cache is not None else 0
    if past and cache is not None and cache.value is None:
        raise ForwardError(f"the forward pass of {type(model).__name__} gives no cache to go on from")
    usual = list(range(past, past + len(ids)))
    at = usual if at is None else list(at)
    if "position_ids" in known:
        if cache is not None or at != usual:  # some models would begin at 0 again behind a cache
            kwargs["position_ids"] = torch.tensor([at], device=device)
        if at != usual and "attention_mask" not in kwargs:
            # Without it, a jump in the positions is taken for the beginning of another text.
            kwargs["attention_mask"] = torch.ones(1, past + len(ids), dtype=torch.long, device=device)
    elif at != usual:
        raise BadInput("this model takes no positions: use --positions reset")
    if "logits_to_keep" in known:
        kwargs["logits_to_keep"] = 1 if keep is None else keep.to(device)
    batch = torch.tensor([list(ids)], device=device)
    if cache is not None and cache.value is not None:
        kwargs["past_key_values"] = cache.value
    made = forward_output(model, batch, use_cache=cache is not None, **kwargs)
    if cache is not None:
        cache.value, cache.length = made.cache, past + len(ids)
    logits = made.logits[0]
    kept = logits[-1] if keep is None else logits if "logits_to_keep" in known else logits[keep]
    if not bool(kept.sum().isfinite()) and not bool((kept < torch.inf).all()):  # the sum is quicker than each
        dtype = str(model.dtype).removeprefix("torch.")
        advice = "its weights may be damaged" if dtype in ("float32", "float64") else "try --dtype float32"
        raise EngineError(f"the model's logits are not numbers in {dtype}: {advice}")
    return widen(kept)


def forward_states(
    model: Any, sites: Sequence[Site], ids: Sequence[int], n: int, cache: KVCache | None = None
) -> tuple[Float[Tensor, " vocabulary"], States]:
    """Logits after ``ids``, which continue what is in ``cache``, if given, and the states of their last ``n``."""
    with attach(sites, Capture(slice(-n, None))) as capture:
        logits = forward(model, ids, KVCache() if cache is None else cache)
    return logits, capture.states()


def _run_again(
    model: Any,
    ids: Sequence[int],
    cache: KVCache,
    at: Sequence[int] | None,
    keep: Tensor | None,
    **kwargs: Any,
) -> Tensor:
    """Logits behind ``ids``, or at ``keep`` of them, from one pass over all of the row that they end."""
    past = cache.length
    row = [*cache.row, *zip(ids, range(past, past + len(ids)) if at is None else at, strict=True)]
    logits = forward(
        model,
        [token for token, _ in row],
        at=[place for _, place in row],
        keep=None if keep is None else keep + past,
        **kwargs,
    )
    cache.row, cache.length = row, len(row)
    return logits
