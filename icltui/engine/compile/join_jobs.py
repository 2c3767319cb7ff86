"""*patch add* as a stream of events: contexts are read, solved together, compared, and written as one adapter.

Enters: a request, the loaded model, and a way to load that model anew. Leaves: events, and a folder or a file, whole or
not at all.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from msgspec.structs import replace as with_changes

from icltui.api.messages import AdaptersJoined, Event, JoinAdapters
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.compile.interference import PatchesToCompare, compare_contexts
from icltui.engine.compile.join_contexts import (
    ContextPart,
    add_up,
    conflicts,
    joint_recipe,
    read_contexts,
    solve_together,
)
from icltui.engine.export.jobs import Draft, Fresh, Model, check_target, keep_draft, staged, write_draft
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.metric.background import read_background
from icltui.engine.models.background_thread import run_in_background
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.collateral import read_unrelated
from icltui.engine.patch.decoding import acting
from icltui.engine.patch.patch import HeldPatch
from icltui.values import AnswerConflict, JoinedPatch, ModelInfo
from icltui.values.errors import BadInput
from icltui.values.patch_source import check_joinable, join_sources
from icltui.values.prompt import layers_text
from icltui.values.recipe import Recipe


@dataclass(frozen=True)
class _JoinedDraft:
    """What the background work leaves: no model is in it."""

    joined: JoinedPatch
    draft: Draft


def run_join(request: JoinAdapters, info: ModelInfo, model: Model, fresh: Fresh) -> Iterator[Event]:
    """Join the contexts that ``request`` names, and write their adapter.

    Raises:
        BadInput: contexts that cannot be joined, another model's, or a target that cannot be written.
        ModelError: the package that the format needs is missing.
        EngineError: the written file is not the patch; it is removed.
    """
    start, target = time.perf_counter(), Path(request.path)
    _check(request, info)
    with staged(target) as folder:
        made = yield from run_in_background(
            lambda on_progress: _join(model(), request, info, folder, on_progress)
        )
        report = yield from keep_draft(made.draft, folder, target, fresh)
    yield AdaptersJoined(
        joined=with_changes(
            made.joined,
            files=report.files,
            left_out=report.left_out,
            notes=(*made.joined.notes, *report.notes),
            seconds=time.perf_counter() - start,
        )
    )


def _check(request: JoinAdapters, info: ModelInfo) -> None:
    """Refuse requests that are known to fail before any work."""
    check_joinable(request.contexts)
    if (theirs := request.contexts[0].fingerprint) != info.fingerprint:
        raise BadInput(
            f"these adapters belong to other weights (fingerprint {theirs}, those of {info.name!r} have "
            f"{info.fingerprint}): give --model and --revision of their own model"
        )
    check_target(request.path, request.format)


@torch.no_grad()  # not inference mode, which rules derivatives in α out
def _join(
    loaded: LoadedModel, request: JoinAdapters, info: ModelInfo, folder: Path, on_progress: ProgressCallback
) -> _JoinedDraft:
    parts = read_contexts(loaded, request.contexts, on_progress)
    on_progress("solving the contexts together", 0, 1)
    alone = [part.alone(part.passages.calibration, on_progress) for part in parts]
    recipe, notes = joint_recipe(alone, request.ridge)
    clashes = conflicts(parts)
    _refuse_conflicts(clashes, recipe)
    whole = solve_together(parts, [part.passages.calibration for part in parts], recipe)
    joined = _report(parts, alone, whole, on_progress)
    layers = layers_text((site.layer for site in whole.spec.sites), info.n_layers)
    source = join_sources(request.contexts, with_changes(recipe, alpha=whole.alpha), layers)
    draft = write_draft(whole, request.format, folder, info, on_progress, source)
    return _JoinedDraft(with_changes(joined, conflicts=clashes, notes=notes), draft)


def _refuse_conflicts(clashes: Sequence[AnswerConflict], recipe: Recipe) -> None:
    if clashes and recipe.ridge == 0:
        one = clashes[0]
        said = " and ".join(
            f"{answer!r} in {name}" for answer, name in zip(one.answers, one.contexts, strict=True)
        )
        raise BadInput(
            f"{one.query!r} is answered {said}, which no patch without a ridge can meet: give --ridge, such as 0.01, "
            "or compile one of them without that query"
        )


def _report(
    parts: Sequence[ContextPart],
    alone: Sequence[BuiltPatch],
    whole: BuiltPatch,
    on_progress: ProgressCallback,
) -> JoinedPatch:
    tested, both = list(alone), whole
    if not all(part.is_unseen for part in parts):  # then some of the fitted queries serve as the test's
        tested = [part.alone(part.untested, on_progress) for part in parts]
        both = solve_together(parts, [part.untested for part in parts], whole.spec.recipe)
    patches = PatchesToCompare(
        [_acting(built) for built in tested], _acting(both), add_up([_acting(built) for built in tested])
    )
    adapters = [_acting(built) for built in alone]
    background = read_background(whole.spec.loaded, whole.spec.recipe.background)
    text = read_unrelated(whole.spec.loaded, background, on_progress)
    *collaterals, joined, added = (
        finite_or_none(text.collateral(acting(patch), on_progress))
        for patch in (*adapters, _acting(whole), add_up(adapters))
    )
    return JoinedPatch(
        contexts=compare_contexts(parts, patches, collaterals, on_progress),
        conflicts=(),
        n_tokens=whole.n_tokens,
        rank=whole.rank,
        collateral=joined,
        collateral_concatenated=added,
        n_collateral=text.n_tokens,
        seconds=0.0,
    )


def _acting(built: BuiltPatch) -> HeldPatch:
    assert built.patch is not None
    return built.patch.at(built.alpha)
