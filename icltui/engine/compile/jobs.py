"""*compile* as a stream of events: queries, a choice, a patch, its tests, and an adapter unless it would harm.

Enters: a request, the loaded model, and a way to load that model anew. Leaves: events, and a folder or a file, whole
or not at all.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from msgspec.structs import replace as with_changes

from icltui import __version__
from icltui.api.messages import ChoiceAdvanced, Compile, CompileEnded, Event
from icltui.api.option_table import check_options
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.compile.choose import Choice, choose
from icltui.engine.compile.read_passages import read_passages
from icltui.engine.compile.request_queries import RequestQueries, check_queries, queries_of
from icltui.engine.compile.score_queries import score_queries, summarize_unseen
from icltui.engine.compile.verdict import refusal, sentence
from icltui.engine.export.export_patch import check_carrier
from icltui.engine.export.jobs import Draft, Fresh, Model, check_target, keep_draft, staged, write_draft
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.models.background_thread import Send, stream_in_background
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.calibration import Passage
from icltui.values import CalibrationSummary, Compilation, ModelInfo, PatchChoice
from icltui.values.errors import BadInput
from icltui.values.patch_source import PatchSource
from icltui.values.prompt import layers_text


@dataclass(frozen=True)
class _CompiledDraft:
    """What the background work leaves: no model is in it."""

    compilation: Compilation
    draft: Draft | None


def run_compile(request: Compile, info: ModelInfo, model: Model, fresh: Fresh) -> Iterator[Event]:
    """Make the patch that ``request`` asks for, and write it unless it would harm.

    Raises:
        BadInput: queries, a recipe or a target that cannot be used.
        ModelError: the package that the format needs is missing.
        EngineError: the written file is not the patch; it is removed.
    """
    start, target = time.perf_counter(), Path(request.path)
    _check(request)
    with nullcontext() if request.format == "none" else staged(target) as folder:
        made = yield from stream_in_background(
            lambda on_progress, send: _compile(model(), request, info, folder, on_progress, send)
        )
        compilation = made.compilation
        if made.draft is not None and folder is not None:
            report = yield from keep_draft(made.draft, folder, target, fresh)
            compilation = with_changes(
                compilation,
                files=report.files,
                left_out=report.left_out,
                notes=(*compilation.notes, *report.notes),
            )
    seconds = time.perf_counter() - start
    yield CompileEnded(compilation=with_changes(compilation, seconds=seconds))


def _check(request: Compile) -> None:
    """Refuse requests that are known to fail before any work."""
    check_queries(request)
    check_options(request)
    check_options(request.recipe)
    if request.recipe.mode != "compiled":
        raise BadInput(
            f"a {request.recipe.mode} patch is not made of calibration queries: give a recipe of mode compiled"
        )
    if request.recipe.control != "none":
        raise BadInput(
            f"control {request.recipe.control!r} is for tests of a patch, and no context's: leave it out"
        )
    if request.recipe.layer_alphas:
        raise BadInput("a patch is chosen with all layers at one strength: leave the strengths by layer out")
    if request.format != "none":
        check_target(request.path, request.format)
        check_carrier(request.recipe)


@torch.no_grad()  # not inference mode, which rules derivatives in α out
def _compile(
    loaded: LoadedModel,
    request: Compile,
    info: ModelInfo,
    folder: Path | None,
    on_progress: ProgressCallback,
    send: Send,
) -> _CompiledDraft:
    queries = queries_of(loaded, request, on_progress, send)
    recipe = with_changes(request.recipe, queries=queries.calibration)
    prompt = with_changes(request.prompt, query=queries.prompt)
    spec = make_spec(loaded, prompt, request.layers, recipe, queries.unseen)
    read = read_passages(spec, on_progress)
    choice = choose(
        spec,
        read.own,
        read.calibration,
        pinned=request.pinned,
        budget=request.budget,
        on_progress=on_progress,
        on_point=lambda point: send(ChoiceAdvanced(point=point)),
    )
    compilation = _judge(choice, request, queries, read.calibration, read.unseen, on_progress)
    if folder is None or request.format == "none" or (compilation.refused and not request.force):
        return _CompiledDraft(compilation, None)
    source = _source(compilation, request, info)
    draft = write_draft(choice.built, request.format, folder, info, on_progress, source)
    return _CompiledDraft(compilation, draft)


def _judge(
    choice: Choice,
    request: Compile,
    queries: RequestQueries,
    calibration: Sequence[Passage],
    unseen: Sequence[Passage],
    on_progress: ProgressCallback,
) -> Compilation:
    built, spec = choice.built, choice.built.spec
    others = score_queries(built, unseen, queries.unseen, "unseen", on_progress)
    fitted = score_queries(built, calibration, queries.calibration, "calibration", on_progress)
    summary = summarize_unseen(others) if others else None
    refused = refusal(choice.leave_one_out, summary, choice.collateral)
    return Compilation(
        refused=refused,
        forced=refused is not None and request.force,
        chosen=_chosen(built, request.pinned),
        calibration=CalibrationSummary(
            kind=request.calibrate,
            n_queries=len(calibration),
            n_tokens=built.n_tokens,
            queries=queries.calibration,
        ),
        unseen=summary,
        collateral=choice.collateral,
        leave_one_out=choice.leave_one_out,
        seconds=0.0,
        recipe=with_changes(spec.recipe, alpha=built.alpha),
        query=queries.prompt,
        sentence=sentence(choice.leave_one_out, summary, choice.collateral),
        queries=(*others, *fitted),
        notes=(*queries.notes, *choice.notes),
        ids=spec.record,
    )


def _chosen(built: BuiltPatch, pinned: tuple[str, ...]) -> PatchChoice:
    recipe = built.spec.recipe
    return PatchChoice(
        metric=recipe.metric,
        epsilon=recipe.epsilon,
        ridge=recipe.ridge,
        layers=tuple(site.layer for site in built.spec.sites),
        components=recipe.components,
        alpha=built.alpha,
        rank=built.rank,
        pinned=pinned,
    )


def _source(compilation: Compilation, request: Compile, info: ModelInfo) -> PatchSource:
    assert compilation.ids is not None
    return PatchSource(
        version=__version__,
        model=info.name,
        revision=info.revision,
        fingerprint=info.fingerprint,
        prompt=with_changes(request.prompt, query=compilation.query),
        layers=layers_text(compilation.chosen.layers, info.n_layers),
        recipe=compilation.recipe,
        ids=compilation.ids,
        forced=compilation.forced,
        refused=compilation.refused,
        dtype=info.dtype,
        holdout=tuple(query.query for query in compilation.queries if query.role == "unseen"),
    )
