"""Facts that a model may know, each with a false answer that a context states.

A number and a seed enter; :class:`Contradiction` values leave, no two about one subject.
"""

import random
from dataclasses import dataclass

from icltui.demo import lexicon

_TOPICS = (
    ("capital", "The capital of {} is", lexicon.CAPITALS),
    ("language", "The language of {} is", lexicon.LANGUAGES),
    ("colour", "The colour of {} is", lexicon.COLOUR_OF),
    ("opposite", "The opposite of {} is", lexicon.OPPOSITES),
)
"""Facts of the embedded model's corpus, which are known to other models too."""


@dataclass(frozen=True)
class Contradiction:
    """One fact, and what a context says instead."""

    topic: str
    subject: str
    query: str
    """What the answer continues."""
    own: str
    """The right answer, with the space before it."""
    said: str
    """The context's answer: one that is right for another subject of the topic."""
    statement: str
    """A line of the context."""
    mention: str
    """The same line about a subject that is not asked about, whose answer it is not either."""


def contradictions(n: int, seed: int = 0) -> list[Contradiction]:
    """At most ``n`` contradictions, the topics in turns until one has no more subjects.

    The first ones of a larger ``n`` are the same.
    """
    chance = random.Random(f"contradictions {seed}")
    orders = [chance.sample([*facts], len(facts)) for _, _, facts in _TOPICS]
    turns = [
        (topic, order[k])
        for k in range(max(map(len, orders)))
        for topic, order in zip(_TOPICS, orders, strict=True)
        if k < len(order)
    ]
    return [_contradiction(chance, *topic, subject) for topic, subject in turns[:n]]


def _contradiction(
    chance: random.Random, topic: str, form: str, facts: dict[str, str], subject: str
) -> Contradiction:
    said = chance.choice(sorted({answer for answer in facts.values() if answer != facts[subject]}))
    other = chance.choice([one for one in facts if one != subject and facts[one] != said])
    query = form.format(subject)
    return Contradiction(
        topic=topic,
        subject=subject,
        query=query,
        own=f" {facts[subject]}",
        said=f" {said}",
        statement=f"{query} {said}.\n",
        mention=f"{form.format(other)} {said}.\n",
    )
