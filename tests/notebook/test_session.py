"""Sessions in Python: opened, made, saved, and opened again in the explorer's own terms."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import icltui
from icltui.storage.sessions import read_session, write_session
from icltui.tui.state.results import Results
from icltui.tui.state.session_conversion import session_of, settings_of
from icltui.tui.state.session_file import Document
from icltui.values import Session
from icltui.values.errors import BadInput, SessionError
from tests.waiting import PATIENCE

CONTEXT, QUERY = "The capital of France is Rome.", " The capital of France is"
SAVED = Path(__file__).parents[2] / "sessions" / "contradicted-capital.json"


def saved_by_the_explorer(session: Session) -> Session:
    """What the explorer saves after it has opened the session."""
    settings = settings_of(session, None)
    results = Results.from_session(session, settings, session.model)
    return session_of(Document(title=session.title, created=session.created), settings, results)


def test_a_saved_session_has_its_parts():
    opened, value = icltui.Session.open(SAVED), read_session(SAVED)
    for name in ("prompt", "recipe", "layers", "model", "measurement", "generation", "verification", "exam"):
        assert getattr(opened, name) == getattr(value, name), name
    assert repr(opened) == "<session 'contradicted-capital' on demo: measurement, generation, verification>"


def test_one_made_in_python_opens_in_the_explorer_and_the_other_way_round(tmp_path):
    made = icltui.Session.of(
        "demo", context=CONTEXT, query=QUERY, title="mine", mode="frozen", n_tokens=4, layers="0,2-5"
    )
    path = made.save(tmp_path / "new" / "mine.json")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert icltui.Session.open(path) == made
    saved = saved_by_the_explorer(read_session(path))
    for name in saved.__struct_fields__:  # every result answers the settings, so that the explorer keeps it
        assert getattr(saved, name) == getattr(made.value, name), name
    write_session(tmp_path / "explorer.json", saved)
    assert icltui.Session.open(tmp_path / "explorer.json") == made
    again = made.run("demo")
    assert again.measurement.rows == made.measurement.rows
    assert again.generation == made.generation
    assert again.verification.logits == made.verification.logits


def test_no_file_is_lost(tmp_path):
    opened = icltui.Session.open(SAVED)
    (tmp_path / "there.json").write_text("mine")
    with pytest.raises(SessionError, match=r"there.json exists already: choose another name"):
        opened.save(tmp_path / "there.json")
    assert (tmp_path / "there.json").read_text() == "mine"
    with pytest.raises(SessionError, match=r"is not an icltui session|is damaged"):
        icltui.Session.open(tmp_path / "there.json")
    with pytest.raises(SessionError, match="no such file"):
        icltui.Session.open(tmp_path / "none.json")
    with pytest.raises(SessionError, match="is a folder"):
        icltui.Session.open(tmp_path)


def test_what_it_cannot_do_is_one_line():
    with pytest.raises(BadInput, match="'colour' is no option of a session: use context, query, unit, "):
        icltui.Session.of("demo", context=CONTEXT, query=QUERY, colour="red")
    with pytest.raises(BadInput, match="the query is empty"):
        icltui.Session.of("demo", context=CONTEXT)


def test_a_session_opens_without_torch():
    code = (
        f"import sys, icltui; icltui.Session.open({str(SAVED)!r})._repr_svg_(); print('matplotlib' in sys.modules, "
        "{'torch', 'transformers', 'matplotlib.pyplot', 'IPython'} & {*sys.modules})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert run.stdout.strip() == "True set()"
