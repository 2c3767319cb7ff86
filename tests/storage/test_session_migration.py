"""What an older session recorded gives the same numbers again, whatever a choice's name means since."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from icltui.storage.paths import example_sessions
from icltui.storage.sessions import read_session, write_session
from icltui.values import FORMAT, Run, Session
from icltui.values.prompt import Prompt
from tests.sessions import A_SESSION


def older(session: Session, path: Path, number: int = 4, **prompt: Any) -> Session:
    """The session, read from a file as the release before wrote it."""
    write_session(path, session)
    document = json.loads(path.read_text())
    for part in (document, *(run["session"] for run in document["runs"])):
        part["format"] = number
        part["prompt"] |= prompt
    path.write_text(json.dumps(document))
    return read_session(path)


def with_prefix(session: Session, *ids: int) -> Session:
    """The session with its results on these kept tokens."""
    measurement, generation, verification = session.measurement, session.generation, session.verification
    tokens = tuple(replace(measurement.tokens.context[0], id=token) for token in ids)
    return replace(
        session,
        measurement=replace(measurement, tokens=replace(measurement.tokens, prefix=tokens)),
        generation=generation and replace(generation, ids=replace(measurement.tokens.ids, prefix=ids)),
        verification=verification and replace(verification, ids=replace(measurement.tokens.ids, prefix=ids)),
    )


@pytest.mark.parametrize(
    ("ids", "prompt", "wanted"),
    [
        ((), {"bos": "auto"}, "never"),
        ((5,), {"bos": "auto"}, "auto"),
        ((), {"bos": "auto", "chat": True}, "auto"),
        ((), {"bos": "always"}, "always"),
        ((), {"bos": "never"}, "never"),
    ],
)
def test_auto_that_kept_nothing_says_never(tmp_path, ids, prompt, wanted):
    session = with_prefix(A_SESSION, *ids)
    assert older(session, tmp_path / "a.json", **prompt).prompt.bos == wanted


@pytest.mark.parametrize("part", ["measurement", "generation", "verification"])
def test_any_result_tells(tmp_path, part):
    session = with_prefix(A_SESSION)
    lone = {name: None for name in ("measurement", "generation", "verification") if name != part}
    assert older(replace(session, **lone), tmp_path / "a.json").prompt.bos == "never"


def test_a_record_names_the_tokens_that_its_ids_kept(tmp_path):
    """The texts were in the measurement alone; one of other tokens does not tell them."""
    path, session = tmp_path / "a.json", with_prefix(A_SESSION, 5)
    read = older(session, path)
    assert read.generation.kept_prefix == read.verification.kept_prefix == session.measurement.tokens.prefix
    other = replace(
        session, generation=replace(session.generation, ids=with_prefix(A_SESSION, 6).generation.ids)
    )
    assert older(other, path).generation.kept_prefix == ()


def test_a_prompt_that_was_not_run_takes_todays_meaning(tmp_path):
    session = Session(prompt=Prompt(context="a", query="b"))
    assert older(session, tmp_path / "a.json").prompt.bos == "auto"


def test_the_runs_before_are_brought_along(tmp_path):
    plain = with_prefix(replace(A_SESSION, runs=(), run=None))
    kept = with_prefix(plain, 5)
    session = replace(kept, runs=(Run(number=1, session=plain), Run(number=2, parent=1, session=kept)), run=2)
    read = older(session, tmp_path / "a.json")
    assert [run.session.prompt.bos for run in read.runs] == ["never", "auto"]
    assert {read.format, *(run.session.format for run in read.runs)} == {FORMAT}
    assert read.prompt.bos == "auto"


def test_a_session_of_today_means_what_it_says(tmp_path):
    """Nothing is kept by auto where the model has no sink, on this machine and on the next."""
    session = with_prefix(A_SESSION)
    assert session.prompt.bos == "auto"
    assert older(session, tmp_path / "a.json", number=FORMAT) == session


@pytest.mark.parametrize("path", example_sessions(), ids=lambda path: path.stem)
def test_the_examples_stay_as_they_are(path):
    """The embedded model's tokenizer puts a token there."""
    assert read_session(path).prompt.bos == "auto"
