"""A summary as text, Markdown, JSON and files: every number, and no text that breaks any of them."""

import csv
import io
import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from icltui.report import summary_files
from icltui.report.experiment_summary import figure_stems, summary_json, summary_markdown, summary_text
from icltui.report.summary_files import rows_csv, write_summary
from icltui.text.spreadsheet import read_csv
from icltui.values.errors import BadInput
from icltui.values.results import Summary, SummaryTable
from tests.hostile import TEXTS, TOKENS, cells_of, poisoned
from tests.report.test_experiment_figure import A_FIGURE

PARSER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
A_TABLE = SummaryTable(
    title="Per layer",
    columns=("layer", "control", "KL", "exact", "none"),
    rows=((0, "random", 0.123456, True, None), (11, "a | b", 1e-9, False, None), (2, "short")),
    note="KL in nats.",
)
A_SUMMARY = Summary(
    title="Steering",
    question="Does it steer?",
    answer=("It does, in 7 of 10.",),
    shows_not=("Whether it would elsewhere.",),
    tables=(A_TABLE,),
    figures=(A_FIGURE,),
    n_rows=1200,
    n_failed=3,
)
ROWS = [
    {"key": "a", "error": None, "kl": 0.5, "top1_equal": True, "tags": ("x", "y"), "query": "=1+1"},
    {"key": "b", "error": "broken", "kl": None, "top1_equal": None, "tags": (), "query": "a,b\n"},
]


def test_the_text():
    lines = summary_text(A_SUMMARY, 100).split("\n")
    assert lines[0] == "Steering"
    for line in (
        "layer control  KL exact none",
        "    0 random 0.123 yes      ·",
        "    2 short      ·  ·       ·",
        "It does, in 7 of 10.",
        "* Whether it would elsewhere.",
        "1,200 rows, 3 of them without a result",
    ):
        assert " ".join(line.split()) in [" ".join(shown.split()) for shown in lines]


def test_the_markdown():
    text = summary_markdown(A_SUMMARY)
    for part in (
        "# Steering",
        "| 0 | random | 0.123 | yes | · |",
        "a \\| b",
        "![Drops](figures/drops.svg)",
        "## What this does not show\n\n- Whether it would elsewhere.",
    ):
        assert part in text


def test_the_json_has_every_number_and_null_where_one_is_not_finite():
    odd = msgspec.structs.replace(
        A_SUMMARY, tables=(SummaryTable(title="t", columns=("a", "b"), rows=((float("inf"), float("nan")),)),)
    )
    found = json.loads(summary_json(odd))
    assert found["tables"][0]["rows"] == [[None, None]]
    assert found["n_rows"] == 1200
    assert found["figures"][0]["series"][0]["y"] == [1.0, 0.5, None, 0.1]


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5), st.integers(1, 200))
def test_no_text_breaks_it(texts, width):
    odd = poisoned(A_SUMMARY, texts)
    for line in summary_text(odd, width).split("\n"):
        cells_of(line)
    markdown = summary_markdown(odd)
    for line in markdown.split("\n"):
        cells_of(line)
    tokens = PARSER.parse(markdown)
    headings = [b.content for a, b in pairwise(tokens) if a.type == "heading_open"]
    assert len(headings) == 2 or not texts[0].strip()
    assert sum(token.type == "table_open" for token in tokens) == 1
    assert sum(token.type == "td_open" for token in tokens) == 3 * len(A_TABLE.columns)
    json.loads(summary_json(odd))


def test_files_of_any_figure_name_are_inside_the_folder(tmp_path):
    names = [*TOKENS, "../../x", "/etc/passwd", "a", "a-2", "a", "A"]
    figures = tuple(msgspec.structs.replace(A_FIGURE, name=name) for name in names)
    stems = figure_stems(msgspec.structs.replace(A_SUMMARY, figures=figures))
    assert len({stem.lower() for stem in stems}) == len(names)
    assert all((tmp_path / f"{stem}.svg").parent == tmp_path for stem in stems)


def test_the_files(tmp_path):
    assert write_summary(tmp_path, A_SUMMARY, ROWS) is None
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")} == {
        "summary.json",
        "summary.md",
        "rows.csv",
        "figures/drops.svg",
        "figures/drops.png",
    }
    first = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    write_summary(tmp_path, A_SUMMARY, ROWS)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == first


def test_without_matplotlib_the_numbers_are_there_and_a_line_says_what_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert "pip install 'icltui[study]'" in (write_summary(tmp_path, A_SUMMARY, ROWS) or "")
    assert {path.name for path in tmp_path.iterdir()} == {"summary.json", "summary.md", "rows.csv"}


def test_a_file_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise BadInput("cannot write: No space left on device: choose another place")

    monkeypatch.setattr(summary_files, "write_file", full)
    with pytest.raises(BadInput, match="No space left"):
        write_summary(tmp_path, A_SUMMARY, ROWS)


def test_rows_as_csv_keep_every_text_and_compute_none():
    text = rows_csv(ROWS)
    head, *rows = list(csv.reader(io.StringIO(text)))
    assert head == list(ROWS[0])
    assert rows[0] == ["a", "", "0.5", "true", '["x", "y"]', "'=1+1"]
    assert read_csv(text)[2] == ["b", "broken", "", "", "[]", "a,b\n"]


def test_numbers_are_never_cut_however_many_columns_there_are() -> None:
    cells = tuple(float(f"1.{at:02}e-1{at % 10}") for at in range(30))
    columns = ("run", *(f"longer title {at}" for at in range(30)))
    shown = SummaryTable(title="Wide", columns=columns, rows=(("no patch at all", *cells), ("x", *cells)))
    text = summary_text(Summary(title="T", tables=(shown,)), 80)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for cell in cells:
        assert text.split().count(f"{cell:.3g}") == 2
    assert text.count("no patch at all") > 1  # each piece names its rows
