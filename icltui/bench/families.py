"""Every patch of a context on families of tasks: an exam of each, with true answers, on queries that were not fitted.

:class:`FamilySettings` enter; :class:`FamilyResults` leave. Each result is a line of the results file as soon as it is
there; what that file has already, of the same model, version and recipe, is not examined again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from types import MappingProxyType

import torch
from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import Compile, Event, Examine, ExamRowEnded, LoadModel
from icltui.bench.family_records import (
    FamilyChoice,
    FamilyExam,
    FamilyPatch,
    FamilyRecord,
    RunKey,
    append_record,
    read_records,
    rows_of,
)
from icltui.engine.compile.verdict import refusal
from icltui.engine.local import LocalEngine
from icltui.tasks.catalogue import families
from icltui.tasks.family import Family, FamilySplit, Kind, TaskQuery
from icltui.values import EXAM_TITLES, Compilation, Exam, ExamPatch, ModelInfo, Unseen
from icltui.values.errors import BadInput
from icltui.values.exam import USUAL_ROWS
from icltui.values.prompt import Bos, Prompt, layers_text
from icltui.values.recipe import COMPILED, Recipe

N_FITTED: Mapping[Kind, int] = MappingProxyType({"word": 2, "form": 8, "fact": 6})
"""Tokens of each contextual continuation that are fitted, those of a usual answer; of the embedded model 8."""
CHOSEN = ("metric", "epsilon", "ridge", "components", "alpha", "rank")
"""What a choice says of the recipe."""
N_CALIBRATION = (3, 6, 12)
"""Calibration queries of the patches that are counted, in turns."""


@dataclass(frozen=True)
class FamilySettings:
    """The model, the families, and what is examined on them."""

    model: str | None = None
    """Hugging Face id, folder or file; None: the embedded model, on families of its own."""
    device: str = "cpu"
    dtype: str = "float32"
    threads: int | None = None
    bos: Bos = "auto"
    family: tuple[str, ...] = ()
    """Names of families; none: all that are made for the model."""
    rows: tuple[ExamPatch, ...] = USUAL_ROWS
    """The patches that are examined."""
    patches: int = 0
    """Patches that are compiled to count those refused and those that harm."""
    budget: float = 15.0
    """Seconds for each choice by leave-one-out; 0: nothing is chosen."""
    results: Path | None = None
    """The file of results; None: they are shown and not kept."""


@dataclass(frozen=True)
class FamilyResults:
    """All records of one model, version and recipe, of the families in question."""

    key: RunKey
    families: tuple[Family, ...]
    records: tuple[FamilyRecord, ...]


@dataclass(frozen=True)
class _Run:
    """A loaded model, and what is to be found with it."""

    engine: LocalEngine
    info: ModelInfo
    settings: FamilySettings
    key: RunKey
    on_progress: Callable[[str], None]


def examine_families(settings: FamilySettings, on_progress: Callable[[str], None]) -> FamilyResults:
    """Load the model, and examine what the results file lacks.

    Raises:
        BadInput: no family of that name; a results file that cannot be used.
    """
    chosen = _families(settings)
    run = _start(settings, on_progress)
    records = read_records(settings.results, run.key)
    for record in _missing(run, chosen, records):
        append_record(settings.results, record)
        records.append(record)
    return FamilyResults(run.key, chosen, tuple(records))


def _families(settings: FamilySettings) -> tuple[Family, ...]:
    all_of_them = families("embedded" if settings.model is None else "general")
    known = {family.name: family for family in all_of_them}
    if wrong := [name for name in settings.family if name not in known]:
        raise BadInput(f"no family {wrong[0]!r} is made for this model: choose from {', '.join(known)}")
    return tuple(known[name] for name in settings.family) or all_of_them


def _start(settings: FamilySettings, on_progress: Callable[[str], None]) -> _Run:
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    engine = LocalEngine()
    request = LoadModel(device=settings.device, dtype=settings.dtype)
    info = run_to_result.load(
        engine, request if settings.model is None else replace(request, model=settings.model)
    )
    key = RunKey(
        model=info.name,
        fingerprint=info.fingerprint,
        dtype=info.dtype,
        version=info.versions["icltui"],
        bos=settings.bos,
        recipe=COMPILED,
        budget=settings.budget,
    )
    return _Run(engine, info, settings, key, on_progress)


def _missing(run: _Run, chosen: Sequence[Family], records: Sequence[FamilyRecord]) -> Iterator[FamilyRecord]:
    """The results that are asked for and not among ``records``, one after the other."""
    for number, family in enumerate(chosen, 1):
        done = {row.patch for row in rows_of(records, family.name, seed=0)}
        if rows := tuple(row for row in run.settings.rows if row not in done):
            run.on_progress(f"family {number} of {len(chosen)}: {family.name}")
            before = [r.made for r in records if isinstance(r, FamilyExam) and r.family == family.name]
            yield _exam(run, family, rows, before[-1] if before else None)
    known = {(r.family, r.seed, r.n_queries) for r in records if isinstance(r, FamilyPatch)}
    wanted = [*islice(_contexts(chosen), run.settings.patches)]
    for number, (family, seed, n_queries) in enumerate(wanted, 1):
        if (family.name, seed, n_queries) not in known:
            run.on_progress(f"patch {number} of {len(wanted)}: {family.name}, {n_queries} queries")
            yield _patch(run, family, seed, n_queries)


def _contexts(chosen: Sequence[Family]) -> Iterator[tuple[Family, int, int]]:
    """Every family of one seed after the other, without end; with other numbers of queries each time."""
    for seed in count():
        for number, family in enumerate(chosen):
            yield family, seed, N_CALIBRATION[(number + seed) % len(N_CALIBRATION)]


def _exam(run: _Run, family: Family, rows: tuple[ExamPatch, ...], made: FamilyChoice | None) -> FamilyExam:
    """Some rows of one family, its compiled patches ``made`` as they were before, or else chosen."""
    split = family.split()
    if made is None and run.settings.budget:
        made = _choice(_compile(run, family, split))
    recipe, layers = _recipe(family, split), "all"
    if made is not None:
        recipe = replace(recipe, **{name: getattr(made.choice, name) for name in CHOSEN})
        layers = layers_text(made.choice.layers, run.info.n_layers)
    request = Examine(
        prompt=_prompt(run, split),
        layers=layers,
        recipe=recipe,
        holdout=tuple(query.text for query in split.unseen),
        answers={query.text: query.answer for query in split.unseen},
        rows=rows,
    )
    exam = _examine(run, request)
    return FamilyExam(key=run.key, family=family.name, kind=family.kind, seed=0, exam=exam, made=made)


def _choice(found: Compilation) -> FamilyChoice:
    return FamilyChoice(
        choice=found.chosen,
        r_left_out=found.leave_one_out.r_median,
        refused=refusal(found.leave_one_out, collateral=found.collateral),
        seconds=found.seconds,
    )


def _examine(run: _Run, request: Examine) -> Exam:
    def on_event(event: Event) -> None:
        if isinstance(event, ExamRowEnded):
            run.on_progress(f"examined: {EXAM_TITLES[event.row.patch]}")

    return run_to_result.exam(run.engine, request, on_event)


def _patch(run: _Run, family: Family, seed: int, n_queries: int) -> FamilyPatch:
    """One patch, refused or not by leave-one-out alone, and what it does on the unseen queries."""
    split = family.split(seed, n_queries)
    found = _compile(run, family, split, split.unseen)
    return FamilyPatch(
        key=run.key,
        family=family.name,
        kind=family.kind,
        seed=seed,
        n_queries=n_queries,
        refused=refusal(found.leave_one_out, collateral=found.collateral),
        r_median=found.unseen.r_median if found.unseen else None,
        r_pooled=_pooled(found.unseen),
        r_left_out=found.leave_one_out.r_median,
        collateral=found.collateral.kl if found.collateral else None,
        seconds=found.seconds,
    )


def _pooled(found: Unseen | None) -> float | None:
    """R of all queries at which the context changes something, taken together."""
    if found is None or found.kl is None or not found.kl_plain:
        return None
    return 1 - found.kl / found.kl_plain


def _compile(run: _Run, family: Family, split: FamilySplit, unseen: Sequence[TaskQuery] = ()) -> Compilation:
    request = Compile(
        prompt=_prompt(run, split),
        recipe=_recipe(family, split),
        calibrate="user",
        holdout=tuple(query.text for query in unseen),
        budget=run.settings.budget,
    )
    return run_to_result.compile(run.engine, request)


def _recipe(family: Family, split: FamilySplit) -> Recipe:
    queries = tuple(query.text for query in split.calibration)
    n_fitted = N_FITTED[family.kind] if family.for_model == "general" else COMPILED.n_fitted
    return replace(COMPILED, queries=queries, n_fitted=n_fitted)


def _prompt(run: _Run, split: FamilySplit) -> Prompt:
    return Prompt(context=split.context, query=split.calibration[0].text, bos=run.settings.bos)
