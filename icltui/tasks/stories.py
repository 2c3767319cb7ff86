"""A question about a person's room, after contexts that answer it, are about the like, or are about something else.

A kind of model, a number and a seed enter; as many questions leave. The words are the embedded model's, which every
model knows; the query has the form of its corpus, and is shorter for others.
"""

import random
from dataclasses import dataclass

from icltui.demo import lexicon
from icltui.tasks.family import ForModel

N_SENTENCES = 4
"""Sentences of each context."""
_QUERIES = {"embedded": "Where is {0}? {0} is in the", "general": "{0} is in the"}
_MANNERS = ("{} is in the {}.", "{} went to the {}.")


@dataclass(frozen=True)
class StoryQuestion:
    """``contexts`` by how relevant they are; ``query`` is continued by ``answer`` where the context tells it."""

    query: str
    answer: str
    contexts: dict[str, str]
    """``relevant`` says where the person is; ``tangential`` where others are; ``irrelevant`` tells capitals."""


def story_questions(for_model: ForModel, n: int, seed: int) -> tuple[StoryQuestion, ...]:
    """The first ``n``, each with people and places of its own."""
    query = _QUERIES[for_model]
    return tuple(_question(query, random.Random(f"stories {seed} {number}")) for number in range(n))


def _question(query: str, chance: random.Random) -> StoryQuestion:
    person, *others = chance.sample(lexicon.NAMES, 2 * N_SENTENCES)
    place, *places = chance.sample(lexicon.PLACES, 2 * N_SENTENCES)
    tangential = [
        chance.choice(_MANNERS).format(*pair)
        for pair in zip(others[:N_SENTENCES], places[:N_SENTENCES], strict=True)
    ]
    relevant = [*tangential]
    # In the second half, since contexts lose tokens from the left to be of equal length.
    relevant[chance.randrange(N_SENTENCES // 2, N_SENTENCES)] = chance.choice(_MANNERS).format(person, place)
    capitals = chance.sample([*lexicon.CAPITALS.items()], N_SENTENCES)
    irrelevant = [f"The capital of {country} is {capital}." for country, capital in capitals]
    contexts = {"relevant": relevant, "tangential": tangential, "irrelevant": irrelevant}
    return StoryQuestion(
        query.format(person),
        f" {place}",
        {name: "".join(f"{sentence}\n" for sentence in some) for name, some in contexts.items()},
    )
