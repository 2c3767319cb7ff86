"""One row of tokens through the model: the position of each token, and the logits after it.

Enters: ids, the cache that they continue, and their positions. Leaves: logits in at least float32.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import Capture, States, widen
from icltui.engine.hooks.run_model import forward_output
from icltui.engine.hooks.site import Site, input_device
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput, EngineError, ForwardError
from icltui.values.prompt import Positions

Gap = tuple[int, int]
"""The context tokens [begin, end) that a row goes without."""
_NO_POSITIONS = "this model takes no positions: use --positions reset"


@dataclass
class KVCache:
    """A key-value cache of the kind that the model itself makes at its first use."""

    value: Any = None
    length: int = 0
    """The number of cached tokens."""
    row: list[tuple[int, int]] = field(default_factory=list)
    """Each token with its position, for a model that runs them again as it cannot continue from a cache."""

    def restore(self, length: int) -> None:
        """Keep the first ``length`` tokens, whatever a pass that failed half-way has added in some of the layers."""
        del self.row[length:]
        for layer in getattr(self.value, "layers", ()):
            for name in ("keys", "values"):
                if isinstance(states := getattr(layer, name, None), Tensor):
                    setattr(layer, name, states[..., :length, :].clone())  # so that the rest can be freed
        self.length = length


def can_use_cache(model: Any) -> bool:
    """Whether the model can continue from a cache; see :mod:`icltui.engine.measure.kv_cache_check`."""
    return bool(getattr(model.config, "use_cache", True))


def forward_arguments(model: Any) -> frozenset[str]:
    """Names of the arguments of the model's forward."""
    return _parameters(type(model).forward)


@cache  # as a look-up takes as long as a patch at several layers
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


def forward_rows(
    model: Any, rows: Sequence[Sequence[int]], position_ids: Sequence[Sequence[int]], n_logits: int = 1
) -> Float[Tensor, "rows last vocabulary"]:
    """Several rows in one pass without a cache: the logits after the last ``n_logits`` positions of the longest.

    Shorter rows are padded on the right, where causal attention does not look.
    """
    if len(rows) == 1:
        keep = torch.arange(len(rows[0]) - n_logits, len(rows[0]))
        return forward(model, rows[0], position_ids=position_ids[0], logits_to_keep=keep)[None]
    longest = max(map(len, rows))
    known, device = forward_arguments(model), input_device(model)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    kwargs: dict[str, Any] = {"logits_to_keep": n_logits} if "logits_to_keep" in known else {}
    padded = [[*at, *range(at[-1] + 1, at[-1] + 1 + longest - len(at))] for at in position_ids]
    if any(at != list(range(longest)) for at in padded):
        if "position_ids" not in known:
            raise BadInput(_NO_POSITIONS)
        kwargs["position_ids"] = torch.tensor(padded, device=device)
        # Without a mask, a jump in the positions is taken for the beginning of another text.
        kwargs["attention_mask"] = torch.ones_like(ids)
    logits: Tensor = forward_output(model, ids, use_cache=False, **kwargs).logits[:, -n_logits:]
    return logits


def forward(
    model: Any,
    ids: Sequence[int],
    cache: KVCache | None = None,
    position_ids: Sequence[int] | None = None,
    logits_to_keep: Int[Tensor, " positions"] | None = None,
    **kwargs: Any,
) -> Float[Tensor, "*positions vocabulary"]:
    """Logits after the last of ``ids``, or after each of those at the indices ``logits_to_keep``.

    ``ids`` continue what is in ``cache``, if given, and are added to it; without ``position_ids`` they follow it
    without a gap. A model that cannot continue from a cache runs the whole row that ``ids`` end again, seen by hooks.

    Raises:
        BadInput: positions with a gap, for a model whose forward takes no positions.
        EngineError: logits that are not finite.
        ForwardError: the model's own code fails, or gives no logits.
    """
    if cache is not None and not can_use_cache(model):
        return _run_again(model, ids, cache, position_ids, logits_to_keep, **kwargs)
    device, known = input_device(model), forward_arguments(model)
    past = cache.length if cache is not None else 0
    if past and cache is not None and cache.value is None:
        raise ForwardError(f"the forward pass of {type(model).__name__} gives no cache to go on from")
    usual = list(range(past, past + len(ids)))
    at = usual if position_ids is None else list(position_ids)
    if "position_ids" in known:
        if cache is not None or at != usual:  # some models would begin at 0 again after a cache
            kwargs["position_ids"] = torch.tensor([at], device=device)
        if at != usual and "attention_mask" not in kwargs:
            # Without a mask, a jump in the positions is taken for the beginning of another text.
            kwargs["attention_mask"] = torch.ones(1, past + len(ids), dtype=torch.long, device=device)
    elif at != usual:
        raise BadInput(_NO_POSITIONS)
    if "logits_to_keep" in known:
        kwargs["logits_to_keep"] = 1 if logits_to_keep is None else _index(model, logits_to_keep)
    if cache is not None and cache.value is not None:
        kwargs["past_key_values"] = cache.value
    output = forward_output(
        model, torch.tensor([list(ids)], device=device), use_cache=cache is not None, **kwargs
    )
    if cache is not None:
        cache.value, cache.length = output.cache, past + len(ids)
    logits: Tensor = output.logits[0]
    if logits_to_keep is None:
        logits = logits[-1]
    elif "logits_to_keep" not in known:
        logits = logits[logits_to_keep]
    # The sum is quicker than each.
    if not bool(logits.sum().isfinite()) and not bool((logits < torch.inf).all()):
        dtype = str(model.dtype).removeprefix("torch.")
        advice = "its weights may be damaged" if dtype in ("float32", "float64") else "try --dtype float32"
        raise EngineError(f"the model's logits are not numbers in {dtype}: {advice}")
    return widen(logits)


def _index(model: Any, logits_to_keep: Int[Tensor, " positions"]) -> Tensor | list[int]:
    """The indices where the model can use them: a list where it is spread over devices, on any of which it may.

    accelerate moves tensors to the first device, but the states that they index come from the last.
    """
    if hasattr(model, "_hf_hook"):
        positions: list[int] = logits_to_keep.tolist()
        return positions
    return logits_to_keep.to(input_device(model))


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
    position_ids: Sequence[int] | None,
    logits_to_keep: Int[Tensor, " positions"] | None,
    **kwargs: Any,
) -> Float[Tensor, "*positions vocabulary"]:
    """The result of :func:`forward`, by one pass over the whole row that ``ids`` end."""
    past = cache.length
    added = range(past, past + len(ids)) if position_ids is None else position_ids
    row = [*cache.row, *zip(ids, added, strict=True)]
    logits = forward(
        model,
        [token for token, _ in row],
        position_ids=[position for _, position in row],
        logits_to_keep=None if logits_to_keep is None else logits_to_keep + past,
        **kwargs,
    )
    cache.row, cache.length = row, len(row)
    return logits
