"""Loss curves as text: the promised keys, safe cells, and tables of 80 columns."""

import json
from itertools import pairwise

import pytest

from icltui.report.curves import _steps, curves_csv, curves_json, curves_table
from icltui.text.spreadsheet import read_csv
from icltui.values.prompt import Prompt
from tests.curves_and_heads import CURVES, LOSS
from tests.sessions import A_MODEL


def test_the_json_has_the_promised_keys():
    found = json.loads(curves_json(A_MODEL, Prompt(), CURVES))
    assert found["loss"] == list(LOSS)
    assert found["loss_without"] == [None, 4.0, 3.5, 1.5]
    assert found["derivative"] == [None, None, -0.25, None]
    assert (found["icl_score"], found["icl_score_bits"]) == (-1.5, -2.164)
    assert found["own"]["texts"][0]["seed"] == 7


def test_the_csv_has_a_line_for_each_position():
    header, *lines = read_csv(curves_csv(CURVES))
    assert header[:5] == ["position", "part", "token", "loss", "loss_without"]
    assert [line[0] for line in lines] == ["1", "2", "3", "4"]
    assert [line[1] for line in lines] == ["context", "context", "query", "query"]
    assert [line[3] for line in lines] == ["", "2.0", "1.5", "0.5"]


def test_the_tables_fit_80_columns_and_are_safe():
    text = curves_table(A_MODEL, CURVES, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.replace("\n", "").isprintable()
    said = " ".join(text.split())
    for part in ("ICL score: loss at 3–4 less that at 1–2 nats -1.5 -2 -1", "a note", "it wrote (seed 7)"):
        assert part in said
    rows = [line.split() for line in text.splitlines() if " context " in line or " query " in line]
    assert ["3–4", "query", "1", "2.5", "1.5", "-0.25"] in rows
    assert ["2", "context", "2", "4", "2", "·"] in rows


def test_positions_are_cut_at_about_equal_ratios_and_the_query_is_apart():
    steps = list(_steps(1010, 1000))
    assert steps[0][0] == 1
    assert steps[-1] == (1001, 1010)
    assert all(b[0] == a[1] + 1 for a, b in pairwise(steps))
    assert len(steps) <= 13
    assert list(_steps(3, 0)) == [(1, 3)]
    assert steps[-2][1] == pytest.approx(1000)
