"""``icltui exam`` on the embedded model: what it prints, what it keeps, and what is refused before any work."""

import csv
import io
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from icltui.cli.main import main
from icltui.storage.sessions import read_session, write_session
from icltui.values import ExamRow
from tests.cli.test_generate import LoadedOnce

LABELS = read_session(Path(__file__).parents[2] / "sessions" / "labels.json")
KEYS = {
    "patch",
    "r_median",
    "r_low",
    "r_high",
    "right",
    "right_context",
    "right_plain",
    "collateral_kl",
    "seconds",
    "floats",
}
"""What scripts rely on."""


@pytest.fixture(scope="module")
def engine():
    return LoadedOnce()


@pytest.fixture(autouse=True)
def _loaded_once(engine, monkeypatch):
    monkeypatch.setattr("icltui.cli.exam.local_engine", lambda: engine)


@pytest.fixture
def labels(tmp_path) -> Path:
    """The example with fewer queries."""
    path = tmp_path / "labels.json"
    ordinary = tmp_path / "ordinary.txt"
    ordinary.write_text("The ring of the river moved over seven light stones and sand in the north.\n" * 60)
    recipe = replace(LABELS.recipe, queries=LABELS.recipe.queries[:3], background=str(ordinary))
    write_session(path, replace(LABELS, recipe=recipe, holdout=LABELS.holdout[:4]))
    return path


def run(capsys, *argv: object) -> tuple[int, str, str]:
    code = main(["exam", *map(str, argv)])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_table_says_what_it_rests_on(capsys, labels):
    code, out, err = run(capsys, labels, "--rows", "frozen,per-step")
    assert (code, err) == (0, "")
    lines = out.split("\n")
    assert "4 unseen queries (8 tokens), made from 3 others" in lines[0]
    rows = [line for line in lines if line.startswith(("per step", "frozen"))]
    assert rows[0].split()[4] == "1.000"
    assert "4/4" in rows[0]
    assert "4,608" in rows[1]
    queries = [line for line in lines if line.startswith(tuple(LABELS.holdout[:4]))]
    assert len(queries) == 4
    assert "nats" in out


def test_the_keys_that_scripts_rely_on(capsys, labels):
    _, out, _ = run(capsys, labels, "--rows", "frozen", "--format", "json")
    document = json.loads(out)
    (row,) = document["rows"]
    assert {*row} >= KEYS
    assert row["patch"] == "frozen"
    assert [query["query"] for query in document["queries"]] == list(LABELS.holdout[:4])


def test_a_line_of_csv_for_each_row(capsys, labels):
    _, out, _ = run(capsys, labels, "--rows", "frozen,plain", "--format", "csv")
    plain, frozen = csv.DictReader(io.StringIO(out))
    assert (plain["patch"], frozen["patch"]) == ("plain", "frozen")
    assert {*plain} >= KEYS
    assert float(frozen["r_low"]) <= float(frozen["r_median"]) <= float(frozen["r_high"])


def test_a_saved_exam_is_read_and_set_in_markdown(capsys, labels, tmp_path):
    saved, report = tmp_path / "done.json", tmp_path / "done.md"
    run(capsys, labels, "--rows", "frozen", "--save", saved)
    session = read_session(saved)
    assert [row.patch for row in session.exam.rows] == ["frozen"]
    assert session.holdout == LABELS.holdout[:4]
    assert main(["export", str(saved), "--to", "md", "-o", str(report)]) == 0
    text = report.read_text()
    assert "## Exam" in text
    assert "| `frozen`" in text


def test_files_take_the_place_of_the_sessions_queries(capsys, labels, tmp_path):
    queries, holdout = tmp_path / "queries.txt", tmp_path / "holdout.txt"
    queries.write_text("rose:\ncat:\tignored\n")
    holdout.write_text("owl:\torange\noak:\nfox:\tblue\n")
    argv = (labels, "--rows", "per-step", "--queries", queries, "--holdout", holdout)
    _, out, _ = run(capsys, *argv, "--format", "json", "--save", tmp_path / "kept.json")
    document = json.loads(out)
    assert document["calibration"] == ["rose:", "cat:"]
    assert [query["answer"] for query in document["queries"]] == ["orange", None, "blue"]
    assert [query["right_context"] for query in document["queries"]] == [True, True, False]
    assert document["answers_from"] == "both"
    _, out, _ = run(capsys, tmp_path / "kept.json", "--rows", "per-step", "--format", "json")
    assert [query["answer"] for query in json.loads(out)["queries"]] == ["orange", None, "blue"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("owl:\t\noak:\n", "an answer after it"),
        ("\torange\noak:\n", "a query before its tab"),
        ("owl:\torange\nowl:\tred\n", "two answers"),
        ("owl:\n", "leave 1 unseen"),
        ("\n", "holds no query"),
    ],
)
def test_files_that_cannot_be_used_are_refused_in_one_line(capsys, labels, tmp_path, text, words):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    code, out, err = run(capsys, labels, "--holdout", path)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_session_without_queries_says_what_to_do(capsys):
    code, _, err = run(capsys, Path(__file__).parents[2] / "sessions" / "months.json")
    assert code == 2
    assert "--queries FILE" in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--rows", "best"], "'best' not known: use per-step"),
        (["--rows", "joined"], "--other"),
        (["--bootstrap-seed", "-1"], "no seed"),
        (["--bootstrap-seed", "9" * 30], "no seed"),
        (["--other", str(Path(__file__).parents[2] / "sessions" / "months.json")], "lacks calibration"),
    ],
)
def test_wrong_options_are_refused(capsys, labels, argv, words):
    code, _, err = run(capsys, labels, *argv)
    assert code == 2
    assert words in err


def test_another_context_must_be_another(capsys, labels):
    code, _, err = run(capsys, labels, "--other", labels)
    assert code == 2
    assert "the same context" in err


def test_a_row_without_a_patch_is_told_below_the_table():
    from icltui.report.exam import exam_text
    from icltui.values import Exam
    from tests.sessions import A_MODEL

    exam = Exam(rows=(ExamRow(patch="plain", reason="give \x1b[2J --ridge"),), queries=(), calibration=("a",))
    text = exam_text(A_MODEL, exam)
    assert "no compiled, plain: give ␛[2J --ridge" in text
    assert "made from 1 other\n" in text
