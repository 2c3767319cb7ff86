"""What a study is: an experiment with a question, on prompts that icltui makes itself.

Enters: the settings that all studies share. Leaves: the study of a name, ready to run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, Protocol

from msgspec.structs import replace

from icltui.api.messages import DEMO, LoadModel
from icltui.experiment.experiment import Experiment, ItemT, RowT_co
from icltui.experiment.experiment_folder import models_asked
from icltui.studies.catalogue import study_entry
from icltui.tasks.family import ForModel
from icltui.values import ModelInfo


@dataclass(frozen=True)
class StudySettings:
    """What all studies share."""

    load: LoadModel = field(default_factory=LoadModel)
    """The model, its dtype and its device."""
    revisions: tuple[str, ...] = ()
    """Branches, tags or commits of the model, one after the other; none: that of ``load``."""
    n: int | None = None
    """How many prompts, or what the study counts; None: the study's own number."""
    seed: int = 0
    """Seed of the prompts, of controls and of resamples."""

    def models(self) -> list[LoadModel]:
        """The model of each revision."""
        if not self.revisions:
            return [self.load]
        return [replace(self.load, revision=revision) for revision in self.revisions]


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
    """What studies have in common; a subclass adds ``row_type``, ``items``, ``run`` and ``summarise``."""

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


def prompts_for(model: ModelInfo) -> ForModel:
    """Whose words the prompts are made of: the embedded model knows few."""
    return "embedded" if model.name == DEMO else "general"


def load_study(name: str, settings: StudySettings) -> Study[Any, Any]:
    """The study of that name.

    Raises:
        BadInput: there is none.
    """
    module, _, made = study_entry(name).place.partition(":")
    study: Study[Any, Any] = getattr(import_module(f"icltui.studies.{module}"), made)(settings)
    return study
