"""The study *finetune*: the same examples given in the context and trained on, compared inside each layer."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from msgspec.structs import replace

from icltui.engine.finetune.compare import FineTuneCase, compare
from icltui.engine.local import LocalEngine
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.trial.prompt import TrialPrompt, trial_prompt
from icltui.experiment.item_key import item_key
from icltui.studies.finetune_summary import summarise_finetune
from icltui.studies.study import StudyBase, prompts_for
from icltui.tasks.catalogue import families
from icltui.tasks.family import Family, TaskQuery
from icltui.values import ModelInfo
from icltui.values.base import Record
from icltui.values.errors import IcltuiError
from icltui.values.finetune import FineTuneRow
from icltui.values.prompt import Prompt
from icltui.values.results import Summary

N_EXAMPLES = 8
STEPS = (1, 2, 4, 8, 16)
MOST_LAYERS = 8
"""Deeper models are trained in four layers, at the ends of their quarters."""


class FineTuneItem(Record, frozen=True):
    """One prompt: examples of a task, a query, and examples of another task."""

    task: str
    examples: tuple[tuple[str, str], ...]
    """Queries with their answers."""
    shuffled: tuple[str, ...]
    """The examples' answers, none of them with its own query where they can be told apart."""
    others: tuple[tuple[str, str], ...]
    query: str
    answer: str


@dataclass(frozen=True)
class FineTuneStudy(StudyBase):
    """Implements :class:`icltui.studies.study.Study`."""

    kind: ClassVar[str] = "finetune"
    row_type: ClassVar[type[FineTuneRow]] = FineTuneRow
    usual_n: ClassVar[int] = 12
    shows_not: ClassVar[tuple[str, ...]] = (
        "It compares directions at the query's last token alone: two changes that agree there may differ elsewhere.",
        "Training is plain gradient descent on the matrices that read z; another optimiser, or all weights, may move "
        "otherwise.",
        "±1/√m holds for random directions; those of a model are few, so that the measured null levels count.",
        "A cosine near 0 is no proof that the two do different things: layers can reach one end by different ways.",
    )

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, FineTuneItem]]:  # noqa: ARG002
        """Prompts of one family after the other, with other words each time round."""
        items = make_items([*families(prompts_for(model))], self.n, self.settings.seed)
        return [(item_key(self.kind, model, [item, STEPS]), item) for item in items]

    def run(
        self, engine: LocalEngine, model: ModelInfo, items: Sequence[tuple[str, FineTuneItem]]
    ) -> Iterator[Sequence[FineTuneRow]]:
        """A row for each layer of each item."""
        loaded = engine.loaded
        assert loaded is not None
        sites = [loaded.sites[at] for at in chosen_layers(len(loaded.sites))]
        for key, item in items:
            about: dict[str, Any] = {
                "key": key,
                "model": model.name,
                "revision": model.revision,
                "task": item.task,
            }
            try:
                found = compare(loaded, sites, make_case(loaded, item), STEPS)
                yield [replace(row, **about) for row in found]
            except IcltuiError as error:
                yield [FineTuneRow(**about, error=" ".join(str(error).split()))]

    def add_up(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """The cosines by layer and step beside their null levels, and the query's loss by steps."""
        return summarise_finetune(rows, self.question, self.shows_not)


def chosen_layers(n_layers: int) -> list[int]:
    """All layers of a shallow model, else the last ones of its four quarters.

    >>> chosen_layers(3), chosen_layers(30)
    ([0, 1, 2], [6, 14, 21, 29])
    """
    if n_layers <= MOST_LAYERS:
        return [*range(n_layers)]
    return [n_layers * quarter // 4 - 1 for quarter in (1, 2, 3, 4)]


def make_items(tasks: Sequence[Family], n: int, seed: int) -> list[FineTuneItem]:
    """``n`` prompts, each of the next family that has examples enough, in the order of ``seed``."""
    usable = [task for task in tasks if _has_enough(task)]
    random.Random(f"finetune {seed}").shuffle(usable)
    items = []
    for number in range(n):
        task = usable[number % len(usable)]
        round_seed = seed + number // len(usable)
        split = task.split(round_seed)
        other = usable[(number + len(usable) // 2) % len(usable)].split(round_seed)
        examples = split.calibration[:N_EXAMPLES]
        rng = random.Random(f"finetune {round_seed} {task.name}")
        items.append(
            FineTuneItem(
                task=task.name,
                examples=tuple(_pair(example) for example in examples),
                shuffled=shuffle_answers([example.answer for example in examples], rng),
                others=tuple(_pair(example) for example in other.calibration[:N_EXAMPLES]),
                query=split.unseen[0].text,
                answer=split.unseen[0].answer,
            )
        )
    return items


def _has_enough(task: Family) -> bool:
    """Whether a context of a function of words can be made; facts cannot be trained on and asked of unseen."""
    if task.kind != "word":
        return False
    split = task.split(0)
    return (
        len(split.calibration) >= N_EXAMPLES and len({q.answer for q in split.calibration[:N_EXAMPLES]}) > 1
    )


def _pair(query: TaskQuery) -> tuple[str, str]:
    return query.text, query.answer


def shuffle_answers(answers: Sequence[str], rng: random.Random) -> tuple[str, ...]:
    """The answers in the order, of a hundred, that leaves the fewest with their own query."""
    orders = [rng.sample(answers, len(answers)) for _ in range(100)]
    return tuple(min(orders, key=lambda order: sum(map(str.__eq__, order, answers))))


def make_case(loaded: LoadedModel, item: FineTuneItem) -> FineTuneCase:
    """The item in the model's terms.

    Raises:
        BadInput: a prompt that is too long for the model.
    """
    context = "".join(f"{query}{answer}\n" for query, answer in item.examples)
    shuffled = [(query, answer) for (query, _), answer in zip(item.examples, item.shuffled, strict=True)]
    return FineTuneCase(
        trial_prompt(loaded, Prompt(context=context, query=item.query), item.answer),
        *(_examples(loaded, pairs) for pairs in (item.examples, shuffled, item.others)),
    )


def _examples(loaded: LoadedModel, pairs: Sequence[tuple[str, str]]) -> tuple[TrialPrompt, ...]:
    return tuple(trial_prompt(loaded, Prompt(query=query), answer) for query, answer in pairs)
