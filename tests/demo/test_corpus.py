"""The corpus: a function of its seed, honest tasks, a tokenizer for any text."""

import random
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icltui.demo import corpus, evaluate, lexicon
from icltui.demo.task_families import FAMILIES


def test_the_stream_belongs_to_its_seed():
    first, same, other = (list(islice(corpus.documents(seed), 50)) for seed in ("a", "a", "b"))
    assert first == same != other


@pytest.mark.parametrize("name", FAMILIES)
def test_a_problem_is_answered_by_its_own_document(name):
    """What evaluation asks is what a training document of the same task would say."""
    family = FAMILIES[name][1]
    for seed in range(40):
        task = family(random.Random(seed))
        problem = task.problem(random.Random(seed))
        assert problem.context
        assert problem.answer.startswith(" ")
        assert task.document(random.Random(seed), 10_000).find(problem.prompt.strip() + problem.answer) >= 0


@pytest.mark.parametrize(
    "name", ["linear functions", "months with a shift", "labels for words", "word functions"]
)
def test_functions_ask_what_was_not_shown(name):
    for seed in range(40):
        problem = FAMILIES[name][1](random.Random(seed)).problem(random.Random(seed))
        assert problem.prompt.strip() not in problem.context


def test_contradicted_facts_are_false_and_know_the_truth():
    family = FAMILIES["contradicted facts"][1]
    for seed in range(40):
        problem = family(random.Random(seed)).problem(random.Random(seed))
        assert problem.answer != problem.prior
        assert problem.answer in problem.context


def test_the_last_place_counts_in_a_story():
    for seed in range(60):
        task = FAMILIES["entity stories"][1](random.Random(seed))
        for question in task.questions:
            person = question.prompt.split()[2].rstrip("?")
            last = [s for s in task.statements if s.startswith(person)][-1]
            assert last.endswith(f"{question.answer}.")


def test_linear_functions_are_linear():
    for seed in range(40):
        task = FAMILIES["linear functions"][1](random.Random(seed))
        problem = task.problem(random.Random(seed))
        text = (
            problem.context.replace("Input:", "")
            .replace(", Output:", " ")
            .replace("f(", "")
            .replace(") =", "")
        )
        points = [
            tuple(map(int, pair.split())) for pair in text.replace("\n", ";").split(";") if pair.strip()
        ]
        (x0, y0), (x1, y1) = points[:2]
        slope = (y1 - y0) // (x1 - x0)
        x = int("".join(c for c in problem.prompt if c.isdigit()))
        assert int(problem.answer) == y0 + slope * (x - x0)


def test_evaluation_prompts_come_from_seeds_of_their_own():
    assert len({p.context for p in evaluate.make_problems("nonce recall, 8 pairs", 1, 50)}) == 50
    assert evaluate.make_problems("nonce recall, 8 pairs", 1, 5) == evaluate.make_problems(
        "nonce recall, 8 pairs", 1, 5
    )


def test_rows_are_full_and_begin_with_bos():
    tokenizer = corpus.train_tokenizer("tiny", n_documents=50, vocab_size=300)
    for row in islice(corpus.rows(tokenizer, corpus.documents("x"), 64), 20):
        assert len(row) == 64
        assert row[0] == tokenizer.token_to_id(corpus.BOS)


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8")))
def test_any_text_survives_the_tokenizer(text):
    tokenizer = _tokenizer()
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=True) == text.replace(
        corpus.BOS, ""
    )


_CACHE = []


def _tokenizer():
    if not _CACHE:
        _CACHE.append(corpus.train_tokenizer("tiny", n_documents=50, vocab_size=300))
    return _CACHE[0]


def test_digits_stand_alone():
    assert [t for t in _tokenizer().encode("f(12) = 345").tokens if t.isdigit()] == list("12345")


def test_nonce_words_are_distinct():
    assert len(set(lexicon.nonce_words(random.Random(0), 500))) == 500
