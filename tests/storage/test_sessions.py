"""Session files: equal again after reading, and every damage one plain line."""

import errno
import json
import os
import random
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from icltui.storage import sessions as module
from icltui.storage.paths import example_sessions, is_example, sessions_folder, state_folder
from icltui.storage.sessions import read_session, session_title, write_session
from icltui.values import FORMAT, RefusedLayer, Run, Session
from icltui.values.errors import SessionError
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling
from tests.sessions import A_MODEL, A_SESSION, sessions
from tests.tui import samples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "saved.json"
    write_session(path, A_SESSION)
    return path


def refusal(path: Path) -> str:
    """The one line that reading the file fails with."""
    with pytest.raises(SessionError) as caught:
        read_session(path)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 700
    return text


def reads(path: Path) -> Session | None:
    """The session, or None where it was refused in one line."""
    try:
        return read_session(path)
    except SessionError:
        refusal(path)
        return None


@pytest.mark.parametrize("n_sessions", [10, pytest.param(200, marks=pytest.mark.soak)])
def test_any_session_comes_back_equal(folder: Path, n_sessions: int) -> None:
    @settings(max_examples=n_sessions, deadline=None, suppress_health_check=list(HealthCheck))
    @given(sessions())
    def comes_back(session: Session) -> None:
        path = folder / "any.json"
        write_session(path, session)
        assert read_session(path) == session

    comes_back()


def test_each_row_is_one_line_and_rewriting_changes_nothing(saved: Path) -> None:
    text = saved.read_text()
    assert sum('"unit": ' in line and '"layer": ' in line for line in text.splitlines()) == 6
    write_session(saved, read_session(saved))
    assert saved.read_text() == text


def test_half_a_character_is_kept(tmp_path: Path) -> None:
    session = Session(prompt=Prompt(context="a\udc80b", query="\ud83d"))
    write_session(tmp_path / "s.json", session)
    assert (tmp_path / "s.json").read_bytes().isascii()
    assert read_session(tmp_path / "s.json") == session


OLDER = """{
 "format": 1, "title": "old", "created": "2025-01-02T03:04:05+00:00",
 "prompt": {"context": "a", "query": "b", "unit": "token", "bos": "never"},
 "layers": "last", "mode": "frozen", "components": "both", "n_tokens": 3,
 "model": {"name": "demo", "revision": null, "fingerprint": "f", "architecture": "A", "n_layers": 1,
  "hidden_size": 8, "n_parameters": 9, "dtype": "float32", "device": "cpu", "window": null, "path": "packed",
  "versions": {}},
 "measurement": {
  "tokens": {"prefix": [], "context": [{"id": 1, "text": "a"}], "query": [{"id": 2, "text": "b"}],
   "units": [{"index": 1, "text": "a", "tokens": 1}], "notes": []},
  "layers": [0],
  "rows": [{"unit": 0, "layer": 0, "z_norm": 2.0, "learning_rate": 0.25, "net_patch_norm": 0.0,
   "delta_norm": null, "shift_norm": null, "patch_norm": null, "relative_patch_norm": null,
   "cumulative_patch_norm": null, "cosine_previous": null}],
  "predictions": [], "path": "packed", "seconds": 0.5},
 "generation": null,
 "verification": {
  "layers": [{"layer": 0, "identity_error": 0.0, "block_error": 0.0, "cosine": 1.0, "nmse": 0.0}],
  "logits": {"plain": {"mse": 1.0, "kl": 1.0, "linf": 1.0, "top1_equal": false},
   "patched": {"mse": 0.0, "kl": 0.0, "linf": 0.0, "top1_equal": true}},
  "controls": {}, "noise_floor": 0.0, "undone": true, "tolerance": 0.1, "ok": true, "note": ""}
}"""
"""A file of format 1, as it was written."""


def test_a_file_of_format_1_is_read_and_what_it_lacks_takes_its_default(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(OLDER)
    session = read_session(path)
    assert (session.format, session.recipe.mode, session.prompt.bos) == (FORMAT, "frozen", "never")
    assert (session.dynamics, session.reference, session.prompt.positions) == ("grow", "free", "reset")
    assert session.prompt.chat is False
    assert session.measurement is not None
    assert (session.measurement.dynamics, session.measurement.pairs) == ("grow", ())
    assert session.model is not None
    assert (session.model.sites, session.model.quantize) == ({}, "none")
    assert (session.measurement.rows[0].matrix_norms, session.measurement.rows[0].z_norm) == ({}, 2.0)
    assert session.verification is not None
    assert session.verification.layers[0].rank is None
    write_session(path, session)
    assert json.loads(path.read_text())["format"] == FORMAT
    assert read_session(path) == session


def test_a_patch_of_format_2_becomes_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    lanes = (
        '{"lanes": {}, "agreement": {}, "fit": {}, "mode": "frozen", "components": "shift", "layers": [0]}'
    )
    older = OLDER.replace('"format": 1', '"format": 2').replace(
        '"generation": null', f'"generation": {lanes}'
    )
    path.write_text(older)
    session = read_session(path)
    assert session.generation is not None
    assert session.recipe == Recipe(mode="frozen")
    assert session.generation.recipe == Recipe(mode="frozen", components="shift")
    assert (session.generation.sampling, session.generation.patch) == (Sampling(), None)
    path.write_text(OLDER.replace('"format": 1', '"format": 3'))
    with pytest.raises(SessionError, match="holds 'mode' at"):
        read_session(path)


@pytest.mark.parametrize(
    ("runs", "run", "words"),
    [
        ((Run(number=0, session=A_SESSION),), None, "the runs are numbered [0]"),
        ((Run(number=2, session=A_SESSION), Run(number=1, session=A_SESSION)), None, "are numbered [2, 1]"),
        ((Run(number=1, parent=1, session=A_SESSION),), None, "run 1 comes from run 1"),
        ((Run(number=1, session=replace(A_SESSION, run=1)),), None, "run 1 holds runs of its own"),
        ((Run(number=1, session=replace(A_SESSION, format=3)),), None, "run 1 has format 3"),
        ((), 4, "its present run is 4"),
        (
            (Run(number=1, session=replace(A_SESSION, n_tokens=0)),),
            1,
            "run 1 does not fit together: n_tokens",
        ),
    ],
)
def test_runs_that_no_session_could_have_are_refused(tmp_path: Path, runs, run, words) -> None:
    with pytest.raises(SessionError, match=re.escape(words)):
        write_session(tmp_path / "s.json", replace(A_SESSION, runs=runs, run=run))


def test_a_new_session_knows_when_it_was_made() -> None:
    assert Session(prompt=Prompt()).created.endswith("+00:00")


# Damage.


def test_every_cut_is_told(saved: Path) -> None:
    data = saved.read_bytes().rstrip()
    cuts = [*range(0, len(data), max(1, len(data) // 200))]
    for cut in cuts:
        saved.write_bytes(data[:cut])
        text = refusal(saved)
        assert str(saved) in text
        assert "is empty" in text if cut == 0 else "cut off" in text or "damaged" in text


def test_flipped_bits_read_or_are_told(saved: Path) -> None:
    data, chance = saved.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        saved.write_bytes(damaged)
        refused += reads(saved) is None
    assert refused > 200


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = document.copy()
    changed[path[0]] = put(document[path[0]], path[1:], value)
    return changed


def test_any_value_in_any_place_reads_or_is_told(saved: Path) -> None:
    document = json.loads(saved.read_text())
    chance = random.Random(0)
    everywhere = list(places(document))
    for path in everywhere:
        for value in chance.sample([None, "x\x1b\n", -1, 10**40, 1.5, [], {}, [[]], {"a": 1}, True], 3):
            saved.write_text(json.dumps(put(document, path, value)))
            if (again := reads(saved)) is not None:
                write_session(saved, again)
                assert read_session(saved) == again


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe{}", "the byte at offset 0 (0xff) is not UTF-8"),
        (b"hello", "is damaged at line 1, column 1"),
        (b"[1]", "not an icltui session"),
        (b"{}", "not an icltui session"),
        (b'{"format": true}', "not an icltui session"),
        (b'{"format": 0, "prompt": {}}', "not an icltui session"),
        (b'{"format": 8, "all": "else"}', "by a newer icltui (format 8; this one reads 7): update icltui"),
        (b'{"format": 1}', "missing required field `prompt`"),
        (b'{"format": 1, "prompt": {"context": 3}}', "`$.prompt.context`"),
        (b'{"format": 1, "prompt": {"quert": "?"}}', "holds 'quert' at $.prompt"),
        (
            b'{"format": 1, "prompt": {"unit": "a", "unit": "b"}}',
            "is damaged: it holds 'unit' twice in one place",
        ),
        (b'{"format": 1, "prompt": {}, "mode": "a\\u001b\\nb"}', r"a\x1b\nb"),
        (b'{"format": 1, "prompt": {}, "layers": "banana"}', "layers 'banana' not understood"),
        (b'{"format": 1, "prompt": {}, "n_tokens": 0}', "n_tokens is 0"),
        (b'{"format": 3, "prompt": {}, "recipe": {"alpha": 9.0}}', "alpha 9 is out of range"),
        (b'{"format": 3, "prompt": {}, "recipe": {"alpha": "best"}}', "`$.recipe.alpha`"),
        (b'{"format": 3, "prompt": {}, "recipe": {"mode": "sideways"}}', "`$.recipe.mode`"),
        (b'{"format": 3, "prompt": {}, "recipe": {"mode": "\\ud800"}}', "half a character"),
        (b'{"format": 3, "prompt": {}, "sampling": {"top_p": 0.0}}', "top-p 0 is out of range"),
        (b'{"format": 3, "prompt": {}, "holdout": [""]}', "a held-out query is empty"),
        (b'{"format": 1, "prompt": {}, "n_tokens": NaN}', "NaN is not a number"),
        (b'{"format": 1, "prompt": {}, "n_tokens": ' + b"9" * 5000 + b"}", "damaged"),
        (b'{"format": 1, "prompt": {}, "layers": "' + b"9" * 5000 + b'"}', "does not fit together"),
        (b'{"format": 1, "prompt": {"context": "abc', "is cut off"),
        (b"[" * 100_000, "damaged"),
    ],
)
def test_damage_is_told_in_words(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(data)
    assert words in refusal(path)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("measurement", "rows", 0, "unit"), 9, "a row for unit 9"),
        (("measurement", "rows", 0, "layer"), 1, "a row for unit 0 at layer 1"),
        (("measurement", "layers"), [0, 5], "on a model of 2"),
        (("measurement", "tokens", "units", 0, "index"), 0, "not numbered"),
        (("measurement", "predictions", 1, "top"), [], "a prediction for unit 1 of 0 tokens"),
        (("measurement", "rows", 0, "z_norm"), 1e999, "too large"),
        (("measurement", "predictions", 1, "unit"), 0, "a prediction for unit 0"),
        (("measurement", "pairs", 0, "layer"), 2, "units were compared at layers [2], of [0, 1]"),
        (("measurement", "layers"), [], "a row for unit 0 at layer 0"),
        (("measurement", "pairs", 0, "cosine"), [[1.0, 0.5]], "not the 2 of the context"),
        (("measurement", "pairs", 0, "transfer", 1), [0.0], "not the 2 of the context"),
        (("measurement", "dynamics"), "grown", "`$.measurement.dynamics`"),
        (("model", "refused"), [{"layer": 2, "reason": ""}], "layers [2] were refused of a model of 2"),
        (("measurement", "layers"), [0, 0, 1], "layers [0, 0, 1] were measured on a model of 2"),
        (("measurement", "layers"), [1, 0], "layers [1, 0] were measured on a model of 2"),
        (("generation", "layers"), [0, 2], "layers [0, 2] were patched on a model of 2"),
        (("verification", "layers", 0, "layer"), 1, "layers [1, 1] were proved on a model of 2"),
        (
            ("model", "refused"),
            [{"layer": 1, "reason": "x"}],
            "were measured on a model of 2 without layers [1]",
        ),
        (("model", "refused"), [{"layer": 1, "reason": ""}] * 2, "layers [1, 1] were refused, each once"),
        (("model", "refused"), [{"layer": k, "reason": ""} for k in (0, 1)], "and not all of 2"),
        (("prompt", "unit"), "", "the prompt's unit is empty"),
        (("model", "n_layers"), 0, "the model has 0 layers"),
        (("layers",), "0-7", "out of range"),
        (("generation", "lanes"), {}, "not generated"),
        (("verification", "logits"), {}, "lacks the plain"),
    ],
)
def test_parts_that_do_not_fit_are_told(saved: Path, path: tuple[Any, ...], value: Any, words: str) -> None:
    document = put(json.loads(saved.read_text()), path, value)
    saved.write_text(json.dumps(document).replace("Infinity", "1e999"))
    assert words in refusal(saved)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("exam", "queries"), [], "the exam's patch per-step answers 2 of 0 queries"),
        (("exam", "rows", 1, "patch"), "per-step", "the exam has 2 rows of the patch per-step"),
        (("exam", "layers"), [0, 9], "layers [0, 9] were examined on a model of"),
    ],
)
def test_an_exam_that_does_not_fit_is_told(
    tmp_path: Path, path: tuple[Any, ...], value: Any, words: str
) -> None:
    file = tmp_path / "examined.json"
    write_session(file, replace(samples.session(), exam=samples.exam()))
    document = put(json.loads(file.read_text()), path, value)
    file.write_text(json.dumps(document))
    assert words in refusal(file)


def test_a_layer_that_is_chosen_cannot_be_one_that_was_refused(tmp_path: Path) -> None:
    model = msgspec.structs.replace(A_MODEL, refused=(RefusedLayer(layer=1, reason="error 0.3"),))
    write_session(tmp_path / "s.json", Session(prompt=Prompt(query="b"), model=model, layers="all"))
    document = json.loads((tmp_path / "s.json").read_text())
    (tmp_path / "s.json").write_text(json.dumps(put(document, ("layers",), "0-1")))
    assert "layer 1 cannot be used: error 0.3" in refusal(tmp_path / "s.json")


def test_what_is_no_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such file" in refusal(tmp_path / "none.json")
    assert "is a folder" in refusal(tmp_path)
    assert "check its name" in refusal(tmp_path / ("x" * 300))
    assert "check its name" in refusal(tmp_path / "nul\0")
    assert "\\n" in refusal(tmp_path / "line\nbreak.json")
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in refusal(tmp_path / "pipe")
    monkeypatch.setattr(module, "SIZE_LIMIT", 10)
    (tmp_path / "huge.json").write_text(" " * 11)
    assert "has 11 bytes" in refusal(tmp_path / "huge.json")


# Writing.


def test_files_and_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "s.json"
    before = os.umask(0)
    try:
        write_session(path, A_SESSION)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent, path.parent.parent)] == [
        0o600,
        0o700,
        0o700,
    ]


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_keeps_the_old_file_and_leaves_no_other(
    saved: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, name, full)
    with pytest.raises(SessionError, match=r"cannot save .*no space left on device"):
        write_session(saved, Session(prompt=Prompt(context="new")))
    assert read_session(saved) == A_SESSION
    assert os.listdir(saved.parent) == [saved.name]


def test_an_interrupt_while_writing_leaves_no_other_file(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_session(saved, A_SESSION)
    assert os.listdir(saved.parent) == [saved.name]


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "s.json", tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(SessionError, match=r"^cannot save "):
            write_session(path, A_SESSION)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_what_could_not_be_read_back_is_not_written(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert A_SESSION.measurement is not None
    endless = msgspec.structs.replace(A_SESSION.measurement, seconds=float("inf"))
    for wrong in ({"n_tokens": 0}, {"layers": "7"}, {"measurement": endless}):
        with pytest.raises(SessionError, match=r"^cannot save "):
            write_session(saved, msgspec.structs.replace(A_SESSION, **wrong))
    monkeypatch.setattr(module, "SIZE_LIMIT", 100)
    with pytest.raises(SessionError, match="more than 100"):
        write_session(saved, A_SESSION)
    monkeypatch.undo()
    assert read_session(saved) == A_SESSION


def test_a_link_is_followed(saved: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(saved)
    write_session(link, Session(prompt=Prompt(query="new"), model=A_MODEL))
    assert link.is_symlink()
    assert read_session(saved).prompt.query == "new"


# Places.


def test_sessions_go_beside_the_work_or_to_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert sessions_folder() == tmp_path / "data" / "icltui" / "sessions"
    (tmp_path / "sessions").mkdir()
    assert sessions_folder().resolve() == (tmp_path / "sessions").resolve()


def test_the_state_folder_is_made_for_its_owner_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = state_folder()
    assert made == tmp_path / "state" / "icltui"
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(SessionError, match="set XDG_STATE_HOME"):
        state_folder()


@pytest.mark.parametrize("home", ["", "relative", None])
def test_without_a_home_nothing_is_made_and_nothing_fails(tmp_path: Path, home: str | None) -> None:
    """A user without an entry, as in a container: it must neither crash nor make a folder called ``~`` here."""
    source = (
        "import pwd, sys\n"
        "def getpwuid(_uid): raise KeyError\n"
        "pwd.getpwuid = getpwuid\n"
        "from icltui.storage.config import config_path, read_config\n"
        "from icltui.storage.paths import sessions_folder, state_folder\n"
        "from icltui.values.errors import SessionError\n"
        "from icltui.tui.system.crash_log import write_crash_log\n"
        "try: state_folder()\n"
        "except SessionError as error: print(error)\n"
        "print(read_config(config_path())[1], sessions_folder().is_absolute(), write_crash_log(ValueError('x')))\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HOME", "XDG_"))}
    env |= {"HOME": home} if home is not None else {}
    env |= {"TMPDIR": str(tmp_path / "none")}
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.endswith(": set XDG_STATE_HOME to one that can be written")
    assert "True icltui stopped because of an internal error (ValueError: x); " in second
    assert os.listdir(tmp_path) == []


def test_examples_read_and_know_that_they_are_examples(tmp_path: Path) -> None:
    for path in example_sessions():
        assert is_example(path)
        assert read_session(path).measurement is not None
    assert not is_example(tmp_path / "s.json")


def test_a_session_is_called_after_its_file() -> None:
    assert session_title(Path("a/capital-conflict.json")) == "capital-conflict"
    assert session_title(Path("a\x1b[2J.txt")) == "a?[2J.txt"
