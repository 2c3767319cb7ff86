"""Every number of *heads*, put together.

Enters: a loaded model, a prompt's tokens. Leaves: :class:`~icltui.values.AttentionHeads`.
"""

import time
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.messages import MeasureHeads
from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.curves.intervals import LEVEL
from icltui.engine.generate.prepare_request import PromptInputs
from icltui.engine.heads.contributions import head_contributions
from icltui.engine.heads.repeated_tokens import PrefixMatching, Scores, prefix_matching
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values import AttentionHeads, HeadContributions, HeadIndex, HeadScore, Path, UnreadableLayer

NAMED = 0.1
"""A head is named where the lower end of its score's interval is so far above the null level."""
NO_WEIGHTS = "no attention weights: it has linear attention or a state space"
_N_RESAMPLES = 2000


def measure_heads(
    loaded: LoadedModel,
    prepared: PromptInputs,
    request: MeasureHeads,
    path: Path,
    on_progress: ProgressCallback = ignore_progress,
) -> AttentionHeads:
    """Scores of all heads, and contributions in the selected layers."""
    start, ids = time.perf_counter(), prepared.ids
    parts: list[HeadContributions | UnreadableLayer] = []
    if ids.context:
        parts = list(head_contributions(loaded, prepared.sites, ids, path, on_progress))
    found = prefix_matching(loaded, ids.prefix, request.n_random, request.n_seeds, request.seed, on_progress)
    heads = tuple(_scores(found))
    return AttentionHeads(
        tokens=prepared.tokens,
        heads=heads,
        contributions=tuple(part for part in parts if isinstance(part, HeadContributions)),
        induction_heads=_named(heads, "induction", found.chance),
        previous_heads=_named(heads, "previous", found.chance),
        chance=found.chance,
        n_random=found.n_random,
        n_seeds=request.n_seeds,
        seed=request.seed,
        unreadable=tuple(UnreadableLayer(layer=layer, reason=NO_WEIGHTS) for layer in found.unreadable),
        not_linear=tuple(part for part in parts if isinstance(part, UnreadableLayer)),
        notes=tuple(_notes(prepared, request, found)),
        seconds=time.perf_counter() - start,
    )


def _scores(found: PrefixMatching) -> Iterator[HeadScore]:
    for layer in found.induction:
        induction, previous = _with_interval(found.induction, layer), _with_interval(found.previous, layer)
        null = found.null[layer].mean(0)
        for head in range(len(null)):
            yield HeadScore(
                layer=layer,
                head=head,
                induction=finite_or_none(induction[0][head]),
                previous=finite_or_none(previous[0][head]),
                induction_low=finite_or_none(induction[1][head]),
                induction_high=finite_or_none(induction[2][head]),
                previous_low=finite_or_none(previous[1][head]),
                previous_high=finite_or_none(previous[2][head]),
                induction_null=finite_or_none(null[head]),
            )


def _with_interval(scores: Scores, layer: int) -> tuple[Float[Tensor, " _heads"], ...]:
    """Each head's mean over sequences and the interval of 95 % in which the means of resampled sequences lie."""
    of = scores[layer]
    n = len(of)
    if n == 1:
        return of[0], torch.full_like(of[0], torch.nan), torch.full_like(of[0], torch.nan)
    drawn = torch.randint(n, (_N_RESAMPLES, n), generator=torch.Generator().manual_seed(0))
    times = torch.nn.functional.one_hot(drawn, n).sum(1).to(of)
    ends = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=of.dtype)
    low, high = (times @ of / n).quantile(ends, dim=0)
    return of.mean(0), low, high


def _named(heads: tuple[HeadScore, ...], name: str, chance: float) -> tuple[HeadIndex, ...]:
    """The heads whose score is clearly above what attention without an aim would get, strongest first."""

    def low(head: HeadScore) -> float:
        end = getattr(head, f"{name}_low")
        return float((getattr(head, name) if end is None else end) or 0.0)

    def null(head: HeadScore) -> float:
        return max(chance, head.induction_null or 0.0) if name == "induction" else chance

    named = [head for head in heads if low(head) > null(head) + NAMED]
    named.sort(key=lambda head: -float(getattr(head, name)))
    return tuple(HeadIndex(layer=head.layer, head=head.head) for head in named)


def _notes(prepared: PromptInputs, request: MeasureHeads, found: PrefixMatching) -> Iterator[str]:
    if found.n_random < request.n_random:
        yield (
            f"{found.n_random} random tokens are repeated, not {request.n_random}, as the model reads or knows "
            "no more"
        )
    if found.out_of_reach:
        layers = ", ".join(map(str, found.out_of_reach))
        yield (
            f"the attention of layers {layers} ends before the first occurrence, {found.n_random - 1} tokens back: "
            "fewer random tokens are within it"
        )
    if not prepared.ids.context:
        yield "there is no context, so there is no δ to split"
