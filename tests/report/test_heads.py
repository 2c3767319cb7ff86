"""Attention heads as text: the promised keys, safe cells, and tables of 80 columns."""

import json

from icltui.report.heads import heads_csv, heads_json, heads_table
from icltui.text.spreadsheet import read_csv
from icltui.values.prompt import Prompt
from tests.curves_and_heads import HEADS
from tests.sessions import A_MODEL


def test_the_json_has_the_promised_keys():
    found = json.loads(heads_json(A_MODEL, Prompt(), HEADS))
    assert [
        {key: head[key] for key in ("layer", "head", "induction", "previous")} for head in found["heads"]
    ] == [
        {"layer": 0, "head": 0, "induction": 0.01, "previous": 0.9},
        {"layer": 1, "head": 1, "induction": 0.8, "previous": None},
    ]
    assert found["contributions"][0]["share"] == [[0.75, -0.125], [0.375, None]]
    assert found["not_linear"] == [{"layer": 0, "reason": "a norm follows"}]


def test_the_csv_has_a_line_for_each_head():
    header, *lines = read_csv(heads_csv(HEADS))
    assert header[:4] == ["layer", "head", "induction", "previous"]
    assert header[-1] == "delta_share"
    assert [(line[0], line[1], line[2], line[-1]) for line in lines] == [
        ("0", "0", "0.01", ""),
        ("1", "1", "0.8", "0.375"),
    ]


def test_the_tables_fit_80_columns_and_are_safe():
    text = heads_table(A_MODEL, HEADS, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.replace("\n", "").isprintable()
    rows = [line.split() for line in text.splitlines()]
    assert "Induction heads (50 random tokens, repeated; 8 sequences): 1.1" in text
    assert "δ is not split: layers 0: a norm follows" in text
    assert ["1.1", "0.8", "0.75", "·", "0.02", "·"] in rows
    assert ["1", "3", "0", "0.625", "0.75", "0.5", "1e-07", "1", "·Rome"] in rows
    assert ["1.0", "0.625", "0.75", "-0.125"] in rows
    assert ["all", "1", "1.12", "-0.125"] in rows
