"""*exam* as a stream of events: the queries are answered, then each patch is made and put to the test.

Enters: a loaded model and a request. Leaves: an :class:`~icltui.api.messages.ExamStarted`, a row for each patch that
was asked for, the whole exam. A patch that cannot be made is a row with the reason.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from msgspec.structs import replace as with_changes

from icltui.api.messages import Event, ExamEnded, Examine, ExamRowEnded, ExamStarted, OtherContext
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.exam.bootstrap import N_RESAMPLES
from icltui.engine.exam.examine import answer_all, collateral_of, cut_medians, row_of
from icltui.engine.exam.examinee import Material
from icltui.engine.exam.joined import OtherMaterial, join, lost, scores_on_other, with_interference
from icltui.engine.exam.questions import Questions, n_answer_tokens, read_all
from icltui.engine.exam.rank_curve import rank_for
from icltui.engine.exam.score import r_of
from icltui.engine.exam.ways import WAYS, is_ordinary, ordinary_recipe, with_choice
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.metric.background import Background
from icltui.engine.metric.ordinary import ordinary_moments
from icltui.engine.models.background_thread import run_in_background
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import PatchSpec
from icltui.engine.patch.collateral import UnrelatedText, read_unrelated
from icltui.values import EXAM_TITLES, Exam, ExamPatch, ExamRow
from icltui.values.errors import BadInput, IcltuiError
from icltui.values.exam import unseen_queries
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe

WITH_RANKS: frozenset[ExamPatch] = frozenset({"plain", "ordinary", "joined"})
"""The rows whose patch is cut to lower ranks too."""
WEIGHED: frozenset[ExamPatch] = frozenset({"ordinary", "shift-alone", "distilled", "joined"})
"""The rows whose patch is least in the metric of ordinary text, or is held against one that is."""
ON_OTHER: frozenset[ExamPatch] = frozenset({"ordinary", "joined"})
"""The rows that answer the other context's queries too."""


@dataclass(frozen=True)
class Paper:
    """All that a row is made of, read once."""

    material: Material
    questions: Questions
    unrelated: UnrelatedText
    other: OtherMaterial | None
    seed: int
    notes: tuple[str, ...]


def run_exam(loaded: LoadedModel, request: Examine) -> Iterator[Event]:
    """The rows of one context, in the order in which they were asked for.

    Raises:
        BadInput: no calibration query, fewer than two unseen ones, or a prompt that cannot be.
    """
    begin = time.perf_counter()
    paper = yield from run_in_background(partial(_read, loaded, request))
    exam = _started(request, paper)
    yield ExamStarted(exam=exam)
    for name in request.rows:
        row = yield from run_in_background(partial(_row, name, paper, exam))
        exam = with_changes(exam, rows=(*exam.rows, row))
        yield ExamRowEnded(row=row)
    yield ExamEnded(exam=with_changes(exam, seconds=time.perf_counter() - begin))


@torch.no_grad()  # not inference mode, which rules out that a rival is trained on what was read
def _read(loaded: LoadedModel, request: Examine, on_progress: ProgressCallback) -> Paper:
    """Everything is checked and read before the first row."""
    queries = request.recipe.queries
    if request.recipe.layer_alphas:
        raise BadInput(
            "an exam compares patches with all layers at one strength: leave the strengths by layer out"
        )
    unseen, notes = unseen_queries(queries, request.holdout)
    if request.other is None and "joined" in request.rows:
        raise BadInput("'joined' needs another context: give --other SESSION.json, or leave the row out")
    prompt = request.prompt if request.prompt.query else with_changes(request.prompt, query=queries[0])
    first = _spec(loaded, prompt, request, request.recipe, unseen, request.answers)
    other = None if request.other is None else _read_other(loaded, request, request.other, on_progress)
    material, questions = read_all(first, request.recipe, unseen, request.answers, on_progress)
    assert first.background is not None, "the recipe of the spec weighs by ordinary text"
    unrelated = read_unrelated(loaded, first.background, on_progress)
    weighs = not WEIGHED.isdisjoint(request.rows)
    more = _weigh(loaded, first.background, on_progress) if weighs else ()
    if weighs and not is_ordinary(request.recipe):
        with suppress(BadInput):  # whose reason each of the rows gives
            material = with_choice(material, request.budget, on_progress)
    return Paper(material, questions, unrelated, other, request.seed, (*notes, *more, *material.notes))


def _weigh(loaded: LoadedModel, background: Background, on_progress: ProgressCallback) -> tuple[str, ...]:
    """The metric of ordinary text, made before the rows that share it, and a note where that took long."""
    begin = time.perf_counter()
    ordinary_moments(loaded, background, on_progress)
    seconds = time.perf_counter() - begin
    if seconds < 1:
        return ()
    return (
        f"the metric of ordinary text took {seconds:.0f} s, once for each model and text; no row counts it",
    )


def _spec(
    loaded: LoadedModel,
    prompt: Prompt,
    request: Examine,
    recipe: Recipe,
    unseen: tuple[str, ...],
    answers: dict[str, str],
) -> PatchSpec:
    """The spec of the ordinary patch, with the queries' tokens and the background text."""
    compiled = ordinary_recipe(recipe)
    n_tokens = n_answer_tokens(loaded, compiled, answers)
    return make_spec(loaded, prompt, request.layers, compiled, unseen, n_tokens)


def _read_other(
    loaded: LoadedModel, request: Examine, other: OtherContext, on_progress: ProgressCallback
) -> OtherMaterial:
    recipe = with_changes(request.recipe, queries=other.queries)
    unseen, _ = unseen_queries(other.queries, other.holdout)
    prompt = with_changes(other.prompt, query=other.queries[0])
    spec = _spec(loaded, prompt, request, recipe, unseen, {})
    return OtherMaterial(*read_all(spec, recipe, unseen, {}, on_progress))


@torch.no_grad()
def _row(name: ExamPatch, paper: Paper, exam: Exam, on_progress: ProgressCallback) -> ExamRow:
    """The row of one patch, with the reason where there is none."""
    on_progress(f"making the patch: {EXAM_TITLES[name]}", 0, 1)
    try:
        return _examined(name, paper, exam, on_progress)
    except IcltuiError as error:
        return ExamRow(patch=name, reason=str(error))


def _examined(name: ExamPatch, paper: Paper, exam: Exam, on_progress: ProgressCallback) -> ExamRow:
    material, questions, other, seed = paper.material, paper.questions, paper.other, paper.seed
    if name == "joined":
        assert other is not None, "the request was checked"
        examinee = join(material, other, on_progress)
    else:
        examinee = WAYS[name](material, on_progress)
    on_progress(f"examining: {EXAM_TITLES[name]}", 0, 1)
    row = row_of(name, examinee, questions, answer_all(questions, examinee), seed)
    if examinee.is_held:
        row = with_changes(row, **collateral_of(examinee, material.spec.sites, paper.unrelated, on_progress))
    if name in WITH_RANKS:
        on_progress(f"cutting to lower ranks: {EXAM_TITLES[name]}", 0, 1)
        ranks = cut_medians(questions, examinee, material.spec.sites)
        row = with_changes(row, ranks=ranks, rank_90=rank_for(ranks))
    if other is None or name not in ON_OTHER:
        return row
    scores = scores_on_other(examinee, other, seed)
    if name != "joined":
        return with_changes(row, other=scores)
    alone = next((made.r_median for made in exam.rows if made.patch == "ordinary"), None)
    scores = with_interference(scores, material, other, seed, on_progress)
    return with_changes(row, other=scores, interference=lost(alone, row.r_median))


def _started(request: Examine, paper: Paper) -> Exam:
    """The exam without its rows."""
    questions, other = paper.questions, paper.other
    without = sum(r_of(0.0, record.kl_plain, record.n_tokens) is None for record in questions.records)
    return Exam(
        rows=(),
        queries=questions.records,
        calibration=request.recipe.queries,
        answers_from=questions.answers_from,
        n_fitted=request.recipe.n_fitted,
        n_without_effect=without,
        layers=tuple(site.layer for site in paper.material.spec.sites),
        other_context="" if request.other is None else request.other.prompt.context,
        other_queries=() if other is None else tuple(record.query for record in other.questions.records),
        collateral_tokens=paper.unrelated.n_tokens,
        seed=request.seed,
        n_resamples=N_RESAMPLES,
        notes=paper.notes,
    )
