"""*exam* as a stream of events: the queries are answered, then each patch is made and put to the test.

Enters: a loaded model and a request. Leaves: an :class:`~icltui.api.messages.ExamStarted`, a row for each patch that
was asked for, the whole exam. A patch that cannot be made is a row with the reason.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from msgspec.structs import replace as with_changes

from icltui.api.messages import Event, ExamEnded, Examine, ExamRowEnded, ExamStarted
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.exam.bootstrap import N_RESAMPLES
from icltui.engine.exam.examine import answer_all, cut_medians, row_of
from icltui.engine.exam.examinee import Material
from icltui.engine.exam.questions import Questions, n_answer_tokens, read_all
from icltui.engine.exam.rank_curve import rank_for
from icltui.engine.exam.score import r_of
from icltui.engine.exam.ways import WAYS, plain_recipe
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.models.background_thread import run_in_background
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import PatchSpec
from icltui.values import EXAM_TITLES, Exam, ExamPatch, ExamRow
from icltui.values.errors import BadInput, IcltuiError
from icltui.values.exam import unseen_queries

WITH_RANKS: frozenset[ExamPatch] = frozenset({"plain", "ordinary"})
"""The rows whose patch is cut to lower ranks too."""


def run_exam(loaded: LoadedModel, request: Examine) -> Iterator[Event]:
    """The rows of one context, in the order in which they were asked for.

    Raises:
        BadInput: no calibration query, fewer than two unseen ones, or a prompt that cannot be.
    """
    begin = time.perf_counter()
    spec, unseen, notes = _prepare(loaded, request)
    reading = partial(_read, spec, unseen, request.answers)
    material, questions = yield from run_in_background(reading)
    exam = _started(request, spec, questions, notes)
    yield ExamStarted(exam=exam)
    for name in request.rows:
        work = partial(_row, name, material, questions, request.seed)
        row = yield from run_in_background(work)
        exam = with_changes(exam, rows=(*exam.rows, row))
        yield ExamRowEnded(row=row)
    yield ExamEnded(exam=with_changes(exam, seconds=time.perf_counter() - begin))


def _prepare(loaded: LoadedModel, request: Examine) -> tuple[PatchSpec, tuple[str, ...], tuple[str, ...]]:
    """The spec, whose recipe is the session's own; the unseen queries; what to tell of them."""
    queries = request.recipe.queries
    unseen, notes = unseen_queries(queries, request.holdout)
    if missing := [name for name in request.rows if name not in WAYS]:
        raise BadInput(
            f"{missing[0]!r} needs another context: give --other SESSION.json, or leave the row out"
        )
    prompt = request.prompt if request.prompt.query else with_changes(request.prompt, query=queries[0])
    compiled = plain_recipe(request.recipe)
    truths = {text: answer for text, answer in request.answers.items() if text in unseen}
    spec = make_spec(
        loaded, prompt, request.layers, compiled, unseen, n_answer_tokens(loaded, compiled, truths)
    )
    return replace(spec, recipe=request.recipe), unseen, notes


@torch.no_grad()  # not inference mode, which rules out that a rival is trained on what was read
def _read(
    spec: PatchSpec, unseen: tuple[str, ...], truths: dict[str, str], on_progress: ProgressCallback
) -> tuple[Material, Questions]:
    return read_all(spec, unseen, truths, on_progress)


@torch.no_grad()
def _row(
    name: ExamPatch, material: Material, questions: Questions, seed: int, on_progress: ProgressCallback
) -> ExamRow:
    """The row of one patch, with the reason where there is none."""
    on_progress(f"making the patch: {EXAM_TITLES[name]}", 0, 1)
    try:
        examinee = WAYS[name](material, on_progress)
        on_progress(f"examining: {EXAM_TITLES[name]}", 0, 1)
        row = row_of(name, examinee, questions, answer_all(questions, examinee), seed)
        if name in WITH_RANKS:
            on_progress(f"cutting to lower ranks: {EXAM_TITLES[name]}", 0, 1)
            ranks = cut_medians(questions, examinee, material.spec.sites)
            row = with_changes(row, ranks=ranks, rank_90=rank_for(ranks))
    except IcltuiError as error:
        return ExamRow(patch=name, reason=str(error))
    return row


def _started(request: Examine, spec: PatchSpec, questions: Questions, notes: tuple[str, ...]) -> Exam:
    """The exam without its rows."""
    without = sum(r_of(0.0, record.kl_plain, record.n_tokens) is None for record in questions.records)
    return Exam(
        rows=(),
        queries=questions.records,
        calibration=request.recipe.queries,
        answers_from=questions.answers_from,
        n_fitted=request.recipe.n_fitted,
        n_without_effect=without,
        layers=tuple(site.layer for site in spec.sites),
        seed=request.seed,
        n_resamples=N_RESAMPLES,
        notes=notes,
    )
