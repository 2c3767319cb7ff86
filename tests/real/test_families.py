"""A family of words on a real model: the model answers from the context, and so does the compiled patch."""

import pytest

from icltui.bench.families import FamilySettings, examine_families

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def antonyms(gguf, tmp_path_factory):
    settings = FamilySettings(
        model=str(gguf),
        family=("antonym",),
        rows=("ordinary", "random"),
        budget=0.0,
        results=tmp_path_factory.mktemp("families") / "results.jsonl",
    )
    return settings, examine_families(settings, lambda _stage: None)


def test_a_patch_of_twelve_queries_answers_unseen_ones_and_leaves_other_text_nearly_alone(antonyms):
    _, found = antonyms
    ordinary, random = found.records[0].exam.rows
    assert ordinary.right_context >= 9 > ordinary.right_plain
    assert ordinary.r_median > 0.8 > 0.5 > random.r_median
    assert ordinary.right >= 6 > ordinary.right_plain
    assert ordinary.collateral_kl < 0.3


def test_what_is_in_the_results_file_is_not_examined_again(antonyms):
    settings, found = antonyms
    said: list[str] = []
    assert examine_families(settings, said.append).records == found.records
    assert said == []
