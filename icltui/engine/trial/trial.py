"""The numbers of many prompts, in batches: with the context, without it, and through patches and their controls.

Enters: a loaded model, prompts and patches. Leaves: a :class:`~icltui.values.trial.TrialResult` for each prompt, once
its batch has run. Parameters are not touched, and no hook outlives its pass.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import torch

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.out_of_memory import (
    forget_frames,
    is_out_of_memory,
    release_memory,
    run_as_fits,
    shortage_error,
)
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.trial.batch import Batch
from icltui.engine.trial.batching import Numbered, groups_of_equal_shape, rows_at_once
from icltui.engine.trial.prompt import TrialPrompt
from icltui.engine.trial.row_layers import layer_numbers
from icltui.engine.trial.row_noise import noise_floors
from icltui.engine.trial.row_score import score_rows
from icltui.values.errors import BadInput, IcltuiError
from icltui.values.trial import TrialPatch, TrialResult


def trial(
    loaded: LoadedModel,
    prompts: Sequence[TrialPrompt],
    patches: Sequence[TrialPatch] = (),
    *,
    n_noise_runs: int = 0,
    on_progress: ProgressCallback = ignore_progress,
) -> Iterator[TrialResult]:
    """The result of each prompt, prompts of one shape together; ``index`` says which prompt it is.

    ``n_noise_runs``, at most 3: how often each contextual run is run again for its noise floor. A prompt that fails has
    a result with its error.

    Raises:
        BadInput: a patch of a layer that the model does not have, or that cannot be patched.
    """
    known = {site.layer for site in loaded.sites}
    for patch in patches:
        if strange := sorted(set(patch.layers or ()) - known):
            raise BadInput(f"layer {strange[0]} cannot be patched: choose among {sorted(known)}")
    done = 0
    for group in groups_of_equal_shape(prompts):
        size, left = 0, group
        while left:
            on_progress("running prompts", done, len(prompts))
            with torch.inference_mode():
                if not size:
                    size = rows_at_once(loaded, loaded.sites, group)
                run = partial(_run_first, loaded, left, patches, n_noise_runs)
                results, size = run_as_fits(run, min(size, len(left)), "prompts")
            yield from results
            left, done = left[len(results) :], done + len(results)


def _run_first(
    loaded: LoadedModel, prompts: Sequence[Numbered], patches: Sequence[TrialPatch], n_noise_runs: int, n: int
) -> list[TrialResult]:
    """The results of the first ``n``, one by one where an error other than of memory is among them."""
    try:
        return _results(loaded, prompts[:n], patches, n_noise_runs)
    except Exception as error:
        is_of_memory = is_out_of_memory(error)
        if not is_of_memory and not isinstance(error, IcltuiError):
            raise
        if n == 1:
            forget_frames(error)
            plain = shortage_error(error) if is_of_memory else error
            failed = [_failed(*prompts[0], " ".join(str(plain).split()))]
        elif is_of_memory:
            raise
        else:
            failed = []
    if failed:
        release_memory()
        return failed
    return [one for k in range(n) for one in _run_first(loaded, prompts[k:], patches, n_noise_runs, 1)]


def _results(
    loaded: LoadedModel, prompts: Sequence[Numbered], patches: Sequence[TrialPatch], n_noise_runs: int
) -> list[TrialResult]:
    batch = Batch(loaded, loaded.sites, [prompt for _, prompt in prompts])
    wanted, without = batch.contextual[0], batch.plain[0]
    answers = torch.tensor([prompt.answer for _, prompt in prompts], dtype=torch.long)
    nothing = [None] * batch.n_rows
    context = score_rows(wanted, wanted, answers, nothing)
    plain = score_rows(wanted, without, answers, nothing)
    scores = []
    for patch in patches:
        made = batch.patched(patch)
        scores.append(score_rows(wanted, made.logits, answers, made.alphas, made.curves))
    floors = noise_floors(batch, n_noise_runs) if n_noise_runs else nothing
    layers, scales = layer_numbers(batch), wanted[:, 0].abs().amax(-1).tolist()
    return [
        TrialResult(
            index=index,
            n_prefix=len(prompt.ids.prefix),
            n_context=len(prompt.ids.context),
            n_query=len(prompt.ids.query),
            n_answer=len(prompt.answer),
            context=context[row],
            plain=plain[row],
            patches=tuple(of_patch[row] for of_patch in scores),
            layers=layers[row],
            noise_floor=floors[row],
            logit_scale=scales[row],
        )
        for row, (index, prompt) in enumerate(prompts)
    ]


def _failed(index: int, prompt: TrialPrompt, error: str) -> TrialResult:
    return TrialResult(
        index=index,
        n_prefix=len(prompt.ids.prefix),
        n_context=len(prompt.ids.context),
        n_query=len(prompt.ids.query),
        n_answer=len(prompt.answer),
        error=error,
    )
