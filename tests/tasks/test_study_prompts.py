"""Prompts of the studies few-shot and relevance: distinct, fixed by their seed, and as their controls need them."""

import pytest

from icltui.tasks.example_series import N_EXAMPLES, example_series
from icltui.tasks.stories import N_SENTENCES, story_questions


@pytest.mark.parametrize("for_model", ["general", "embedded"])
def test_a_series_has_its_examples_in_three_forms(for_model):
    found = example_series(for_model, 60, 0)
    assert len(found) == len(set(found)) == 60
    for series in found:
        joint = series.examples[0][-1]
        assert len(series.examples) == N_EXAMPLES[for_model]
        assert len(set(series.examples)) == N_EXAMPLES[for_model]
        for form in (series.examples, series.reordered, series.shuffled):
            assert "".join(form).count(joint) == len(form)
            assert not form[0].startswith(" ")
        assert sorted(map(str.strip, series.reordered)) == sorted(map(str.strip, series.examples))
        assert series.reordered != series.examples != series.shuffled
        asked = series.query.strip()
        assert not any(example.strip().startswith(asked) for example in series.examples)
        words = [sorted("".join(form).split()) for form in (series.examples, series.shuffled)]
        assert words[0] == words[1]  # the same inputs and answers, joined otherwise


def test_prompts_follow_from_their_seed_and_more_begin_with_fewer():
    assert example_series("general", 5, 3) == example_series("general", 9, 3)[:5]
    assert example_series("general", 5, 3) != example_series("general", 5, 4)
    assert story_questions("general", 5, 3) == story_questions("general", 9, 3)[:5]
    assert story_questions("general", 5, 3) != story_questions("general", 5, 4)


@pytest.mark.parametrize("for_model", ["general", "embedded"])
def test_a_story_tells_the_answer_in_its_second_half_and_only_there(for_model):
    for one in story_questions(for_model, 40, 0):
        person, place = one.query.split()[-4], one.answer.strip()
        relevant = one.contexts["relevant"].splitlines()
        (at,) = [k for k, line in enumerate(relevant) if person in line]
        assert at >= N_SENTENCES // 2
        assert place in relevant[at]
        for name in ("tangential", "irrelevant"):
            lines = one.contexts[name].splitlines()
            assert len(lines) == N_SENTENCES
            assert person not in one.contexts[name]
            assert place not in one.contexts[name]
