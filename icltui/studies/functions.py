"""The study *functions*: in-context linear regression by one block, the setting of the theory's own experiments.

Each item trains a block of its own; the model of the settings is not used. Source: [1] sections 4 and 5.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from msgspec.structs import replace

from icltui.api.messages import LoadModel
from icltui.engine.functions.measure import measure_functions
from icltui.engine.functions.train import Setting
from icltui.engine.local import LocalEngine
from icltui.experiment.item_key import item_key
from icltui.studies.functions_summary import TRAININGS, summarise_functions
from icltui.studies.study import StudyBase
from icltui.values import ModelInfo
from icltui.values.errors import BadInput, IcltuiError
from icltui.values.functions import FunctionsRow
from icltui.values.results import Summary


@dataclass(frozen=True)
class FunctionsStudy(StudyBase):
    """Implements :class:`icltui.studies.study.Study`; ``n`` counts seeds."""

    kind: ClassVar[str] = "functions"
    row_type: ClassVar[type[FunctionsRow]] = FunctionsRow
    usual_n: ClassVar[int] = 3
    shows_not: ClassVar[tuple[str, ...]] = (
        "That the two losses coincide is the theorem, which holds for any weights: the untrained block's would too.",
        "That implicit steps shrink like 1/i is no sign of learning: attention averages over i + 1 tokens, and the "
        "untrained block's shrink alike.",
        "One block without a norm on noiseless functions of two numbers says nothing of a language model.",
        "The gradient steps see each example once, at one learning rate, in the one matrix that ΔW changes.",
    )

    def __post_init__(self) -> None:
        if self.settings.load != LoadModel() or self.settings.revisions:
            raise BadInput("the study functions trains a block of its own: leave the model's options out")

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, Setting]]:  # noqa: ARG002
        """A training on all examples and one on any number of them, for each seed."""
        settings = [
            Setting(trained_on=trained_on, seed=self.settings.seed + number)
            for number in range(self.n)
            for trained_on in TRAININGS
        ]
        return [(item_key(self.kind, model, setting), setting) for setting in settings]

    def run(
        self,
        engine: LocalEngine,  # noqa: ARG002
        model: ModelInfo,  # noqa: ARG002
        items: Sequence[tuple[str, Setting]],
    ) -> Iterator[Sequence[FunctionsRow]]:
        """One row for each training."""
        for key, setting in items:
            try:
                yield [replace(measure_functions(setting), key=key)]
            except IcltuiError as error:
                yield [
                    FunctionsRow(
                        key=key,
                        seed=setting.seed,
                        trained_on=setting.trained_on,
                        error=" ".join(str(error).split()),
                    )
                ]

    def add_up(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """Losses by number of examples, the steps' power laws, and the papers' three figures."""
        return summarise_functions(rows, self.question, self.shows_not)
