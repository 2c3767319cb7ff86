"""Folders and GGUF files that a typed path may mean."""

from pathlib import Path

import pytest

from icltui.tui.system.path_completion import ModelPath, candidates, completed, is_model, is_path


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("models/llama-3-8b", "models/llama-3-70b", "models/.cache", "models/ev\x1bil", "mix"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "models/llama-3-8b/config.json").touch()
    (tmp_path / "models/lonely-file").touch()
    return tmp_path


def test_models_are_marked_and_files_hidden_and_hostile_names_left_out(home: Path) -> None:
    assert candidates("~/models/") == [
        ModelPath("~/models/llama-3-70b", is_model=False),
        ModelPath("~/models/llama-3-8b", is_model=True),
    ]
    assert candidates("./models/.") == [ModelPath("./models/.cache", is_model=False)]
    assert candidates(f"{home}/mi") == [ModelPath(f"{home}/mix", is_model=False)]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("~/m", "~/m"),
        ("~/mo", "~/models/"),
        ("~/models/l", "~/models/llama-3-"),
        ("~/models/llama-3-8", "~/models/llama-3-8b/"),
        ("~", "~/"),
        ("~/none", "~/none"),
        ("~/models/\0", "~/models/\0"),
        ("~nobody-of-that-name/x", "~nobody-of-that-name/x"),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_path_is_completed_as_far_as_it_is_clear(text: str, whole: str) -> None:
    assert completed(text, candidates(text)) == whole


def test_gguf_files_are_models_and_so_are_folders_of_them(home: Path) -> None:
    (home / "models/one").mkdir()
    (home / "models/one/a.gguf").touch()
    (home / "models/lonely.gguf").touch()
    assert candidates("~/models/lo") == [ModelPath("~/models/lonely.gguf", is_model=True, is_file=True)]
    assert candidates("~/models/o") == [ModelPath("~/models/one", is_model=True)]
    assert candidates("~/models/one/") == [ModelPath("~/models/one/a.gguf", is_model=True, is_file=True)]
    assert completed("~/models/lo", candidates("~/models/lo")) == "~/models/lonely.gguf"
    assert is_model("~/models/lonely.gguf")
    assert not is_model("~/models/lonely-file")


def test_an_id_on_the_hub_is_no_path() -> None:
    assert [is_path(text) for text in ("gpt2", "Qwen/Qwen3-0.6B", "~/a", "./a", "/a")] == [False] * 2 + [
        True
    ] * 3
