"""What a study is: an experiment with a question, on prompts that icltui makes itself.

Enters: the settings that all studies share. Leaves: the study of a name, ready to run.
"""

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from msgspec.structs import replace

from icltui.api.messages import DEMO, LoadModel
from icltui.experiment.experiment import Experiment, ItemT, RowT_co
from icltui.experiment.experiment_folder import models_asked
from icltui.storage.checkpoint_folders import checkpoint_folders
from icltui.studies.catalogue import study_entry
from icltui.tasks.family import ForModel
from icltui.values import ModelInfo
from icltui.values.bounds import Count
from icltui.values.errors import BadInput, IcltuiError
from icltui.values.results import ResultRow, Summary, SummaryFigure, SummaryTable

OneT = TypeVar("OneT")
RowT = TypeVar("RowT", bound="StudyRow")
Plain = Mapping[str, Any]
"""A row as a folder gives it back."""
_MOST_ERRORS = 20


@dataclass(frozen=True)
class StudySettings:
    """What all studies share."""

    load: LoadModel = field(default_factory=LoadModel)
    """The model, its dtype and its device."""
    revisions: tuple[str, ...] = ()
    """Branches, tags or commits of the model, or checkpoints in its folder, one after the other; none: that of
    ``load``, or all checkpoints in its folder."""
    n: int | None = None
    """How many prompts, or what the study counts; None: the study's own number."""
    seed: int = 0
    """Seed of the prompts, of controls and of resamples."""

    def models(self) -> list[LoadModel]:
        """The model of each revision.

        Raises:
            BadInput: a checkpoint that is not in the folder.
        """
        if folders := checkpoint_folders(self.load.model):
            names = self.revisions or tuple(folders)
            if missing := [name for name in names if name not in folders]:
                raise BadInput(f"no {missing[0]!r} in {self.load.model!r}: choose from {', '.join(folders)}")
            return [replace(self.load, model=str(folders[name])) for name in names]
        if not self.revisions:
            return [self.load]
        return [replace(self.load, revision=revision) for revision in self.revisions]


class StudyRow(ResultRow, frozen=True):
    """Base of a study's rows."""

    model: str = ""
    revision: str | None = None
    number: Count = 0
    """Of the prompt among the study's."""


class Study(Experiment[ItemT, RowT_co], Protocol):
    """An experiment that is listed by name."""

    @property
    def question(self) -> str:
        """What it asks, in one sentence."""
        ...

    @property
    def shows_not(self) -> tuple[str, ...]:
        """What it does not show, a sentence each."""
        ...

    @property
    def settings(self) -> StudySettings:
        """What was asked for."""
        ...


@dataclass(frozen=True)
class StudyBase:
    """What studies have in common; a subclass adds ``row_type``, ``items``, ``run`` and ``add_up``."""

    settings: StudySettings = StudySettings()
    kind: ClassVar[str]
    shows_not: ClassVar[tuple[str, ...]]
    usual_n: ClassVar[int]

    @property
    def question(self) -> str:
        """The catalogue's."""
        return study_entry(self.kind).question

    @property
    def n(self) -> int:
        """The number asked for, or the study's own."""
        return self.usual_n if self.settings.n is None else self.settings.n

    def asked(self) -> Mapping[str, object]:
        """The settings, their number resolved, in plain JSON."""
        settings = self.settings
        return {
            "study": self.kind,
            "model": models_asked([settings.load])[0],
            "revisions": list(settings.revisions),
            "n": self.n,
            "seed": settings.seed,
        }

    def models(self) -> Sequence[LoadModel]:
        """The model of each revision."""
        return self.settings.models()

    @abstractmethod
    def add_up(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """What the rows that hold a result add up to."""

    def summarise(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """The same, and why other rows hold none."""
        made = self.add_up(rows)
        errors = Counter(str(row["error"]) for row in rows if row["error"] is not None)
        return replace(made, tables=(*made.tables, _errors_table(errors))) if errors else made

    def summary(
        self,
        rows: Sequence[Plain],
        answer: Sequence[str],
        tables: Sequence[SummaryTable],
        figures: Sequence[SummaryFigure] = (),
    ) -> Summary:
        """The summary with what all studies say."""
        return Summary(
            title=f"Study: {self.kind}",
            question=self.question,
            answer=tuple(answer),
            shows_not=self.shows_not,
            tables=tuple(tables),
            figures=tuple(figures),
            n_rows=len(rows),
            n_failed=sum(row["error"] is not None for row in rows),
        )


def _errors_table(errors: Counter[str]) -> SummaryTable:
    left = len(errors) - _MOST_ERRORS
    return SummaryTable(
        title="Rows without a result",
        columns=("rows", "why"),
        rows=tuple((n, error) for error, n in errors.most_common(_MOST_ERRORS)),
        note=f"{left} more kinds of errors." if left > 0 else "",
    )


def rows_of_each(
    row_type: type[RowT],
    model: ModelInfo,
    items: Sequence[tuple[str, OneT]],
    rows_of: Callable[[OneT], Sequence[RowT]],
) -> Iterator[list[RowT]]:
    """The rows of each item, with its key, the model and their part; where it fails, one row with the error."""
    for key, item in items:
        try:
            rows = rows_of(item)
        except IcltuiError as error:
            rows = [row_type(key=key, error=" ".join(str(error).split()))]
        yield [
            replace(row, key=key, part=part, model=model.name, revision=model.revision)
            for part, row in enumerate(rows)
        ]


def by_model(rows: Sequence[Plain]) -> dict[str, list[Plain]]:
    """The rows that hold a result, by model and revision, in the order of their names: a folder has its rows in any."""
    groups: dict[str, list[Plain]] = {}
    for row in rows:
        if row["error"] is None:
            name = row["model"] if row["revision"] is None else f"{row['model']} {row['revision']}"
            groups.setdefault(name, []).append(row)
    return dict(sorted(groups.items(), key=lambda group: by_number(group[0])))


class ModelFindings(NamedTuple):
    """What one model's rows add up to."""

    answer: Sequence[str] = ()
    tables: Sequence[SummaryTable] = ()
    figures: Sequence[SummaryFigure] = ()


def findings_by_model(
    rows: Sequence[Plain], find: Callable[[Sequence[Plain]], ModelFindings]
) -> ModelFindings:
    """The findings of every model, each with the model's name; figures are numbered, as their names are files."""
    found = {name: find(some) for name, some in by_model(rows).items()}
    return ModelFindings(
        [f"{name}: {sentence}" for name, of in found.items() for sentence in of.answer],
        [replace(table, title=f"{name}: {table.title}") for name, of in found.items() for table in of.tables],
        [
            replace(figure, name=f"{figure.name}-{number}", title=f"{figure.title}, {name}")
            for number, (name, of) in enumerate(found.items(), 1)
            for figure in of.figures
        ],
    )


def by_number(name: str) -> list[tuple[int, str]]:
    """A name's place in an order where numbers in names count as numbers.

    >>> sorted(["step-10", "step-9", "main"], key=by_number)
    ['main', 'step-9', 'step-10']
    """
    return [(int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]


_EMBEDDED_SHAPE = ("Qwen3ForCausalLM", 6, 128, 1_312_768)
"""Architecture, layers, width and parameters of the embedded model, and so of every checkpoint of its training."""


def prompts_for(model: ModelInfo) -> ForModel:
    """Whose words the prompts are made of: the embedded model knows few, and so do its checkpoints."""
    shape = model.architecture, model.n_layers, model.hidden_size, model.n_parameters
    return "embedded" if model.name == DEMO or shape == _EMBEDDED_SHAPE else "general"


def load_study(name: str, settings: StudySettings) -> Study[Any, Any]:
    """The study of that name.

    Raises:
        BadInput: there is none.
    """
    module, _, made = study_entry(name).place.partition(":")
    study: Study[Any, Any] = getattr(import_module(f"icltui.studies.{module}"), made)(settings)
    return study
