"""Families that the embedded model can do: the formats and the words of its corpus, on which it was trained.

Where its lexicon has fewer than 34 items, the sets have fewer than 12 queries each.
"""

import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from icltui.demo import lexicon
from icltui.tasks.family import Family, FamilySplit, TaskQuery, by_example

_EMBEDDED: dict[str, Any] = {"for_model": "embedded", "n_examples": 8}
_ANSWERS = ("red", "blue", "green", "dax", "blikop")


def _labels() -> list[Family]:
    """Two or three categories, each with a colour or an invented word as its label."""
    names = [*combinations(lexicon.CATEGORIES, 2), *list(combinations(lexicon.CATEGORIES, 3))[:3]]
    families = []
    for number, some in enumerate(names):
        labels = [_ANSWERS[(number + k) % len(_ANSWERS)] for k in range(len(some))]
        items = [
            (word, label)
            for name, label in zip(some, labels, strict=True)
            for word in lexicon.CATEGORIES[name]
        ]
        families.append(by_example(f"labels of {', '.join(some)}", items, **_EMBEDDED))
    return families


def _function(name: str, table: Mapping[str, str], form: str = "{} ->") -> Family:
    n = (len(table) - 8) // 2
    return by_example(name, [*table.items()], form, n_queries=n, **_EMBEDDED)


def _linear(slope: int, offset: int) -> Family:
    items = [(str(x), str(slope * x + offset)) for x in range(13)]
    return by_example(
        f"f(x) = {slope}x + {offset}",
        items,
        "f({}) =",
        n_examples=5,
        n_queries=4,
        separator="; ",
        for_model="embedded",
    )


def _months(shift: int) -> Family:
    items = [(month, str((k + shift) % 12 + 1)) for k, month in enumerate(lexicon.MONTHS)]
    return by_example(f"months from {shift}", items, n_examples=4, n_queries=4, for_model="embedded")


def _recall(
    name: str, items: Sequence[tuple[str, str]], form: str, n_said: int, *, swapped: bool = False
) -> Family:
    """``n_said`` items in the context, half of them asked to calibrate, the other half unseen.

    ``swapped``: each of them has the answer of another.
    """

    def draw(rng: random.Random) -> FamilySplit:
        said = rng.sample(items, n_said)
        answers = [answer for _, answer in said]
        answers = answers[1:] + answers[:1] if swapped else answers
        queries = [
            TaskQuery(form.format(given), f" {answer}")
            for (given, _), answer in zip(said, answers, strict=True)
        ]
        ending = "." if form.endswith(" is") else ""
        context = "".join(f"{query.solved}{ending}\n" for query in queries)
        asked, half = rng.sample(queries, n_said), n_said // 2
        return FamilySplit(context, tuple(asked[:half]), tuple(asked[half:]))

    return Family(name, "fact", draw, "embedded")


_NONCE = lexicon.nonce_words(random.Random("tasks"), 48)

EMBEDDED = (
    *_labels(),
    _function("opposite", lexicon.OPPOSITES),
    _function("French", lexicon.FRENCH, "{}:"),
    _function("the word itself", {word: word for word in lexicon.OPPOSITES}),
    _linear(1, 3),
    _linear(2, 0),
    _linear(3, 1),
    _months(0),
    _months(5),
    _recall("invented words", [*zip(_NONCE[:24], _NONCE[24:], strict=True)], "{} ->", 24),
    _recall("false capitals", [*lexicon.CAPITALS.items()], "The capital of {} is", 12, swapped=True),
    _recall("false languages", [*lexicon.LANGUAGES.items()], "The language of {} is", 12, swapped=True),
    _recall("false opposites", [*lexicon.OPPOSITES.items()], "The opposite of {} is", 12, swapped=True),
)
