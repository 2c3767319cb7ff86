"""Every option that takes a path, with every path that cannot be used: exit 2 and one line, before a model is loaded.

The options are found by walking the parsers: one that is new has to be written into ``WORDS``.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from icltui.cli import parser
from icltui.cli.common import local_engine
from icltui.cli.main import main
from icltui.storage.paths import real_path, typed_path
from icltui.storage.sessions import write_session
from icltui.values.errors import BadInput, ModelError
from tests.sessions import A_SESSION
from tests.thinned import thinned

PROMPT = ["-c", "a", "-q", "b"]
WORDS: dict[tuple[str, str], list[str]] = {
    ("measure", "--output"): ["measure", *PROMPT, "-o"],
    ("measure", "--save"): ["measure", *PROMPT, "--save"],
    ("verify", "--output"): ["verify", *PROMPT, "-o"],
    ("verify", "--save"): ["verify", *PROMPT, "--save"],
    ("generate", "--output"): ["generate", *PROMPT, "-o"],
    ("generate", "--save"): ["generate", *PROMPT, "--save"],
    ("generate", "--each"): ["generate", "-c", "a", "--each"],
    ("generate", "--queries"): ["generate", *PROMPT, "--mode", "compiled", "--queries"],
    ("generate", "--holdout"): ["generate", *PROMPT, "--holdout"],
    ("compile", "--queries"): ["compile", "-c", "a", "--queries"],
    ("compile", "--holdout"): ["compile", "-c", "a", "--holdout"],
    ("compile", "--output"): ["compile", "-c", "a", "-o"],
    ("compile", "--save"): ["compile", "-c", "a", "--save"],
    ("exam", "session"): ["exam"],
    ("exam", "--queries"): ["exam", "SESSION", "--queries"],
    ("exam", "--holdout"): ["exam", "SESSION", "--holdout"],
    ("exam", "--other"): ["exam", "SESSION", "--other"],
    ("exam", "--output"): ["exam", "SESSION", "-o"],
    ("exam", "--save"): ["exam", "SESSION", "--save"],
    ("patch add", "adapters"): ["patch", "add", "-o", "new", "folder"],
    ("patch add", "--output"): ["patch", "add", "folder", "file", "-o"],
    ("replay", "session"): ["replay"],
    ("replay", "--output"): ["replay", "SESSION", "-o"],
    ("export", "session"): ["export", "--to", "md", "-o", "new.md"],
    ("export", "--output"): ["export", "SESSION", "--to", "md", "-o"],
    ("demo train", "--output"): ["demo", "train", "-o"],
    ("demo examples", "--output"): ["demo", "examples", "-o"],
    ("demo evaluate", "--folder"): ["demo", "evaluate", "--folder"],
    ("demo train", "--checkpoints"): ["demo", "train", "-o", "new", "--checkpoints"],
    ("zoo", "--output"): ["verify", "--zoo", "-o"],
    ("curves", "--output"): ["curves", *PROMPT, "-o"],
    ("heads", "--output"): ["heads", *PROMPT, "-o"],
    ("study", "--output"): ["study", "steering", "-o"],
    ("study", "--out"): ["study", "steering", "--out"],
    ("sweep", "--out"): ["sweep", "prompts.jsonl", "--out"],
}
"""The words before the path, of each option whose value is one."""
TEXTS = {
    "the explorer's session": [],
    "a context": ["measure", "-q", "b", "-c"],
    "a query": ["measure", "-c", "a", "-q"],
    "another context": ["generate", *PROMPT, "--control", "other", "--other-context"],
    "a model": ["measure", *PROMPT, "--model"],
}
"""The same, where a text may be a path."""
MADE = {
    ("demo train", "--output"),
    ("demo train", "--checkpoints"),
    ("demo examples", "--output"),
    ("study", "--out"),
    ("sweep", "--out"),
}
"""Folders that are made, and may be there."""


def taking_paths(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, sub in action.choices.items():
                yield from taking_paths(sub, f"{name} {command}".strip())
        elif action.type is typed_path:
            yield name, max(action.option_strings, key=len, default=action.dest)


def test_no_option_is_forgotten() -> None:
    zoo = {("zoo", option) for _, option in taking_paths(parser._zoo())}
    assert {*taking_paths(parser._commands()), *zoo} == WORDS.keys()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what cannot be used in it, and no engine."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    (tmp_path / "round").symlink_to("round")
    write_session(tmp_path / "session.json", A_SESSION)
    (tmp_path / "prompts.jsonl").write_text('{"context": "a", "query": "b"}\n')

    def unreachable() -> None:
        raise ModelError("a model is asked for")

    for module in ("common", "export", "replay", "demo"):
        monkeypatch.setattr(f"icltui.cli.{module}.local_engine", unreachable)
    return tmp_path


NO_NAMES = ["~nosuchuser/x", "a\0b", "half \ud800", "x" * 5000, "/".join(["x" * 200] * 30)]
OF_NO_USE = ["folder", "file/x", "dangling", "round"]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that is said."""
    code = main(words)
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert err.startswith("icltui: ")
    assert err.endswith("\n")
    assert err[:-1].isprintable()
    assert len(err) < 600
    return err


def is_usable(option: tuple[str, str], text: str) -> bool:
    """A folder that may be there, and a link to where one can be made."""
    return (option in MADE and text == "folder") or (option[1] == "--save" and text == "dangling")


@pytest.mark.parametrize("text", thinned([*NO_NAMES, *OF_NO_USE], 3), ids=lambda text: ascii(text[:14]))
@pytest.mark.parametrize("option", WORDS, ids=" ".join)
def test_a_path_that_cannot_be_used(
    option: tuple[str, str], text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if is_usable(option, text):
        return
    words = [str(folder / "session.json") if word == "SESSION" else word for word in WORDS[option]]
    refused([*words, text], capsys)
    assert not (folder / "nowhere").exists()


@pytest.mark.parametrize("text", [*NO_NAMES, *OF_NO_USE], ids=lambda text: ascii(text[:14]))
@pytest.mark.parametrize("what", TEXTS)
def test_a_text_that_is_such_a_path(
    what: str, text: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "a model":
        from icltui.engine.models.checkpoint import find_checkpoint  # noqa: F401 -- the engine says it, with no model loaded

        monkeypatch.undo()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        if text in OF_NO_USE:
            text = f"./{text}"
            assert main([*TEXTS[what], text]) == 3
            assert capsys.readouterr().err.count("\n") == 1
            return
    refused([*TEXTS[what], text if what in ("a model", "the explorer's session") else f"@{text}"], capsys)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read and write everything")
@pytest.mark.parametrize("option", WORDS, ids=" ".join)
def test_a_path_that_may_not_be_used(
    option: tuple[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = folder / "folder"
    closed.chmod(0)
    words = [str(folder / "session.json") if word == "SESSION" else word for word in WORDS[option]]
    try:
        refused([*words, str(closed / "x")], capsys)
    finally:
        closed.chmod(0o700)


def test_what_may_not_be_used_is_said_wherever_it_is_found(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "closed/x\x1b")

    monkeypatch.setattr(os, "lstat", closed)
    monkeypatch.setattr(os, "stat", closed)
    assert "permission denied" in refused(["measure", *PROMPT, "-o", str(folder / "x")], capsys)


def test_a_current_folder_that_is_gone(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = folder / "folder"
    monkeypatch.chdir(gone)
    gone.rmdir()
    for words in WORDS.values():
        assert "the current folder is gone" in refused(
            [str(folder / "session.json") if word == "SESSION" else word for word in words] + ["x"], capsys
        )
    assert typed_path("/x") == Path("/x")
    assert real_path(Path("x")) == "x"


def test_an_engine_works_in_a_folder_that_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OneMKL ends a process whose current folder is gone."""
    monkeypatch.setitem(sys.modules, "icltui.engine.local", SimpleNamespace(LocalEngine=Path.cwd))
    assert local_engine() == folder
    monkeypatch.chdir(folder / "folder")
    (folder / "folder").rmdir()
    assert local_engine() == Path("/")


def test_home_is_known() -> None:
    assert typed_path("~/a b") == Path.home() / "a b"
    assert typed_path("./~nosuchuser") == Path("./~nosuchuser")
    with pytest.raises(BadInput, match="no user 'nosuchuser' here"):
        typed_path("~nosuchuser")
