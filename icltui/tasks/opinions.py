"""Questions on which several people say different things: no answer is right, so that only the context decides.

A kind of model, a number and a seed enter; :class:`Dispute` values leave, no two alike.
"""

import random
from dataclasses import dataclass

from icltui.demo import lexicon
from icltui.tasks.family import ForModel

_NAMES = "Anna Ben Clara David Emma Frank Helen James Laura Mark Nina Oscar Paula Robert Sarah Tom".split()
_ROOMS = "kitchen garden office library cellar hall garage bedroom".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_FOODS = "rice pasta soup fish pizza salad bread chicken".split()
_COLOURS = "red blue green yellow white black brown grey".split()
_ANIMALS = "cat dog horse rabbit bird mouse snake fish".split()
_SAYS = "{{}} says that {0} {{}}.\n"


@dataclass(frozen=True)
class Topic:
    """What is asked, and what may be said of it."""

    name: str
    opinion: str
    """A line with a place for the speaker, or for nothing, and one for the option."""
    query: str
    """What the option continues."""
    options: tuple[str, ...]


@dataclass(frozen=True)
class Dispute:
    """Two options of one question, in lines that each speaker says."""

    topic: str
    query: str
    """What the option continues."""
    first: str
    """The option A, with the space before it."""
    second: str
    """The option B."""
    first_lines: tuple[str, ...]
    """Lines for A, each by another speaker."""
    second_lines: tuple[str, ...]
    """Lines for B."""
    unrelated: str
    """A line about something else."""


def _says(name: str, start: str, options: list[str]) -> Topic:
    return Topic(name, _SAYS.format(start), f"So {start}", tuple(options))


_GENERAL = (
    _says("colour", "the door is", _COLOURS),
    _says("day", "the meeting is on", _DAYS),
    _says("room", "the key is in the", _ROOMS),
    _says("food", "the dinner is", _FOODS),
    _says("animal", "the pet is a", _ANIMALS),
)
_UNRELATED = (
    "The train leaves at noon.\n",
    "Water boils at a hundred degrees.\n",
    "The book has three hundred pages.\n",
    "Many trees lose their leaves in autumn.\n",
    "The bridge was built long ago.\n",
    "A week has seven days.\n",
)
_UNRELATED_EMBEDDED = (
    "The colour of grass is green.\n",
    "The opposite of hot is cold.\n",
    "The language of Spain is Spanish.\n",
    "The colour of snow is white.\n",
    "The opposite of big is small.\n",
)


def disputes(for_model: ForModel, n: int, seed: int = 0) -> list[Dispute]:
    """``n`` different disputes, the topics in turns; the first ones of a larger ``n`` are the same."""
    chance = random.Random(f"opinions {seed}")
    draw = _general if for_model == "general" else _embedded
    found: dict[Dispute, None] = {}
    while len(found) < n:
        found[draw(chance, len(found))] = None
    return list(found)


def _general(chance: random.Random, number: int) -> Dispute:
    topic = _GENERAL[number % len(_GENERAL)]
    first, second = chance.sample(topic.options, 2)
    names = chance.sample(_NAMES, 6)
    lines = [
        topic.opinion.format(name, option) for name, option in zip(names, (first, second) * 3, strict=True)
    ]
    return Dispute(
        topic.name,
        topic.query,
        f" {first}",
        f" {second}",
        tuple(lines[::2]),
        tuple(lines[1::2]),
        chance.choice(_UNRELATED),
    )


def _embedded(chance: random.Random, number: int) -> Dispute:
    """The lines of its corpus, which has no speakers: who agrees says the same again."""
    kind, end = number % 3, ".\n"
    if kind == 0:
        person = chance.choice(lexicon.NAMES)
        name, form, options = "place", f"{person} is in the", lexicon.PLACES
        query = f"Where is {person}? {form}"
    elif kind == 1:
        name, options = "capital", [*lexicon.CAPITALS.values()]
        query = form = f"The capital of {chance.choice([*lexicon.CAPITALS])} is"
    else:
        name, options, end = "invented", lexicon.COLOURS, "\n"
        query = form = f"{lexicon.nonce_word(chance)} ->"
    first, second = chance.sample(options, 2)
    return Dispute(
        name,
        query,
        f" {first}",
        f" {second}",
        (f"{form} {first}{end}",) * 3,
        (f"{form} {second}{end}",) * 3,
        chance.choice(_UNRELATED_EMBEDDED),
    )
