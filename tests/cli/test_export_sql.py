"""``icltui export … --to sql``: sessions and sweeps as rows of one database; one plain line for whatever is wrong."""

import json
import sqlite3
from contextlib import closing

import msgspec
import pytest

from icltui.cli.main import main
from icltui.storage.row_store import RowStore
from icltui.storage.rows_folder import claim_folder
from icltui.storage.sessions import write_session
from icltui.values import Session
from icltui.values.prompt import Prompt
from icltui.values.sweep import RowsFolder, SweepRow
from tests.cli.loaded_once import load_once
from tests.sessions import A_SESSION, HOSTILE

pytest.importorskip("sqlalchemy")
CONTEXT, QUERY = "The capital of France is Rome.\n", "The capital of France is"


def run(capsys, *argv: object) -> tuple[int, str, str]:
    code = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    return code, out, err


def asked(path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("icltui.report.summary_files.FORMATS", ())  # figures take most of a sweep's time
    return tmp_path


def test_a_session_twice_and_another_beside_it(folder, capsys):
    write_session(folder / "s.json", A_SESSION)
    write_session(
        folder / "t.json", msgspec.structs.replace(A_SESSION, prompt=Prompt(query=HOSTILE), title="")
    )
    first = run(capsys, "export", "s.json", "--to", "sql", "-o", "new/log.sqlite")
    assert first == (0, "sqlite:///new/log.sqlite: 6 new rows, 0 there before\n", "")
    again = run(capsys, "export", "s.json", "--to", "sql", "--url", "sqlite:///new/log.sqlite")
    assert again == (0, "sqlite:///new/log.sqlite: 0 new rows, 6 there before\n", "")
    assert run(capsys, "export", "t.json", "--to", "sql", "-o", "new/log.sqlite")[0] == 0
    titles = asked("new/log.sqlite", "SELECT title FROM icl_dynamics_session ORDER BY rowid")
    assert titles == [("capital-conflict",), ("t",)]


def test_a_sweeps_row_is_what_measure_gives_of_the_whole_context(folder, capsys, monkeypatch):
    load_once(monkeypatch)
    (folder / "p.jsonl").write_text(json.dumps({"context": CONTEXT, "query": QUERY}))
    assert run(capsys, "sweep", "p.jsonl", "--out", "swept", "--layers", "all", "last")[0] == 0
    failed = RowStore(folder / "swept", SweepRow)
    failed.append([SweepRow(key="failed", error="no")])
    failed.flush()
    measure = ("measure", "-c", CONTEXT, "-q", QUERY, "--unit", "|", "--save", "s.json", "-o", "table")
    assert run(capsys, *measure)[0] == 0
    code, said, _ = run(capsys, "export", "swept", "--to", "sql", "-o", "log.sqlite")
    assert code == 0
    assert said.endswith("7 new rows, 0 there before; without a result: 1 of the sweep's rows\n")
    assert run(capsys, "export", "swept", "--to", "sql", "-o", "log.sqlite")[1].startswith(
        "sqlite:///log.sqlite: 0 new rows, 7 there before"
    )
    assert run(capsys, "export", "s.json", "--to", "sql", "-o", "log.sqlite")[0] == 0
    pairs = asked(
        "log.sqlite",
        "SELECT l.layer_idx, l.delta_norm, m.delta_norm, l.update_frobenius_norm, m.update_frobenius_norm, "
        "l.implicit_learning_rate, m.implicit_learning_rate, l.cumulative_update_norm, m.cumulative_update_norm "
        "FROM icl_dynamics_log l JOIN icl_dynamics_log m USING (prompt_hash, layer_idx, token_idx, token_text) "
        "JOIN icl_dynamics_session s ON s.session_id = l.session_id "
        "JOIN icl_dynamics_session t ON t.session_id = m.session_id "
        "WHERE s.source = 'sweep' AND t.source = 'session' AND s.unit = 'context' ORDER BY layer_idx",
    )
    assert [layer for layer, *_ in pairs] == [0, 1, 2, 3, 4, 5, 5]
    for _, *numbers in pairs:
        assert numbers[::2] == pytest.approx(numbers[1::2], rel=1e-4)


def test_what_has_no_rows_for_the_log_makes_no_file(folder, capsys):
    write_session(folder / "none.json", Session(prompt=Prompt(query=QUERY)))
    claim_folder(folder / "study", RowsFolder(kind="steering", version="1", columns=()))
    claim_folder(folder / "damaged", RowsFolder(kind="sweep", version="1", columns=()))
    bad = RowStore(folder / "damaged", SweepRow)
    bad.append([SweepRow(key="k", layers_used=(10**9,))])
    bad.flush()
    (folder / "empty").mkdir()
    for name, words in (
        ("none.json", "the session holds no measures, so there is nothing to log: run it and save it first"),
        ("study", "study holds rows of the study steering, which no table of the log has columns for"),
        ("damaged", "damaged holds a damaged row (Expected `int` <= 4095"),
        ("empty", "it has no experiment.json: name the --out folder of a sweep or a study"),
        ("gone.json", "no such file"),
    ):
        code, out, err = run(capsys, "export", name, "--to", "sql", "-o", "log.sqlite")
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert words in err
    assert not (folder / "log.sqlite").exists()


def test_a_sweep_without_a_row_is_no_error(folder, capsys):
    claim_folder(folder / "swept", RowsFolder(kind="sweep", version="1", columns=()))
    code, out, _ = run(capsys, "export", "swept", "--to", "sql", "-o", "log.sqlite")
    assert (code, out) == (0, "sqlite:///log.sqlite: 0 new rows, 0 there before\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--to", "sql"], "one of the arguments -o/--output --url is required"),
        (["--to", "sql", "-o", "a", "--url", "b"], "argument --url: not allowed with argument -o/--output"),
        (["--to", "sql", "-o", "-"], "-o - means stdout, where no database can be"),
        (["--to", "sql", "-o", "a", "--mode", "frozen"], "--mode means nothing to a database"),
        (["--to", "csv", "--url", "sqlite:///a"], "--url means nothing to a CSV table"),
        (["--to", "peft", "--url", "sqlite:///a"], "--url is for --to sql"),
        (["--to", "sql", "--url", ""], "the database's URL cannot be read"),
        (["--to", "sql", "-o", "."], "cannot write .: it is not a file: choose another place"),
    ],
)
def test_refused_in_one_line(folder, capsys, words, complaint):
    write_session(folder / "s.json", A_SESSION)
    code, out, err = run(capsys, "export", "s.json", *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert complaint in err
    assert [path.name for path in folder.iterdir()] == ["s.json"]
