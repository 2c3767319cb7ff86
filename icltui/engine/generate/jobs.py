"""*generate* as a stream of events: the patch is built, the lanes decode, the patch is tested.

Enters: a loaded model and a request. Leaves: :class:`~icltui.api.messages.Progress`, lane steps, and the
:class:`~icltui.values.Generation` of each query.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from msgspec.structs import replace as with_changes

from icltui.api.messages import (
    Event,
    Generate,
    GenerateEach,
    GenerationEnded,
    LaneAdvanced,
    PatchTested,
)
from icltui.api.option_table import check_options
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.generate.batching_check import PaddingChangesLogits, can_batch, in_batches
from icltui.engine.generate.generate import generate
from icltui.engine.generate.lane_in_context import LanesInContext
from icltui.engine.generate.last_patch import LastPatch
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.models.background_thread import run_in_background
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.alpha_search import with_alpha
from icltui.engine.patch.build import BuiltPatch, PatchSpec
from icltui.engine.patch.report import report_patch
from icltui.engine.prompts.prompt_check import check_known
from icltui.engine.prompts.token_texts import as_tokens
from icltui.values import Generation, LaneStep, PatchReport
from icltui.values.errors import BadInput


def run_generate(loaded: LoadedModel, request: Generate, last: LastPatch) -> Iterator[Event]:
    """The lanes of one prompt; ``last`` spares the patch's building where only the strength is another.

    Raises:
        BadInput: a prompt, recipe or sampling that cannot be.
    """
    spec = spec_of(loaded, request)
    built = yield from make_patch_at(spec, request, last)
    yield from _lanes(spec, built, request)
    if built is not None:
        yield from _tested(built, request.curves, last)


def run_generate_each(loaded: LoadedModel, request: GenerateEach, last: LastPatch) -> Iterator[Event]:
    """The lanes of every query: all at once where one patch serves them, else one after the other.

    Raises:
        BadInput: a prompt, recipe or sampling that cannot be.
    """
    if not request.queries:
        raise BadInput("no query to run: give at least one")
    # All queries are checked before the first is run, which may take long.
    specs = [spec_of(loaded, request, query) for query in request.queries]
    built = yield from make_patch_at(specs[0], request, last)
    generations: list[Generation] | None = None
    if can_batch(specs[0], built):
        generations = yield from run_in_background(partial(_in_rows, specs, built, request))
    for number, spec in enumerate(specs):
        if generations is not None:
            yield GenerationEnded(generation=whole(generations[number], spec, request))
        else:
            if number and built is not None:
                built = (
                    replace(built, spec=spec)
                    if spec.calibration
                    else (yield from make_patch_at(spec, request, last))
                )
            yield from _lanes(spec, built, request)
        if built is not None and (number == 0 or not (spec.calibration or generations)):
            yield from _tested(built, False, last)


@torch.inference_mode()
def _in_rows(
    specs: list[PatchSpec], built: BuiltPatch | None, request: GenerateEach, on_progress: ProgressCallback
) -> list[Generation] | None:
    """The lanes of all queries, batch by batch; None where padding changes this model's logits."""

    def run(batch: Sequence[PatchSpec]) -> list[Generation]:
        made = generate(batch, built, **_how(request), on_progress=on_progress)
        return [one for one in made if isinstance(one, Generation)]

    try:
        return [one for made in in_batches(specs, request.n_tokens, run) for one in made]
    except PaddingChangesLogits:
        return None


def _how(request: Generate | GenerateEach) -> dict[str, Any]:
    return {"lanes": request.lanes, "n_tokens": request.n_tokens, "sampling": request.sampling}


def spec_of(loaded: LoadedModel, request: Generate | GenerateEach, query: str | None = None) -> PatchSpec:
    """The request in the model's terms, for its own query or another one.

    Raises:
        BadInput: a prompt, recipe or sampling that cannot be.
    """
    if request.n_tokens < 1:
        raise BadInput(f"{request.n_tokens} tokens to generate: ask for at least 1")
    check_options(request.sampling)
    prompt = request.prompt if query is None else with_changes(request.prompt, query=query)
    spec = make_spec(loaded, prompt, request.layers, request.recipe, request.holdout, request.n_tokens)
    for tokens in request.forced.values() if isinstance(request, Generate) else ():
        check_known(loaded, replace(spec.ids, query=(*spec.ids.query, *tokens)))
    return spec


def make_patch_at(
    spec: PatchSpec, request: Generate | GenerateEach, last: LastPatch
) -> Generator[Event, None, BuiltPatch | None]:
    """The patch of the request, at its strength; None where no lane asks for one."""
    if "patched" not in request.lanes:
        return None
    alpha, is_varied = request.recipe.alpha, isinstance(request, Generate) and request.curves
    if spec.recipe.mode == "per-step" and not (isinstance(alpha, str) or is_varied or spec.holdout):
        return BuiltPatch(spec, alpha=alpha)  # made while text is generated
    return (yield from run_in_background(partial(make_patch, spec, last=last)))


def _lanes(spec: PatchSpec, built: BuiltPatch | None, request: Generate | GenerateEach) -> Iterator[Event]:
    """The lanes of one prompt, step by step."""
    forced = request.forced if isinstance(request, Generate) else {}
    for made in generate([spec], built, **_how(request), forced=forced, in_context=LanesInContext(spec)):
        if isinstance(made, LaneStep):
            yield LaneAdvanced(step=made)
        else:
            yield GenerationEnded(generation=whole(made, spec, request))


def whole(made: Generation, spec: PatchSpec, request: Generate | GenerateEach) -> Generation:
    """The generation with its held-out queries and its tokens."""
    kept = as_tokens(spec.loaded.tokenizer, spec.record.prefix)
    return with_changes(made, holdout=request.holdout, ids=spec.record, kept_prefix=kept)


def _tested(built: BuiltPatch, curves: bool, last: LastPatch) -> Iterator[Event]:
    """The report on the patch, where building it read the prompt's passage."""
    if built.prompt is not None:
        yield PatchTested(patch=(yield from run_in_background(partial(report, built, curves, last))))


@torch.no_grad()
def report(built: BuiltPatch, curves: bool, last: LastPatch, on_progress: ProgressCallback) -> PatchReport:
    """The report on the patch, on the tokens of the one before where it is the same at another strength."""
    return report_patch(built, curves, on_progress, last.test_tokens(built, on_progress))


@torch.no_grad()  # not inference mode, which rules derivatives out
def make_patch(spec: PatchSpec, on_progress: ProgressCallback, last: LastPatch | None = None) -> BuiltPatch:
    """The patch at its strength; ``last``: the one built before, which may be it."""
    return with_alpha((last or LastPatch()).build(spec, on_progress), on_progress)
