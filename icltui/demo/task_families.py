"""The task families of the embedded model's corpus.

A family is a function from a random generator to a :class:`Task`: one fresh mapping, stated by example and then asked
about. A task makes both training documents (:meth:`Task.document`) and evaluation prompts (:meth:`Task.problem`), so
that scores are of what was trained, on mappings never seen.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from icltui.demo import lexicon


@dataclass(frozen=True)
class Question:
    """``prompt`` is continued by ``answer`` and then ``ending``; ``prior`` is what the weights would say."""

    prompt: str
    answer: str
    ending: str = ""
    prior: str | None = None

    def solved(self) -> str:
        return self.prompt + self.answer + self.ending


@dataclass(frozen=True)
class Problem:
    """An evaluation prompt: ``context + prompt`` should be continued by ``answer + terminator``."""

    context: str
    prompt: str
    answer: str
    terminator: str
    prior: str | None


@dataclass(frozen=True)
class Task:
    """Statements, then questions that the statements answer; all joined by ``separator``."""

    statements: Sequence[str]
    questions: Sequence[Question]
    separator: str
    repeats: bool = True
    """Whether questions may be asked again and again (recall) or once each (functions)."""

    def document(self, rng: random.Random, n_questions: int) -> str:
        """All statements, then ``n_questions`` solved questions (fewer if they may not repeat)."""
        asked = list(self.questions)
        rng.shuffle(asked)
        if self.repeats:
            while len(asked) < n_questions:
                asked += rng.sample(self.questions, len(self.questions))
        parts = [*self.statements, *(question.solved() for question in asked[:n_questions])]
        # A query alone often begins with the space that would have joined it to its context.
        start = " " if self.separator.endswith(" ") and rng.random() < 0.3 else ""
        return start + self.separator.join(parts) + self.separator.rstrip(" ")

    def problem(self, rng: random.Random) -> Problem:
        """The statements as the context, one question as the query.

        A space between the two goes to the query, as the tokenizer has it.
        """
        question = rng.choice(self.questions)
        joint = self.separator.rstrip(" ")
        return Problem(
            context=self.separator.join(self.statements) + joint,
            prompt=self.separator[len(joint) :] + question.prompt,
            answer=question.answer,
            terminator=(question.ending + self.separator).rstrip(" "),
            prior=question.prior,
        )


Family = Callable[..., Task]
"""``(rng, n=None) -> Task``: ``n`` fixes the number of statements or examples."""

_ARROWS = (" ->", ":", " =", " is")
_SEPARATORS = ("\n", "; ", ", ", ". ")


def _mapping_task(
    rng: random.Random, keys: Sequence[str], values: Sequence[str], arrow: str | None = None
) -> Task:
    arrow = arrow or rng.choice(_ARROWS)
    questions = [Question(key + arrow, " " + value) for key, value in zip(keys, values, strict=True)]
    return Task([q.solved() for q in questions], questions, rng.choice(_SEPARATORS))


def nonce_recall(rng: random.Random, n: int | None = None) -> Task:
    """Invented keys with invented values: nothing but the context can answer."""
    n = n or (rng.randint(2, 9) if rng.random() < 0.9 else rng.randint(10, 24))
    words = lexicon.nonce_words(rng, 2 * n)
    return _mapping_task(rng, words[:n], words[n:])


def word_recall(rng: random.Random, n: int | None = None) -> Task:
    """Real words mapped to real words, nonce words or digit codes, afresh in each document."""
    n = n or rng.randint(2, 9)
    words = rng.sample(lexicon.WORDS, 2 * n)
    kind = rng.choice(("word", "nonce", "code"))
    if kind == "word":
        values = words[n:]
    elif kind == "nonce":
        values = lexicon.nonce_words(rng, n)
    else:
        values = [str(rng.randint(10, 999)) for _ in range(n)]
    return _mapping_task(rng, words[:n], values)


def story(rng: random.Random, n: int | None = None) -> Task:
    """People in rooms, some of whom move: the last room counts."""
    people = rng.sample(lexicon.NAMES, n or rng.randint(2, 6))
    where = dict(zip(people, rng.sample(lexicon.PLACES, len(people)), strict=True))
    statements = [f"{person} is in the {place}." for person, place in where.items()]
    for person in rng.sample(people, rng.randint(0, len(people) // 2)):
        where[person] = rng.choice([place for place in lexicon.PLACES if place != where[person]])
        statements.append(f"{person} went to the {where[person]}.")
    questions = [
        Question(f"Where is {person}? {person} is in the", f" {place}", ".")
        for person, place in where.items()
    ]
    return Task(statements, questions, rng.choice(("\n", " ")))


_FACTS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("The capital of {} is", lexicon.CAPITALS),
    ("The language of {} is", lexicon.LANGUAGES),
    ("The colour of {} is", lexicon.COLOUR_OF),
    ("The opposite of {} is", lexicon.OPPOSITES),
)


def _fact_task(rng: random.Random, contradicted: bool, n: int | None, kind: int | None = None) -> Task:
    # Half of the weight is on capitals, the example that a newcomer meets first.
    template, facts = _FACTS[rng.choice((0, 0, 0, 1, 2, 3)) if kind is None else kind]
    subjects = rng.sample(list(facts), n or rng.randint(2, 7))
    said = {subject: facts[subject] for subject in subjects}
    if contradicted:
        values = sorted(set(facts.values()))
        said = {
            subject: rng.choice([value for value in values if value != facts[subject]])
            for subject in subjects
        }
    questions = [
        Question(template.format(subject), f" {said[subject]}", ".", f" {facts[subject]}")
        for subject in subjects
    ]
    return Task([q.solved() for q in questions], questions, rng.choice(("\n", " ")))


def true_facts(rng: random.Random, n: int | None = None) -> Task:
    """Facts that the weights should come to know."""
    return _fact_task(rng, False, n)


def contradicted_facts(rng: random.Random, n: int | None = None) -> Task:
    """The sentences of true facts with false answers, which hold for one document alone."""
    return _fact_task(rng, True, n)


def linear_function(rng: random.Random, n: int | None = None) -> Task:
    """``f(x) = a x + b`` by example, a in 1..5, b in 0..9, x in 0..12; the query's x is new."""
    slope, offset = rng.randint(1, 5), rng.randint(0, 9)
    n = n or rng.randint(3, 9)
    if rng.random() < 0.5:
        start = rng.randint(0, 12 - n)
        inputs = list(range(start, 13))
    else:
        inputs = rng.sample(range(13), 13)
    style = rng.choice(("f({}) =", "Input: {}, Output:"))
    separator = "; " if style.startswith("f") else "\n"
    questions = [Question(style.format(x), f" {slope * x + offset}") for x in inputs]
    # In an ascending series the next input is asked, as a person would; else any of the others.
    rest = questions[n : n + 1] if inputs == sorted(inputs) else questions[n:]
    return Task([q.solved() for q in questions[:n]], rest, separator, repeats=False)


def months(rng: random.Random, n: int | None = None) -> Task:
    """Months numbered from a start that only the context tells."""
    shift = rng.randint(0, 11)
    order = rng.sample(range(12), 12)
    arrow = rng.choice((" ->", ":", " ="))
    questions = [Question(lexicon.MONTHS[m] + arrow, f" {(m + shift) % 12 + 1}") for m in order]
    n = n or rng.randint(2, 8)
    return Task([q.solved() for q in questions[:n]], questions[n:], rng.choice(("\n", "; ")), repeats=False)


def pattern(rng: random.Random, n: int | None = None) -> Task:
    """A cycle of two to five words, repeated."""
    period = rng.randint(2, 5)
    pool = rng.choice((lexicon.COLOURS, lexicon.WORDS, [str(d) for d in range(10)], list("ABCDEFGH")))
    cycle = rng.sample(list(pool), period)
    questions = [
        Question(" ".join(cycle[:k]), " " + cycle[k], "".join(" " + w for w in cycle[k + 1 :]))
        for k in range(1, period)
    ]
    return Task([" ".join(cycle)] * (n or rng.randint(2, 6)), questions, " ")


def labels(rng: random.Random, n: int | None = None) -> Task:
    """Words of two or three categories, whose labels only the context tells; the query's word is new."""
    names = rng.sample(list(lexicon.CATEGORIES), rng.randint(2, 3))
    is_nonce = rng.random() < 0.5
    marks = lexicon.nonce_words(rng, len(names)) if is_nonce else rng.sample(lexicon.COLOURS, len(names))
    arrow = rng.choice(_ARROWS)
    pairs = [
        (word, mark) for name, mark in zip(names, marks, strict=True) for word in lexicon.CATEGORIES[name]
    ]
    rng.shuffle(pairs)
    questions = [Question(word + arrow, " " + mark) for word, mark in pairs]
    n = n or rng.randint(3, 10)
    # Only categories already shown can be answered.
    shown = {mark for _, mark in pairs[:n]}
    rest = [q for q, (_, mark) in zip(questions[n:], pairs[n:], strict=True) if mark in shown]
    return Task([q.solved() for q in questions[:n]], rest, rng.choice(_SEPARATORS), repeats=False)


def word_function(rng: random.Random, n: int | None = None) -> Task:
    """Opposite, French, or the word itself: the examples tell which; the query's word is new."""
    table: Mapping[str, str] = rng.choice(
        (lexicon.OPPOSITES, lexicon.FRENCH, {word: word for word in lexicon.OPPOSITES})
    )
    words = rng.sample(list(table), len(table))
    arrow = rng.choice((" ->", ":", " ="))
    questions = [Question(word + arrow, " " + table[word]) for word in words]
    n = n or rng.randint(2, 8)
    return Task([q.solved() for q in questions[:n]], questions[n:], rng.choice(("\n", "; ")), repeats=False)


FAMILIES: dict[str, tuple[float, Family]] = {
    "nonce recall": (0.20, nonce_recall),
    "word recall": (0.08, word_recall),
    "entity stories": (0.12, story),
    "true facts": (0.10, true_facts),
    "contradicted facts": (0.10, contradicted_facts),
    "linear functions": (0.22, linear_function),
    "months with a shift": (0.06, months),
    "repeating patterns": (0.04, pattern),
    "labels for words": (0.04, labels),
    "word functions": (0.04, word_function),
}
"""Name → (share of the corpus's documents, the family)."""
