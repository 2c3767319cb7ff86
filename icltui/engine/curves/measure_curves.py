"""Every number of *curves*, put together.

Enters: a loaded model, a prompt's tokens. Leaves: :class:`~icltui.values.LossCurves`.
"""

import time
from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor

from icltui.api.messages import MeasureCurves
from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.curves.icl_score import LEAST_TOKENS, icl_score
from icltui.engine.curves.intervals import curve_shape, mean_interval
from icltui.engine.curves.own_text import compare_with_own
from icltui.engine.curves.smoothing import log_derivative, sliding_mean, window_of
from icltui.engine.curves.token_losses import losses_with, losses_without
from icltui.engine.generate.prepare_request import PromptInputs
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values import IclScore, LossCurves, OwnTextComparison


def measure_curves(
    loaded: LoadedModel,
    prepared: PromptInputs,
    request: MeasureCurves,
    on_progress: ProgressCallback = ignore_progress,
) -> LossCurves:
    """The curves of one text."""
    start, ids, seed = time.perf_counter(), prepared.ids, request.seed
    loss = losses_with(loaded, ids, on_progress)
    without = losses_without(loaded, ids, request.prompt.positions, on_progress)
    window = window_of(len(loss))
    slope = log_derivative(loss)
    score = icl_score(loss, seed, loaded.window)
    own = None
    if request.own_texts:
        own = compare_with_own(loaded, ids, loss, request.own_texts, request.own_tokens, seed, on_progress)
    return LossCurves(
        tokens=prepared.tokens,
        loss=_record(loss),
        loss_without=_record(without),
        smooth=_record(sliding_mean(loss, window)),
        smooth_without=_record(sliding_mean(without, window)),
        window=window,
        derivative=_record(slope.value),
        derivative_low=_record(slope.low),
        derivative_high=_record(slope.high),
        icl_score=score,
        shape=curve_shape(loss, seed),
        gain=mean_interval((without - loss)[len(ids.context) :], seed),
        own=own,
        notes=tuple(_notes(prepared, score, own)),
        seconds=time.perf_counter() - start,
    )


def _record(numbers: Float[Tensor, " tokens"]) -> tuple[float | None, ...]:
    return tuple(map(finite_or_none, numbers.tolist()))


def _notes(prepared: PromptInputs, score: IclScore | None, own: OwnTextComparison | None) -> Iterator[str]:
    ids = prepared.ids
    n_text = len(ids.context) + len(ids.query)
    if score is None:
        n_tokens = f"{n_text} token{'s' * (n_text != 1)}"
        yield f"no ICL score: the text has {n_tokens}, and {LEAST_TOKENS} losses are the least for it"
    elif score.note:
        yield score.note
    if not ids.prefix:
        yield "nothing is kept before the text, so its first token has no loss, nor has the first of a unit alone"
    if not ids.context:
        yield "there is no context, so the loss without it is the loss"
    if own is not None and own.n_tokens < n_text:
        yield f"the model's own texts are compared with the first {own.n_tokens} tokens of {n_text}"
