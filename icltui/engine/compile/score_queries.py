"""Queries answered three ways: with the context, through the patch without it, and without either.

Enters: a built patch and passages. Leaves: a :class:`~icltui.values.CompiledQuery` of each, and their summary.
"""

from collections.abc import Sequence
from math import isfinite
from statistics import fmean, median

import torch

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.compile.greedy_answers import greedy_answers
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.calibration import Passage, logits_without_context
from icltui.engine.patch.evaluate import NOTHING, ScoreSums, TokenSpan, score
from icltui.values import CompiledQuery, Unseen
from icltui.values.compilation import QueryRole
from icltui.values.errors import EngineError


@torch.no_grad()
def score_queries(
    built: BuiltPatch,
    passages: Sequence[Passage],
    texts: Sequence[str],
    role: QueryRole,
    on_progress: ProgressCallback,
) -> tuple[CompiledQuery, ...]:
    """Each query's answers, and how far the patched and the plain distributions are from the contextual ones."""
    logits, scores = [], []
    for number, passage in enumerate(passages):
        on_progress(f"testing on {role} queries", number, len(passages))
        pair = patched_logits(built, passage), logits_without_context(built.spec.loaded, passage)
        logits.append([each[0].cpu() for each in pair])
        scores.append([score(TokenSpan(passage, 0), each) for each in pair])
    n_tokens = built.spec.n_fitted or 1
    patched = greedy_answers(built, passages, "patched", n_tokens, [pair[0] for pair in logits], on_progress)
    plain = greedy_answers(built, passages, "plain", n_tokens, [pair[1] for pair in logits], on_progress)
    tokenizer, made = built.spec.loaded.tokenizer, []
    for k, (passage, (ours, theirs)) in enumerate(zip(passages, scores, strict=True)):
        first = int(passage.logits[0].argmax())
        made.append(
            CompiledQuery(
                query=texts[k],
                role=role,
                context=tokenizer.decode(passage.continuation[:n_tokens] or (first,)),
                patched=patched[k],
                plain=plain[k],
                n_tokens=ours.n,
                kl=finite_or_none(ours.kl / ours.n),
                kl_plain=finite_or_none(theirs.kl / theirs.n),
                r=recovered(ours, theirs),
                equal=ours.equal,
                equal_plain=theirs.equal,
                agrees=int(logits[k][0].argmax()) == first,
                agrees_plain=int(logits[k][1].argmax()) == first,
            )
        )
    return tuple(made)


def recovered(patched: ScoreSums, plain: ScoreSums) -> float | None:
    """R = 1 − KL(context ‖ patched) / KL(context ‖ no patch); None where the context changes nothing.

    Raises:
        EngineError: a divergence is no number, so nothing is known of the patch.
    """
    if not (isfinite(plain.kl) and isfinite(patched.kl)):
        whose = "patched model" if isfinite(plain.kl) else "model"
        raise EngineError(
            f"the {whose}'s probabilities on a query are not numbers: give --dtype float32, or a larger --ridge"
        )
    return None if plain.kl < NOTHING * plain.n else 1 - patched.kl / plain.kl


def summarize_unseen(queries: Sequence[CompiledQuery]) -> Unseen:
    """The queries at which the context changes something, taken together."""
    told = [query for query in queries if query.r is not None]
    n_tokens = sum(query.n_tokens for query in told)
    r = [query.r for query in told if query.r is not None]

    def mean(name: str) -> float | None:
        values = [(getattr(query, name), query.n_tokens) for query in told]
        if not told or any(value is None for value, _ in values):
            return None
        return finite_or_none(sum(value * n for value, n in values) / n_tokens)

    return Unseen(
        n_queries=len(told),
        n_tokens=n_tokens,
        kl=mean("kl"),
        kl_plain=mean("kl_plain"),
        r_median=median(r) if r else None,
        r_mean=fmean(r) if r else None,
        equal=sum(query.equal for query in told),
        equal_plain=sum(query.equal_plain for query in told),
        n_agreeing=sum(query.agrees for query in told),
        n_agreeing_plain=sum(query.agrees_plain for query in told),
        n_unchanged=len(queries) - len(told),
    )
