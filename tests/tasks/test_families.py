"""Families are well formed: enough queries, all different, none answered by another set, equal for equal seeds."""

from collections import Counter

import pytest

from icltui.demo import lexicon
from icltui.tasks.catalogue import FAMILIES, families
from icltui.tasks.documents import DOCUMENTS
from icltui.tasks.embedded import EMBEDDED
from icltui.tasks.family import N_QUERIES, by_example, pairs

GENERAL = families("general")
BY_EXAMPLE = [family for family in FAMILIES if family.kind != "fact"]


def test_at_least_twenty_families_for_either_model_each_with_a_name_of_its_own():
    assert families("embedded") == EMBEDDED
    assert len(GENERAL) >= 20
    assert len(EMBEDDED) >= 20
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


@pytest.mark.parametrize("family", GENERAL, ids=lambda family: family.name)
def test_a_general_family_has_twelve_queries_to_calibrate_and_twelve_unseen(family):
    split = family.split()
    assert (len(split.calibration), len(split.unseen)) == (N_QUERIES, N_QUERIES)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_query_is_asked_twice_nor_shown_in_a_context_of_examples(family):
    for seed in range(3):
        split = family.split(seed)
        texts = [query.text for query in (*split.calibration, *split.unseen)]
        assert len(set(texts)) == len(texts) >= 8
        for query in (*split.calibration, *split.unseen):
            assert query.answer.startswith(" ")
            assert query.answer[1:].strip() == query.answer[1:] != ""
            if family.kind != "fact":
                assert f"\n{query.text}" not in f"\n{split.context}"


@pytest.mark.parametrize("family", BY_EXAMPLE, ids=lambda family: family.name)
def test_unseen_answers_are_new_unless_they_are_classes(family):
    split = family.split()
    shown = Counter(query.answer for query in split.calibration)
    unseen = Counter(query.answer for query in split.unseen)
    answers = set(shown) | set(unseen)
    if len(answers) <= 4:  # every class is calibrated on, in like shares
        assert set(unseen) <= set(shown)
        assert max(unseen.values()) - min(unseen.values()) <= 2 or len(answers) == 1
    elif "letter" not in family.name:
        assert not set(unseen) & set(shown)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_seed_decides_the_split_and_fewer_queries_are_its_first(family):
    assert family.split(3) == family.split(3)
    assert family.split(3) != family.split(4)
    few, all_of_them = family.split(3, 3), family.split(3)
    assert few.calibration == all_of_them.calibration[:3]
    assert (few.context, few.unseen) == (all_of_them.context, all_of_them.unseen)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_document_states_the_answer_of_each_of_its_questions(document):
    assert 75 <= len(document.text.split()) <= 190  # 100 to 250 tokens
    assert len(document.facts) == N_QUERIES
    asked = {question for fact in document.facts for question in fact.questions}
    for question, answer in document.shown:
        assert answer.lower() in document.text.lower()
        assert question not in asked
    for fact in document.facts:
        assert fact.answer in document.text
        assert len(set(fact.questions)) == 2


def test_other_facts_share_no_answer_and_reworded_ones_all_of_them():
    by_name = {family.name: family.split() for family in GENERAL if family.kind == "fact"}
    for name, split in by_name.items():
        calibrated, unseen = ({query.answer for query in part} for part in (split.calibration, split.unseen))
        assert calibrated == unseen if name.endswith("reworded") else not calibrated & unseen


def test_a_family_by_example_is_what_it_says():
    family = by_example(
        "double", pairs("a:aa b:bb c:cc d:dd e:ee"), "{} =", n_examples=2, n_queries=1, separator="; "
    )
    split = family.split()
    shown = split.context.removesuffix(";").split("; ")
    assert len(shown) == 2
    assert all(example in {f"{x} = {x}{x}" for x in "abcde"} for example in shown)
    (asked,) = split.unseen
    assert asked.text[0] == " "
    assert asked.text[1:] + asked.answer in {f"{x} = {x}{x}" for x in "abcde"}


def test_swapped_facts_are_false():
    family = next(family for family in EMBEDDED if family.name == "false capitals")
    for query in family.split().unseen:
        country = query.text.removeprefix("The capital of ").removesuffix(" is")
        assert query.answer[1:] in lexicon.CAPITALS.values()
        assert query.answer[1:] != lexicon.CAPITALS[country]


def test_classes_come_in_no_fixed_order():
    family = next(family for family in GENERAL if family.name == "category")
    orders = {
        tuple(line.split()[-1] for line in family.split(seed).context.split("\n")[:6]) for seed in range(8)
    }
    assert len(orders) > 3
