"""What a list says of sessions: the same that is in them, read once; a file that is no session is a line, no error."""

import json
import os
import stat
import time
from pathlib import Path

import pytest

from icltui.storage.paths import EXAMPLES, example_sessions, state_path
from icltui.storage.recent_sessions import recent_sessions, remember_session
from icltui.storage.session_index import CELLS, SessionIndex, facts_of
from icltui.storage.sessions import read_session
from tests.hostile import TOKENS


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize("path", example_sessions()[:2], ids=lambda path: path.stem)
def test_facts_are_those_of_the_session(path: Path) -> None:
    session, facts = read_session(path), facts_of(path)
    assert session.measurement
    assert session.generation
    assert session.model
    assert (facts.title, facts.model, facts.n_layers) == (
        session.title,
        session.model.name,
        session.model.n_layers,
    )
    assert (facts.context, facts.query) == (session.prompt.context, session.prompt.query)
    assert facts.said_with == session.generation.lanes["context"].text
    assert facts.said_without == session.generation.lanes["plain"].text
    units = session.measurement.tokens.units
    assert facts.n_units == len(units)
    assert len(facts.heat) == min(len(units), CELLS)
    last = session.measurement.layers[-1]
    sizes = [row.delta_norm for row in session.measurement.rows if row.unit and row.layer == last]
    if len(sizes) <= CELLS:
        assert facts.heat.index(100) == sizes.index(max(filter(None, sizes)))


def test_results_that_only_the_run_holds_are_found(tmp_path: Path) -> None:
    whole = json.loads(example_sessions()[0].read_text())
    part = {name: whole.pop(name) for name in ("measurement", "generation")}
    whole |= {"runs": [{"number": 7, "note": "mine", "session": part}], "run": 7}
    (path := tmp_path / "a.json").write_text(json.dumps(whole))
    assert facts_of(path).heat == facts_of(example_sessions()[0]).heat
    assert facts_of(path).note == "mine"


DAMAGED = (
    b"",
    b"{",
    b"[1]",
    b"\xff\xfe",
    b'{"format": 6}',
    b"[" * 100_000,
    b'{"format":6,"prompt":{"context":3}}',
    b"\0",
)


def test_what_is_no_session_is_told_in_a_line(tmp_path: Path) -> None:
    for number, data in enumerate(DAMAGED):
        (path := tmp_path / f"{number}.json").write_bytes(data)
        assert facts_of(path).fault
    os.mkfifo(tmp_path / "pipe.json")  # reading it would wait for ever
    for path in (tmp_path / "pipe.json", tmp_path, tmp_path / "gone.json"):
        assert facts_of(path).fault
        assert SessionIndex().read(path).fault


def test_the_index_is_kept_and_follows_the_files(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_bytes(example_sessions()[0].read_bytes())
    index = SessionIndex()
    assert index.known(path) is None
    facts = index.read(path)
    index.keep()
    (kept,) = state_path().glob("sessions.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert SessionIndex().known(path) == facts
    path.write_bytes(example_sessions()[1].read_bytes())
    assert SessionIndex().known(path) is None
    assert SessionIndex().read(path).title == "nonce-mapping"
    for damage in (b"{", b"[]", b'{"version": 99}', kept.read_bytes()[:-9]):
        kept.write_bytes(damage)
        assert SessionIndex().known(path) is None


def test_hostile_texts_are_kept_and_read_back(tmp_path: Path) -> None:
    index = SessionIndex()
    for number, text in enumerate(TOKENS):
        asked = {"context": text * 99, "query": text}
        (path := tmp_path / f"{number}.json").write_text(
            json.dumps({"format": 6, "prompt": asked, "title": text})
        )
        index.read(path)
    index.keep()
    again = SessionIndex()
    assert all(again.known(tmp_path / f"{number}.json") for number in range(len(TOKENS)))


def test_recent_sessions_are_newest_first_once_and_not_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icltui.storage.recent_sessions.MOST", 4)
    for number in (*range(9), 7):
        remember_session(tmp_path / f"{number}.json")
    assert list(recent_sessions()) == [tmp_path / f"{number}.json" for number in (7, 8, 6, 5)]
    (state_path() / "recent-sessions.json").write_bytes(b"[{")
    assert recent_sessions() == {}


def test_every_example_has_its_line() -> None:
    assert {path.stem for path in example_sessions()} == EXAMPLES.keys()
    assert all(10 < len(text) <= 90 for text in EXAMPLES.values())


def test_five_hundred_are_read_in_no_time_the_second_time(tmp_path: Path) -> None:
    """As a share of what the first time took, since the machine may be busy."""
    data = example_sessions()[4].read_bytes()
    paths = [tmp_path / f"{number}.json" for number in range(500)]
    for path in paths:
        path.write_bytes(data)
    took = []
    for _ in range(2):
        begin = time.process_time()
        index = SessionIndex()
        assert not any(index.read(path).fault for path in paths)
        took.append(time.process_time() - begin)
        index.keep()
    assert took[1] < took[0] / 2
