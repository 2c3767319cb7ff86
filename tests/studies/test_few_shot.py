"""The few-shot study on the embedded model, its null by simulation, and what it makes of rows whose answer is known."""

import itertools
import math
import random

import msgspec
import pytest

from icltui.studies.few_shot import FewShot, averaging_slope, slope_of_steps
from icltui.studies.few_shot_summary import floors, saturation
from icltui.studies.study import StudySettings

STUDY = FewShot(StudySettings(n=1))


@pytest.fixture(scope="module")
def rows(engine):
    items = STUDY.items(engine, engine.info)
    return [msgspec.structs.asdict(row) for some in STUDY.run(engine, engine.info, items) for row in some]


def averaged_steps(n, other, n_dimensions, seed):
    """Steps of attention that averages evenly over drawn examples and ``other`` tokens of an example's spread."""
    chance = random.Random(seed)

    def vector():
        return [chance.gauss(0, 1) for _ in range(n_dimensions)]

    others = vector()  # as far from the examples' mean, 0, as an example is
    total, states = [other * a for a in others], []
    for i in range(n + 1):
        if i:
            total = [a + b for a, b in zip(total, vector(), strict=True)]
        states.append([a / (i + other) if i + other else 0.0 for a in total])
    return [math.dist(a, b) for a, b in itertools.pairwise(states)]


@pytest.mark.parametrize("other", [0.0, 1.5, 6.0])
def test_the_null_is_what_averaging_attention_gives(other):
    steps = averaged_steps(12, other, 20_000, seed=1)
    assert slope_of_steps(steps) == pytest.approx(averaging_slope(12, other), abs=0.02)


def test_the_null_tends_to_minus_one_and_is_flatter_beside_other_tokens():
    slopes = [averaging_slope(n) for n in (8, 32, 128, 4096)]
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[-1] == pytest.approx(-1, abs=0.01)
    assert averaging_slope(32, 10) > averaging_slope(32, 1) > averaging_slope(32)


def test_every_form_of_a_series_has_a_row(rows):
    assert [row["form"] for row in rows] == ["task", "reordered", "shuffled"]
    for row in rows:
        n = row["n_examples"]
        assert (row["error"], row["model"]) == (None, "demo")
        assert len(row["weight_steps"]) == len(row["net"]) == n
        assert len(row["log_p"]) == len(row["kl_to_full"]) == len(row["right"]) == n + 1
        assert row["net"][-1] == pytest.approx(1)
        assert row["kl_to_full"][-1] == pytest.approx(0, abs=1e-6)
        assert row["slope"] == pytest.approx(slope_of_steps(row["weight_steps"]), abs=1e-9)
        assert (row["noise"] is not None) == (row["form"] == "task")
    assert 0 < rows[0]["noise"] < 1e-3
    log_p = {row["form"]: row["log_p"] for row in rows}
    assert log_p["task"][0] == pytest.approx(log_p["shuffled"][0])  # without examples they are one prompt
    assert log_p["task"][-1] > log_p["task"][0] + 1


def test_the_summary_says_the_slope_its_null_and_saturation(rows):
    summary = STUDY.summarise(rows)
    slopes, saturated, by_examples = summary.tables
    assert [line[0] for line in slopes.rows] == ["task", "reordered", "shuffled", "averaging alone"]
    task = rows[0]
    assert slopes.rows[0][2] == task["slope"]
    assert slopes.rows[0][5] == pytest.approx(task["slope"] - task["null_slope"])
    floor = abs(task["log_p"][-1] - rows[1]["log_p"][-1])
    assert saturated.rows[0][1:3] == (floor, saturation(task["log_p"], floor))
    assert by_examples.rows[0][1] == task["log_p"][0]
    assert (summary.n_rows, summary.n_failed) == (3, 0)
    assert summary.shows_not


@pytest.mark.parametrize(
    ("log_p", "floor", "at"),
    [([-1.0, -1.0, -1.0], 0.0, 0), ([-5.0, -1.0, -5.0, -1.0], 0.5, 3), ([-9.0, -2.0, -1.1, -1.0], 0.2, 2)],
)
def test_saturation_is_where_the_answer_stays_near_its_last_value(log_p, floor, at):
    assert saturation(log_p, floor) == at


def test_a_floor_is_never_below_rounding():
    rows = [
        {"form": "task", "number": 0, "log_p": (-2.0, -1.0), "noise": 0.25},
        {"form": "reordered", "number": 0, "log_p": (-2.0, -1.125), "noise": 0.25},
    ]
    assert [floor for _, floor in floors(rows)] == [0.25]


def test_keys_tell_forms_series_and_seeds_apart(engine):
    keys = [key for key, _ in FewShot(StudySettings(n=3)).items(engine, engine.info)]
    assert len(set(keys)) == 9
    assert [key for key, _ in STUDY.items(engine, engine.info)] == keys[:3]
    assert [key for key, _ in FewShot(StudySettings(n=1, seed=1)).items(engine, engine.info)] != keys[:3]
