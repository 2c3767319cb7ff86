"""The in-context-learning score of losses by position (Olsson et al. 2022).

Enters: losses of one text or of several. Leaves: the mean loss near the 500th token less the mean near the 50th; of a
shorter text, of its last tenth less its first. Each is a mean over a window of positions, as the losses of single
tokens say little.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.curves.intervals import LEAST, finite_columns, interval_of, resample
from icltui.values import IclScore, IntervalEstimate, PositionRange

EARLY, LATE, HALF_WIDTH = 50, 500, 10
"""The positions, and how many on each side of them belong to the mean."""
LEAST_TOKENS = 10
"""Losses below which there is no tenth of them."""


@dataclass(frozen=True)
class _Windows:
    early: PositionRange
    late: PositionRange
    note: str = ""


def icl_score(
    losses: Float[Tensor, "*texts tokens"], seed: int = 0, window: int | None = None
) -> IclScore | None:
    """The score, with its interval by resampling; None where fewer than ten positions have a loss.

    ``losses`` are in nats, position 1 first; a position where a text has none is left out. ``window``: the most tokens
    that the model reads, to say why the usual positions cannot be had.
    """
    rows, positions = finite_columns(losses)
    if len(positions) < LEAST_TOKENS:
        return None
    windows = _windows(positions, losses.shape[-1], window)
    early, late = (rows[:, _inside(positions, of)] for of in (windows.early, windows.late))
    value = float(late.mean() - early.mean())
    nats = IntervalEstimate(value=value)
    if min(early.shape[1], late.shape[1]) >= LEAST or len(rows) >= LEAST:
        nats = interval_of(value, _resampled(early, late, seed))
    ends = ((x if x is None else x / math.log(2)) for x in (nats.value, nats.low, nats.high))
    bits = IntervalEstimate(**dict(zip(("value", "low", "high"), ends, strict=True)))
    return IclScore(nats=nats, bits=bits, early=windows.early, late=windows.late, note=windows.note)


def _resampled(
    early: Float[Tensor, "texts _early"], late: Float[Tensor, "texts _late"], seed: int
) -> Float[Tensor, " resamples"]:
    if len(early) == 1:
        return resample(late, None, seed)[:, 0] - resample(early, None, seed + 1)[:, 0]
    # Both windows of a text are drawn together, as a text that is hard is hard in both.
    gain = (late.mean(1) - early.mean(1))[None]
    drawn = torch.randint(gain.shape[1], (1000, gain.shape[1]), generator=torch.Generator().manual_seed(seed))
    return gain[0][drawn].mean(1)


def _inside(positions: Float[Tensor, " tokens"], of: PositionRange) -> Tensor:
    return (positions >= of.first) & (positions <= of.last)


def _windows(positions: Float[Tensor, " tokens"], n_tokens: int, window: int | None) -> _Windows:
    needed = LATE + HALF_WIDTH
    if n_tokens >= needed and bool(_inside(positions, _around(EARLY)).any()):
        return _Windows(_around(EARLY), _around(LATE))
    tenth = len(positions) // 10
    at = positions.int().tolist()
    early = PositionRange(first=at[0], last=at[tenth - 1])
    late = PositionRange(first=at[-tenth], last=at[-1])
    reads = f" and this model reads {window:,}" if window is not None and window < needed else ""
    note = (
        f"the ICL score is of the first and the last tenth, as the text has {n_tokens:,} tokens{reads}: the usual "
        f"one, of the tokens around {EARLY} and {LATE}, takes {needed}"
    )
    return _Windows(early, late, note)


def _around(position: int) -> PositionRange:
    return PositionRange(first=position - HALF_WIDTH, last=position + HALF_WIDTH)
