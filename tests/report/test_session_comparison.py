"""Two sessions side by side: the settings that differ, and what came of both."""

from msgspec.structs import replace

from icltui.report.session_comparison import compared_results, differing_settings
from tests.tui import samples

A = samples.session()
OTHER_PROMPT = replace(samples.PROMPT, context="The capital of France is Lyon.\n")


def test_two_runs_are_told_apart_in_words() -> None:
    other = replace(A, prompt=OTHER_PROMPT, layers="0-2", verification=None)
    assert [row.name for row in differing_settings(A, other)] == ["context", "layers"]
    rows = {row.name: row for row in compared_results(A, other)}
    assert rows["full context says"].ours == rows["full context says"].theirs
    assert rows["query only"].ours.startswith(" Paris.")
    assert rows["layer 5"].ours.startswith("‖δ‖ ≤ ")
    assert compared_results(replace(A, measurement=None, generation=None, verification=None), other)


def test_where_the_answer_flips_is_in_the_words_of_its_dynamics() -> None:
    rows = {row.name: row.ours for row in compared_results(A, A)}
    assert rows["full context says"].startswith("' Rome'")
    assert rows["no context says"].startswith("' Paris'")
    shrunk = {row.name: row.ours for row in compared_results(replace(A, dynamics="shrink"), A)}
    assert shrunk["full context says"].startswith("' Paris'")
    dropped = {row.name: row.ours for row in compared_results(replace(A, dynamics="drop"), A)}
    assert dropped["full context says"].startswith("' Paris'")
    assert "no context says" not in {
        row.name for row in compared_results(replace(A, dynamics="drop"), replace(A, dynamics="drop"))
    }
