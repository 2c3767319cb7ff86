"""Prompts of the steering study: a sentence that says something, and a query that asks for it again.

A kind of model, a number and a seed enter; as many different prompts leave, of all templates in turn. The first n of
more prompts are those of n.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from icltui.demo import lexicon
from icltui.tasks.family import ForModel


@dataclass(frozen=True)
class SteeringPrompt:
    """``context`` is followed by ``query``, and that by ``answer``, two tokens or more."""

    template: str
    """Name of the template."""
    context: str
    query: str
    answer: str


@dataclass(frozen=True)
class _Template:
    name: str
    context: str
    """With ``{a}`` and ``{b}``."""
    query: str
    """With ``{a}``."""
    subjects: Sequence[str]
    objects: Sequence[str]
    ending: str = "."


_CITIES = "Paris Rome Berlin Madrid Vienna Lisbon Dublin Prague Oslo Athens Cairo Tokyo".split()
_LANGUAGES = "French Italian German Spanish Greek Dutch Polish Turkish Arabic Korean".split()
_PEOPLE = "Anna Peter Maria David Laura Simon Julia Frank Helen Oscar".split()
_TRADES = "doctor teacher farmer lawyer painter singer pilot baker nurse judge".split()
_COLOURS = "red blue green yellow white black brown purple orange grey".split()
_THINGS = "door car house boat chair wall coat bag hat lamp".split()
_FOODS = "bread cheese rice fish soup cake fruit meat pasta salad".split()
_ANIMALS = "dog cat horse bird rabbit snake fox bear wolf lion".split()
_SUBJECTS = "history music physics art law medicine football chess cooking gardening".split()

_GENERAL = (
    _Template("language", "In {a} everyone speaks {b}.", " The people in {a} speak", _CITIES, _LANGUAGES),
    _Template("trade", "{a} has worked as a {b} for years.", " {a} is a", _PEOPLE, _TRADES),
    _Template("colour", "The {a} was painted {b} last week.", " The colour of the {a} is", _THINGS, _COLOURS),
    _Template("food", "{a} only ever eats {b}.", " For dinner {a} had", _PEOPLE, _FOODS),
    _Template("pet", "{a} has a {b} at home.", " Every day {a} feeds the", _PEOPLE, _ANIMALS),
    _Template("topic", "This is a magazine about {b}.", " {a} reads it to learn about", _PEOPLE, _SUBJECTS),
    _Template("move", "{a} moved to {b} in May.", " Today {a} lives in", _PEOPLE, _CITIES),
    _Template("gift", "{a} bought a new {b}.", " {a} is happy with the", _PEOPLE, _THINGS),
)
_EMBEDDED = (
    *(
        _Template(
            name, f"The {name} of {{a}} is {{b}}.", f" The {name} of {{a}} is", [*facts], [*facts.values()]
        )
        for name, facts in (
            ("capital", lexicon.CAPITALS),
            ("language", lexicon.LANGUAGES),
            ("colour", lexicon.COLOUR_OF),
            ("opposite", lexicon.OPPOSITES),
        )
    ),
    _Template(
        "room",
        "{a} is in the {b}.",
        " Where is {a}? {a} is in the",
        lexicon.NAMES,
        lexicon.PLACES,
    ),
    _Template("word", "{a} -> {b};", " {a} ->", lexicon.WORDS, lexicon.COLOURS, ending=";"),
)


def steering_prompts(for_model: ForModel, n: int, seed: int = 0) -> tuple[SteeringPrompt, ...]:
    """``n`` different prompts.

    Raises:
        ValueError: so many cannot be made.
    """
    templates = _GENERAL if for_model == "general" else _EMBEDDED
    makers = [_drawn(template, random.Random(f"{template.name} {seed}")) for template in templates]
    made: list[SteeringPrompt] = []
    while makers and len(made) < n:
        for maker in [*makers]:
            prompt = next(maker, None)
            if prompt is None:
                makers.remove(maker)
            elif len(made) < n:
                made.append(prompt)
    if len(made) < n:
        raise ValueError(f"{n} prompts: {len(made)} different ones can be made")
    return tuple(made)


def _drawn(template: _Template, chance: random.Random) -> Iterator[SteeringPrompt]:
    """The template's prompts in random order: each subject once before any comes again."""
    objects = list(dict.fromkeys(template.objects))
    for turn in range(len(objects)):
        subjects = chance.sample(template.subjects, len(template.subjects))
        if turn == 0:
            order = {a: chance.sample(objects, len(objects)) for a in subjects}
        for a in subjects:
            b = order[a][turn]
            if a != b:
                yield SteeringPrompt(
                    template.name,
                    template.context.format(a=a, b=b),
                    template.query.format(a=a),
                    f" {b}{template.ending}",
                )
