"""Series of solved examples and a query after them, from the families of words; and the same with answers at random.

A kind of model, a number and a seed enter; as many series leave, of all families in turn.
"""

import random
from dataclasses import dataclass

from icltui.tasks.catalogue import families
from icltui.tasks.family import Family, ForModel, TaskQuery

N_EXAMPLES = {"general": 16, "embedded": 12}
"""Examples of each series."""


@dataclass(frozen=True)
class ExampleSeries:
    """``examples`` follow each other, then comes ``query``."""

    family: str
    examples: tuple[str, ...]
    """Solved, each with what joins it to the next."""
    reordered: tuple[str, ...]
    """The same examples in another order."""
    shuffled: tuple[str, ...]
    """The same inputs, each with the answer of another example: a control."""
    query: str
    answer: str


def example_series(for_model: ForModel, n: int, seed: int) -> tuple[ExampleSeries, ...]:
    """The first ``n``; those of fewer are the first of those of more."""
    usable = [family for family in families(for_model) if _has_enough(family, for_model)]
    return tuple(
        _series(usable[number % len(usable)], for_model, seed, number // len(usable)) for number in range(n)
    )


def _queries(family: Family, seed: int) -> tuple[str, list[TaskQuery]]:
    """What joins two examples, and all queries of the split."""
    split = family.split(seed)
    return split.context[-1], [*split.calibration, *split.unseen]


def _has_enough(family: Family, for_model: ForModel) -> bool:
    joint, queries = _queries(family, 0)
    is_on_one_line = joint not in queries[0].solved  # so that the joints alone part the examples
    return family.kind == "word" and is_on_one_line and len(queries) > N_EXAMPLES[for_model]


def _series(family: Family, for_model: ForModel, seed: int, number: int) -> ExampleSeries:
    joint, queries = _queries(family, seed + number)
    chance = random.Random(f"{family.name} {seed} {number}")
    shown, asked = queries[: N_EXAMPLES[for_model]], queries[-1]
    answers = [query.answer for query in chance.sample(shown, len(shown))]
    wrong = [TaskQuery(query.text, answer) for query, answer in zip(shown, answers, strict=True)]
    return ExampleSeries(
        family=family.name,
        examples=_solved(shown, joint),
        reordered=_solved(chance.sample(shown, len(shown)), joint),
        shuffled=_solved(wrong, joint),
        query=asked.text,
        answer=asked.answer,
    )


def _solved(queries: list[TaskQuery], joint: str) -> tuple[str, ...]:
    """The examples; the first begins without the space that would join it to one before."""
    solved = [query.solved + joint for query in queries]
    return (solved[0].lstrip(" "), *solved[1:])
