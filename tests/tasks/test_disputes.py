"""Disputes and contradictions are what they say, and fewer are the first of more."""

import pytest

from icltui.tasks.contradictions import contradictions
from icltui.tasks.opinions import disputes


@pytest.mark.parametrize("kind", ["general", "embedded"])
def test_a_dispute_has_three_voices_for_each_option(kind):
    many = disputes(kind, 90)
    assert len(set(many)) == 90
    assert disputes(kind, 20) == many[:20] != disputes(kind, 20, seed=1)
    for one in many:
        assert one.first != one.second
        for option, other, lines in (
            (one.first, one.second, one.first_lines),
            (one.second, one.first, one.second_lines),
        ):
            assert len(lines) == 3
            assert all(line.endswith("\n") and option in line and other not in line for line in lines)
        assert one.first not in one.unrelated
        assert one.second not in one.unrelated
        assert not one.query.endswith(" ")
        if kind == "general":
            assert len({line.split()[0] for line in one.first_lines + one.second_lines}) == 6


def test_a_contradiction_says_what_is_wrong():
    many = contradictions(90)
    assert len({(one.topic, one.subject) for one in many}) == 90 == len(contradictions(500))
    assert contradictions(20) == many[:20] != contradictions(20, seed=1)
    for one in many:
        assert one.own != one.said
        assert one.statement == f"{one.query}{one.said}.\n"
        assert one.mention.endswith(f"{one.said}.\n")
        assert not one.mention.startswith(f"{one.query} ")
    rights = {(one.topic, one.subject): one.own for one in many}
    for one in many:
        other = one.mention.removesuffix(f" is{one.said}.\n").split()[-1]
        assert rights[one.topic, other] != one.said
