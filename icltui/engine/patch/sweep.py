"""A patch varied, one thing at a time: its strength, its layers from both ends, the queries that it was fitted on.

Enters: a built patch and the tokens of its tests. Leaves: :class:`~icltui.values.Curves`. Each point on fewer layers or
queries is a patch made anew of these alone.
"""

from collections.abc import Sequence
from dataclasses import replace

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import BuiltPatch, refit
from icltui.engine.patch.calibration import Passage
from icltui.engine.patch.evaluate import ScoreSums, TokenSpan, held_out_spans, score, sum_scores
from icltui.values import CurvePoint, Curves, Tested
from icltui.values.recipe import LARGEST_ALPHA

ALPHA_STEP = 0.1
COUNTS = (1, 2, 3, 4, 6, 8, 10, 15, 20, 25, 30, 40, 60, 80, 100)
"""Numbers of calibration queries."""


def sweep_patch(
    built: BuiltPatch, parts: dict[Tested, list[TokenSpan]], on_progress: ProgressCallback = ignore_progress
) -> Curves:
    """Every curve that the recipe has; ``parts``: the tokens that the patch is tested on, by kind."""
    n_layers, others = len(built.spec.sites), held_out_spans(parts)
    alphas, low, high = [], [], []
    n_steps = round(LARGEST_ALPHA / ALPHA_STEP)
    for step in range(n_steps + 1):
        on_progress("KL against α", step, n_steps + 1)
        alpha = round(step * ALPHA_STEP, 10)
        alphas.append(_point(replace(built, alpha=alpha), alpha, others))
    for n in range(1, n_layers + 1):
        on_progress("KL against layers", n - 1, n_layers)
        low.append(_on_layers(built, slice(0, n), others))
        high.append(_on_layers(built, slice(n_layers - n, n_layers), others))
    queries = _on_queries(built, others, on_progress) if built.spec.calibration else ()
    return Curves(alpha=tuple(alphas), from_bottom=tuple(low), from_top=tuple(high), queries=queries)


def _on_layers(built: BuiltPatch, at: slice, others: Sequence[TokenSpan]) -> CurvePoint:
    """The patch of its fitted tokens, made anew on some of the layers."""
    spec = replace(built.spec, sites=built.spec.sites[at])
    fitted = tuple(replace(part, passage=_seen_at(part.passage, at)) for part in built.fitted)
    some = replace(built, spec=spec, prompt=_seen_at(built.own, at), fitted=fitted)
    parts = [replace(part, passage=_seen_at(part.passage, at)) for part in others]
    return _point(refit(some) if built.patch is not None else some, float(len(spec.sites)), parts)


def _on_queries(
    built: BuiltPatch, others: Sequence[TokenSpan], on_progress: ProgressCallback
) -> tuple[CurvePoint, ...]:
    """The patch made from the first of its queries, for growing numbers of them."""
    n_queries, points = len(built.fitted), []
    for n in sorted({*(count for count in COUNTS if count < n_queries), n_queries}):
        on_progress("KL against calibration queries", n, n_queries)
        some = refit(replace(built, fitted=built.fitted[:n]))
        fitted = [TokenSpan(part.passage, 0, part.n_continuation + 1) for part in some.fitted]
        points.append(_as_point(float(n), _score(some, fitted), _score(some, others)))
    return tuple(points)


def _point(built: BuiltPatch, x: float, others: Sequence[TokenSpan]) -> CurvePoint:
    return _as_point(x, _score(built, [TokenSpan(built.own, 0, 1)]), _score(built, others))


def _as_point(x: float, ours: ScoreSums, others: ScoreSums) -> CurvePoint:
    return CurvePoint(
        x=x,
        kl=finite_or_none(ours.kl / ours.n),
        mse=finite_or_none(ours.mse / ours.n),
        kl_others=finite_or_none(others.kl / others.n) if others.n else None,
    )


def _score(built: BuiltPatch, parts: Sequence[TokenSpan]) -> ScoreSums:
    return sum_scores([score(part, patched_logits(built, part.passage)) for part in parts])


def _seen_at(passage: Passage, at: slice) -> Passage:
    return replace(passage, targets=passage.targets.layers(at))
