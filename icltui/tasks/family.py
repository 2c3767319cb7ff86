"""A family of queries that one context answers: what the context is, what is asked, what the right answers are.

A family and a seed enter; a :class:`FamilySplit` leaves: the context, its calibration queries and its unseen ones, no
two with the same input. Equal seeds give equal splits.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

Kind = Literal["word", "form", "fact"]
"""A function of words; a form or manner of the answer; facts that the context alone tells."""
ForModel = Literal["general", "embedded"]

N_QUERIES = 12
"""Of each of the two sets, where a family has as many."""
MOST_CLASSES = 4
"""Up to so many different answers are classes: of each there is a like share in every set."""


@dataclass(frozen=True)
class TaskQuery:
    """``text`` is continued by ``answer``, which begins with the space that its first token has."""

    text: str
    answer: str

    @property
    def solved(self) -> str:
        """The query with its answer, as an example shows it."""
        return self.text + self.answer


@dataclass(frozen=True)
class FamilySplit:
    """One context, and two sets of queries that it answers."""

    context: str
    calibration: tuple[TaskQuery, ...]
    unseen: tuple[TaskQuery, ...]


@dataclass(frozen=True)
class Family:
    """A task: its name, its kind, the models that it is made for, and a split for each generator."""

    name: str
    kind: Kind
    draw: Callable[[random.Random], FamilySplit]
    for_model: ForModel = "general"

    def split(self, seed: int = 0, n_calibration: int | None = None) -> FamilySplit:
        """The split of ``seed``, with all of its calibration queries or the first ``n_calibration``."""
        drawn = self.draw(random.Random(f"{self.name} {seed}"))
        return replace(drawn, calibration=drawn.calibration[:n_calibration])


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Inputs and answers of ``in:out in:out …``, or of one pair on each line.

    >>> pairs("hot:cold big:small")
    (('hot', 'cold'), ('big', 'small'))
    """
    parts = text.strip().split("\n") if "\n" in text.strip() else text.split()
    halves = (part.strip().partition(":") for part in parts)
    return tuple((given, answer.lstrip()) for given, _, answer in halves)


def by_example(
    name: str,
    items: Sequence[tuple[str, str]],
    form: str = "{} ->",
    *,
    kind: Kind = "word",
    n_examples: int = 10,
    n_queries: int = N_QUERIES,
    separator: str = "\n",
    right: str | None = None,
    for_model: ForModel = "general",
) -> Family:
    """The family whose context is ``n_examples`` items solved in ``form``, each followed by ``separator``.

    A space at the separator's end goes to the query, as the tokenizer has it. ``right`` is what an answer must begin
    with, where that is less than the item's own.
    """

    def draw(rng: random.Random) -> FamilySplit:
        queries = [TaskQuery(form.format(given), f" {answer}") for given, answer in _mixed(items, rng)]
        joint = separator.rstrip(" ")
        context = separator.join(query.solved for query in queries[:n_examples]) + joint
        space = separator[len(joint) :]
        asked = [
            TaskQuery(space + query.text, query.answer if right is None else f" {right}")
            for query in queries[n_examples:]
        ]
        return FamilySplit(context, tuple(asked[:n_queries]), tuple(asked[n_queries : 2 * n_queries]))

    return Family(name, kind, draw, for_model)


def _mixed(items: Sequence[tuple[str, str]], rng: random.Random) -> list[tuple[str, str]]:
    """The items in random order; those of a few classes in turns."""
    drawn = rng.sample(items, len(items))
    classes: dict[str, list[tuple[str, str]]] = {}
    for item in drawn:
        classes.setdefault(item[1], []).append(item)
    return drawn if len(classes) > MOST_CLASSES else list(_in_turns([*classes.values()], rng))


def _in_turns(classes: Sequence[Sequence[tuple[str, str]]], rng: random.Random) -> Iterator[tuple[str, str]]:
    """One item of each class at a time, the classes in another order each time, so that the order tells nothing."""
    for turn in zip_longest(*classes):
        here = [item for item in turn if item is not None]
        yield from rng.sample(here, len(here))
