"""What a session and its runs have in common is in the file once, and every run reads as whole as it was."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from icltui.storage.sessions import read_session, write_session
from icltui.text.pretty_json import pretty
from icltui.values import Run, Session
from icltui.values.errors import SessionError
from tests.sessions import A_SESSION, sessions

ALONE = replace(A_SESSION, runs=(), run=None)
OTHER = replace(ALONE, measurement=replace(ALONE.measurement, seconds=9.0), generation=None)


def of_runs(now: Session, *runs: Session) -> Session:
    numbered = (Run(number=n, parent=n - 1 or None, session=run) for n, run in enumerate(runs, start=1))
    return replace(now, runs=tuple(numbered), run=len(runs) or None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.json"


def test_a_measurement_of_the_session_and_its_runs_is_written_once(path: Path) -> None:
    session = of_runs(ALONE, OTHER, replace(OTHER, verification=None), ALONE)
    write_session(path, ALONE)
    alone = path.stat().st_size
    write_session(path, session)
    runs = json.loads(path.read_text())["runs"]
    assert [run.get("same", {}).get("measurement") for run in runs] == [None, 1, 0]
    assert path.read_text().count('"rows": ') == 2
    read = read_session(path)
    assert read == session
    assert read.measurement is read.runs[2].session.measurement, "in memory too"
    write_session(path, of_runs(ALONE, ALONE))
    assert path.stat().st_size < 1.2 * alone


@given(sessions(), st.lists(st.integers(0, 2), max_size=4))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_runs_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory, some: Session, kinds: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-runs.json"
    some = some.alone
    session = of_runs(some, *([some, replace(some, generation=None), OTHER][kind] for kind in kinds))
    write_session(path, session)
    assert read_session(path) == session


def test_a_file_that_holds_all_of_it_twice_is_read(path: Path) -> None:
    session = of_runs(ALONE, OTHER, ALONE)
    for number in (6, 7):
        path.write_text(pretty(session).replace('"format": 7', f'"format": {number}'))
        assert read_session(path) == session


@pytest.mark.parametrize(
    ("same", "words"),
    [
        ({"measurement": 3}, "run 2 has the measurement of run 3, which holds none"),
        ({"measurement": 2}, "run 2 has the measurement of run 2, which holds none"),
        ({"exam": 0}, '"same" of run 2 names no results'),
        ({"prompt": 0}, '"same" of run 2 names no results'),
        ({"measurement": "0"}, '"same" of run 2 names no results'),
        (["measurement"], '"same" of run 2 names no results'),
    ],
)
def test_what_no_other_run_holds_is_refused(path: Path, same: Any, words: str) -> None:
    write_session(path, of_runs(replace(ALONE, exam=None), OTHER, ALONE))
    document = json.loads(path.read_text())
    document["runs"][1]["same"] = same
    path.write_text(json.dumps(document))
    with pytest.raises(SessionError, match=words):
        read_session(path)
