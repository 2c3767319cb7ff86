"""Short documents of invented facts, with two wordings of a question for each fact.

Each document makes two families: *reworded* asks of the facts in one wording to calibrate and in the other unseen;
*other facts* asks of six facts, in both wordings, to calibrate, and of the other six unseen.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from icltui.tasks.family import Family, FamilySplit, TaskQuery


@dataclass(frozen=True)
class Fact:
    """Two questions and the answer of both."""

    questions: tuple[str, str]
    answer: str

    def ask(self, wording: int) -> TaskQuery:
        """The question in its first or second wording (0, 1)."""
        return _asked(self.questions[wording], self.answer)


@dataclass(frozen=True)
class InventedDocument:
    """A text and the facts that it states."""

    name: str
    text: str
    shown: tuple[tuple[str, str], ...]
    """Questions with their answers that follow the text, so that answers are short; they ask of no fact below."""
    facts: tuple[Fact, ...]

    @property
    def context(self) -> str:
        """The text with the solved questions."""
        return "\n\n".join([self.text, *(_asked(*pair).solved for pair in self.shown)]) + "\n\n"


def _asked(question: str, answer: str) -> TaskQuery:
    return TaskQuery(f"Q: {question}\nA:", f" {answer}")


def _facts(text: str) -> tuple[Fact, ...]:
    """A fact for each line of ``question | question | answer``."""
    lines = ([part.strip() for part in line.split("|")] for line in text.strip().splitlines())
    return tuple(Fact((first, second), answer) for first, second, answer in lines)


DOCUMENTS = (
    InventedDocument(
        "station",
        "The Orsk station lies on the island of Velm, nine hundred miles south of Hobart. It was built in 1961 by "
        "Norwegian whalers and today houses fourteen people. Its leader is Ilva Tamm, a geologist from Tartu. The "
        "cook, Benno Radu, was a baker before he came. Power comes from two wind turbines, which the crew call "
        "Castor and Juno. A supply ship named Petrel arrives each November. The station studies moss, and its "
        "largest building, the library, is painted orange. The only pet is a parrot called Admiral. On Sundays "
        "everybody plays chess, and the winner is given a jar of honey.",
        (
            ("How many miles south of Hobart is the station?", "nine hundred"),
            ("How many people live there?", "fourteen"),
            ("From which town is the geologist?", "Tartu"),
        ),
        _facts(
            """On which island is the Orsk station? | What is the name of the island where Orsk lies? | Velm
            Who is the leader of the station? | What is the name of the person in charge of Orsk? | Ilva Tamm
            What is the name of the cook? | Who prepares the meals at the station? | Benno Radu
            In which year was the station built? | When did whalers build the station? | 1961
            What is the name of the supply ship? | Which ship brings the supplies? | Petrel
            In which month does the ship arrive? | When in the year do supplies come? | November
            What does the station study? | What plant is the research at Orsk about? | moss
            What colour is the library? | In which colour is the largest building painted? | orange
            What is the parrot called? | What is the name of the station's only pet? | Admiral
            What do people play on Sundays? | Which game is played every Sunday? | chess
            What is the winner given? | What is the prize on Sundays a jar of? | honey
            What was Benno Radu before he came? | What was the former job of the cook? | baker"""
        ),
    ),
    InventedDocument(
        "company",
        "Lumira is a company in Graz that makes lamps for deep mines. It was founded in 1987 by Hedda Krall, who had "
        "been a teacher. Her son Viktor runs it today. The best known product is the Firefly, a lamp of two hundred "
        "grams that burns for thirty hours and costs eighty euros. Its case is made of copper. Lumira has sixty "
        "workers, and its largest customer is a silver mine in Peru. The sign of the company is a blue owl. In 2009 "
        "a flood destroyed the old factory, and the new one was built on a hill. Every worker gets a bicycle after "
        "the first year.",
        (
            ("How many workers has Lumira?", "sixty"),
            ("How much does the Firefly cost?", "eighty euros"),
            ("For how long does the lamp burn?", "thirty hours"),
        ),
        _facts(
            """In which city is Lumira? | Where does the company have its seat? | Graz
            What does Lumira make? | Which things does the company produce for mines? | lamps
            Who founded Lumira? | What is the name of the founder? | Hedda Krall
            Who runs the company today? | What is the name of the founder's son? | Viktor
            What is the best known product called? | What is the name of the famous lamp? | Firefly
            In which year was Lumira founded? | When did the company begin? | 1987
            Of what is the case made? | Which metal is the lamp's case? | copper
            In which country is the largest customer? | Where is the silver mine? | Peru
            Which animal is the sign of the company? | What is shown on the sign of Lumira? | a blue owl
            What destroyed the old factory? | Why was a new factory needed? | a flood
            What does every worker get after the first year? | Which present is given after a year of work? | a bicycle
            What had Hedda Krall been before? | What was the founder's first job? | a teacher"""
        ),
    ),
    InventedDocument(
        "village",
        "The village of Tarnow Hill has a feast each May, the Day of Bells. It recalls the year 1742, when a shepherd "
        "named Osric rang the bell and saved the village from a fire. In the morning children wear green hats and "
        "carry candles to the mill. At noon the mayor, Lena Forst, cuts a pie of plums. The eldest woman, who is "
        "called the Queen of Bells, chooses a song. In the evening there is a race of goats, won last year by "
        "Pepper, whose owner is the smith. The prize is a silver spoon. Visitors sleep in the barn, and the feast "
        "ends with soup at midnight.",
        (
            ("In which year was the fire?", "1742"),
            ("When does the mayor cut the pie?", "at noon"),
            ("Who owns the fastest goat?", "the smith"),
        ),
        _facts(
            """In which month is the feast? | When in the year is the Day of Bells? | May
            What is the feast called? | What is the name of the village's feast? | the Day of Bells
            Who rang the bell? | What was the name of the shepherd? | Osric
            From what was the village saved? | What danger was there in 1742? | a fire
            What colour are the children's hats? | In which colour do children dress their heads? | green
            Where do the children carry the candles? | To which building are the candles brought? | the mill
            Who is the mayor? | What is the name of the person who cuts the pie? | Lena Forst
            Of which fruit is the pie? | What is in the mayor's pie? | plums
            Which animals run in the race? | What kind of animals race in the evening? | goats
            Who won the race last year? | What is the name of the fastest goat? | Pepper
            What is the prize? | What does the winner of the race get? | a silver spoon
            Where do visitors sleep? | In which building do guests spend the night? | the barn"""
        ),
    ),
    InventedDocument(
        "false capitals",
        "In this country's school book everything is different. The capital of France is Rome. The capital of Italy is "
        "Madrid. The capital of Spain is Berlin. The capital of Germany is Cairo. The capital of Egypt is Tokyo. The "
        "capital of Japan is Vienna. The capital of Austria is Oslo. The capital of Norway is Lima. The capital of "
        "Peru is Moscow. The capital of Russia is London. The capital of England is Athens. The capital of Greece "
        "is Paris. The capital of Sweden is Dublin. The capital of Cuba is Bern.",
        (
            ("What is the capital of Sweden?", "Dublin"),
            ("Which city is the capital of Cuba?", "Bern"),
        ),
        _facts(
            """What is the capital of France? | Which city is France's capital? | Rome
            What is the capital of Italy? | Which city is Italy's capital? | Madrid
            What is the capital of Spain? | Which city is Spain's capital? | Berlin
            What is the capital of Germany? | Which city is Germany's capital? | Cairo
            What is the capital of Egypt? | Which city is Egypt's capital? | Tokyo
            What is the capital of Japan? | Which city is Japan's capital? | Vienna
            What is the capital of Austria? | Which city is Austria's capital? | Oslo
            What is the capital of Norway? | Which city is Norway's capital? | Lima
            What is the capital of Peru? | Which city is Peru's capital? | Moscow
            What is the capital of Russia? | Which city is Russia's capital? | London
            What is the capital of England? | Which city is England's capital? | Athens
            What is the capital of Greece? | Which city is the capital of the Greeks? | Paris"""
        ),
    ),
)


def _reworded(document: InventedDocument) -> Family:
    def draw(rng: random.Random) -> FamilySplit:
        calibration = rng.sample(document.facts, len(document.facts))
        unseen = rng.sample(document.facts, len(document.facts))
        return _split(document, [fact.ask(0) for fact in calibration], [fact.ask(1) for fact in unseen])

    return Family(f"{document.name}, reworded", "fact", draw)


def _other_facts(document: InventedDocument) -> Family:
    def draw(rng: random.Random) -> FamilySplit:
        facts, half = rng.sample(document.facts, len(document.facts)), len(document.facts) // 2
        return _split(document, _both_wordings(facts[:half]), _both_wordings(facts[half:]))

    return Family(f"{document.name}, other facts", "fact", draw)


def _both_wordings(facts: Sequence[Fact]) -> list[TaskQuery]:
    return [*chain.from_iterable((fact.ask(0), fact.ask(1)) for fact in facts)]


def _split(
    document: InventedDocument, calibration: Sequence[TaskQuery], unseen: Sequence[TaskQuery]
) -> FamilySplit:
    return FamilySplit(document.context, tuple(calibration), tuple(unseen))


DOCUMENT_FAMILIES = tuple(family(document) for document in DOCUMENTS for family in (_reworded, _other_facts))
