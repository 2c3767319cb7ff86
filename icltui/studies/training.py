"""The study *training*: in-context learning over the checkpoints of a training.

Enters: revisions of a hub model, or a folder of checkpoints. Leaves: for each checkpoint a row for each text, each
prompt, and the heads. A model without checkpoints is one checkpoint.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from msgspec.structs import replace

import icltui
from icltui.demo.task_families import FAMILIES
from icltui.engine.checkpoints.measure import context_effect, strongest_heads, text_losses
from icltui.engine.local import LocalEngine
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import tokenize
from icltui.experiment.item_key import item_key
from icltui.storage.checkpoint_folders import checkpoint_folders, step_of
from icltui.studies.study import StudyBase, prompts_for
from icltui.studies.training_summary import summarise_training
from icltui.tasks.catalogue import families
from icltui.values import ModelInfo
from icltui.values.base import Record
from icltui.values.errors import BadInput, IcltuiError
from icltui.values.prompt import Prompt
from icltui.values.results import Summary
from icltui.values.training import TrainingItem, TrainingRow

N_TOKENS = 384
"""Positions of a text."""
_N_QUESTIONS = 48
"""Of a document of the embedded model's corpus, so that it is long."""
_MOST_DRAWN = 10_000
"""Documents among which long ones are looked for."""


class TrainingTask(Record, frozen=True):
    """One item."""

    what: TrainingItem
    name: str = ""
    text: str = ""
    """A text, or a prompt's context."""
    query: str = ""
    answer: str = ""


@dataclass(frozen=True)
class TrainingStudy(StudyBase):
    """Implements :class:`icltui.studies.study.Study`; ``n`` counts texts, and prompts."""

    kind: ClassVar[str] = "training"
    row_type: ClassVar[type[TrainingRow]] = TrainingRow
    usual_n: ClassVar[int] = 24
    shows_not: ClassVar[tuple[str, ...]] = (
        "Heads that appear when the score falls need not cause it: for that, heads would have to be taken out.",
        "‖ΔW‖ is of the context's change at one token, whatever it is good for: it is large in an untrained model too.",
        "Losses at late positions are also those of longer texts than a training may have had so far.",
        "One training, with one seed: when a phase change comes is not a law of the architecture.",
    )

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, TrainingTask]]:
        """The texts, the prompts, and the heads; alike for every checkpoint with one tokenizer.

        Raises:
            BadInput: no text is as long as is needed.
        """
        assert engine.loaded is not None
        kind, seed = prompts_for(model), self.settings.seed
        texts = _own_texts if kind == "embedded" else _general_texts
        tasks = [*texts(engine.loaded, self.n, seed), TrainingTask(what="heads", name="heads")]
        known = [*families(kind)]
        random.Random(f"training {seed}").shuffle(known)
        for number in range(self.n):
            family = known[number % len(known)]
            split = family.split(seed + number // len(known))
            query = split.unseen[0]
            tasks.append(
                TrainingTask(
                    what="prompt",
                    name=family.name,
                    text=split.context,
                    query=query.text,
                    answer=query.answer,
                )
            )
        return [
            (item_key(self.kind, model, (task, N_TOKENS, seed, number)), task)
            for number, task in enumerate(tasks)
        ]

    def run(
        self, engine: LocalEngine, model: ModelInfo, items: Sequence[tuple[str, TrainingTask]]
    ) -> Iterator[Sequence[TrainingRow]]:
        """One row for each item."""
        assert engine.loaded is not None
        for key, task in items:
            try:
                row = self._measure(engine.loaded, task)
            except IcltuiError as error:
                row = TrainingRow(key=key, what=task.what, error=" ".join(str(error).split()))
            name, revision = self._place(model)
            yield [
                replace(row, key=key, model=name, revision=revision, step=step_of(revision), name=task.name)
            ]

    def _measure(self, loaded: LoadedModel, task: TrainingTask) -> TrainingRow:
        if task.what == "text":
            return text_losses(loaded, task.text, N_TOKENS)
        if task.what == "heads":
            return strongest_heads(loaded, self.settings.seed)
        return context_effect(loaded, Prompt(context=task.text, query=task.query), task.answer)

    def _place(self, model: ModelInfo) -> tuple[str, str]:
        """The training that the model belongs to, and which of its checkpoints it is."""
        asked = self.settings.load.model
        if checkpoint_folders(asked):
            return Path(asked).name, Path(model.name).name
        return model.name, model.revision or ""

    def add_up(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """The marks of each checkpoint, and the loss by position and step with its derivatives."""
        return summarise_training(rows, self.question, self.shows_not)


def _own_texts(loaded: LoadedModel, n: int, seed: int) -> Iterator[TrainingTask]:
    """Long documents of the embedded model's corpus, which no training seed made."""
    rng, found = random.Random(f"training study {seed}"), 0
    for _ in range(_MOST_DRAWN):
        name = rng.choice([*FAMILIES])
        text = FAMILIES[name][1](rng).document(rng, _N_QUESTIONS)
        if found < n and _is_long(loaded, text):
            found += 1
            yield TrainingTask(what="text", name=name, text=text)
        if found == n:
            return


def _general_texts(loaded: LoadedModel, n: int, seed: int) -> Iterator[TrainingTask]:  # noqa: ARG001
    """The passages of the ordinary text that come with icltui, those that are long enough."""
    passages = (Path(icltui.__file__).parent / "background.txt").read_text("utf-8").split("\f")
    found = [text for text in passages if _is_long(loaded, text)]
    if not found:
        raise BadInput(f"no ordinary text has {N_TOKENS} tokens in this model: choose another model")
    for text in found[:n]:
        yield TrainingTask(what="text", name="ordinary text", text=text)


def _is_long(loaded: LoadedModel, text: str) -> bool:
    return len(tokenize(loaded, Prompt(query=text))[0].query) >= N_TOKENS
