"""``--log URL`` of the headless commands: rows once, whatever ran before, and one line where there is no database."""

import sqlite3
from pathlib import Path

import pytest

from icltui.cli.database_log import say_of_log
from icltui.cli.main import main
from icltui.storage.database.destination import spool_of
from icltui.storage.row_store import read_rows
from tests.cli.loaded_once import load_once

pytest.importorskip("sqlalchemy")
MEASURE = ("measure", "-c", "The cat is red.", "-q", "The cat is")
LINE = '{{"context": "The {0} is red.", "query": "The {0} is", "answer": " red"}}\n'


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's; and no figures, which take most of a sweep's time here."""
    monkeypatch.setattr("icltui.report.summary_files.FORMATS", ())
    load_once(monkeypatch)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def asked(path: str, query: str) -> list[tuple[object, ...]]:
    file = sqlite3.connect(path)
    try:
        return file.execute(query).fetchall()
    finally:
        file.close()


def test_a_measurement_is_logged_once(capsys):
    for n_new in (42, 0):
        assert main([*MEASURE, "--log", "sqlite:///log.sqlite"]) == 0
        output = capsys.readouterr()
        assert "packed pass" in output.out
        assert output.err.splitlines()[-1] == (
            f"icltui: log: {n_new} new rows in sqlite:///{Path('log.sqlite').absolute()}"
        )
    assert asked("log.sqlite", "SELECT source, n_units FROM icl_dynamics_session") == [("measure", 6)]


def test_without_its_database_a_measurement_is_printed_and_kept(capsys):
    Path("lab").write_text("no folder")
    assert main([*MEASURE, "--log", "sqlite:///lab/log.sqlite"]) == 0
    output = capsys.readouterr()
    assert "packed pass" in output.out
    spool = spool_of("sqlite:///lab/log.sqlite")
    assert f"log: 1 measurement is kept in {spool.path}" in output.err
    Path("lab").unlink()
    assert main([*MEASURE, "--log", "sqlite:///lab/log.sqlite"]) == 0
    assert "log: 42 new rows in" in capsys.readouterr().err
    assert len(spool) == 0


def test_what_a_database_says_cannot_write_to_the_terminal(capsys):
    say_of_log("log: lab: \x1b[2Jgone\r")
    assert capsys.readouterr().err == "icltui: log: lab: ␛[2Jgone␍\n"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("log.sqlite", "the database's URL cannot be read: write sqlite:///log.sqlite or"),
        ("nodb://host/x", "no database is called 'nodb'"),
        ("sqlite://", "a SQLite database in memory is gone at the end"),
    ],
)
def test_a_url_that_is_none_is_refused_before_a_model_is_loaded(capsys, url, complaint):
    assert main([*MEASURE, "--model", "no/such", "--log", url]) == 2
    assert complaint in capsys.readouterr().err


def test_a_sweep_logs_its_rows_and_those_that_were_there(capsys):
    Path("p.jsonl").write_text("".join(map(LINE.format, ("cat", "dog"))))
    sweep = ("sweep", "p.jsonl", "--out", "out", "--alpha", "0.5", "1")
    assert main([*sweep, "--log", "sqlite:///one.sqlite"]) == 0
    assert "log: 24 new rows in" in capsys.readouterr().err
    rows = read_rows(Path("out")).to_pylist()
    expected = [
        (row["key"], layer, delta)
        for row in rows
        for layer, delta in zip(row["layers_used"], row["delta_norms"], strict=True)
    ]
    numbers = "SELECT session_id, layer_idx, delta_norm FROM icl_dynamics_log ORDER BY session_id, layer_idx"
    assert asked("one.sqlite", numbers) == expected
    assert main([*sweep, "--log", "sqlite:///two.sqlite"]) == 0, "which has nothing to run"
    assert asked("two.sqlite", numbers) == expected
    assert main([*sweep, "--log", "sqlite:///two.sqlite"]) == 0
    assert "log: 0 new rows in" in capsys.readouterr().err.splitlines()[-1]


def test_a_study_has_no_rows_for_the_log(capsys):
    assert main(["study", "override", "--log", "sqlite:///log.sqlite"]) == 2
    assert "--log" in capsys.readouterr().err
