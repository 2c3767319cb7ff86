"""The study of functions: its own block, its rows, and what they add up to."""

import math

import pytest

from icltui.api.messages import LoadModel
from icltui.engine.functions.train import Setting
from icltui.studies import functions
from icltui.studies.functions_summary import power_law, summarise_functions
from icltui.studies.study import StudySettings, load_study
from icltui.values.errors import BadInput
from icltui.values.functions import FunctionsRow


def test_a_model_of_one_s_own_is_refused():
    for settings in (StudySettings(load=LoadModel(model="gpt2")), StudySettings(revisions=("main",))):
        with pytest.raises(BadInput, match="a block of its own"):
            load_study("functions", settings)


def test_a_power_law_is_found():
    law = power_law([4.4 / i**0.99 for i in range(1, 51)], 10)
    assert (math.exp(law.intercept), -law.slope) == pytest.approx((4.4, 0.99))


def test_small_blocks_run_and_are_summed_up(monkeypatch):
    made = functions.measure_functions

    def small(setting):
        return made(Setting(4, 6, setting.trained_on, 8, 20, setting.seed))

    monkeypatch.setattr(functions, "measure_functions", small)
    study = load_study("functions", StudySettings(n=1))
    items = [(f"{number}", Setting(trained_on=kind)) for number, kind in enumerate(("full", "any"))]
    rows = [row for rows in study.run(None, None, items) for row in rows]
    assert [row.key for row in rows] == ["0", "1"]
    assert len(rows[0].loss) == 7
    summary = study.summarise([{name: getattr(row, name) for name in row.__struct_fields__} for row in rows])
    assert len(summary.tables) == 4
    assert len(summary.figures) == 6
    assert [row[0] for row in summary.tables[0].rows] == [0, 1, 2, 5]
    assert summary.tables[0].rows[1][1] == pytest.approx(rows[0].loss[1])


def test_failed_rows_are_counted_and_left_out():
    row = FunctionsRow(key="a", error="it failed")
    summary = summarise_functions([{name: getattr(row, name) for name in row.__struct_fields__}], "?", ())
    assert (summary.n_rows, summary.n_failed, summary.tables) == (1, 1, ())
