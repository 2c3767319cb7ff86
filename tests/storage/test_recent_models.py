"""The models loaded before."""

import os
import stat
from pathlib import Path

import pytest

from icltui.api.messages import DEMO, LoadModel
from icltui.storage import recent_models as module
from icltui.storage.recent_models import MOST, recent_models, remember_model


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    return module._path()


def test_the_newest_leads_with_its_choices_and_each_stands_once() -> None:
    for load in (
        LoadModel(model="a"),
        LoadModel(),
        LoadModel(model="a", dtype="bfloat16", sites={"mlp": "x"}),
    ):
        remember_model(load)
    assert recent_models() == (LoadModel(model="a", dtype="bfloat16", sites={"mlp": "x"}), LoadModel())


def test_the_embedded_one_is_always_there() -> None:
    assert recent_models() == (LoadModel(),)
    remember_model(LoadModel(model="a"))
    assert [load.model for load in recent_models()] == ["a", DEMO]


def test_only_the_last_ones_are_kept_and_for_the_owner_alone(state: Path) -> None:
    for n in range(MOST + 5):
        remember_model(LoadModel(model=f"m{n}"))
    assert [load.model for load in recent_models()] == [f"m{n}" for n in range(MOST + 4, 4, -1)] + [DEMO]
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert os.listdir(state.parent) == ["recent.json"]


def test_folders_of_another_machine_are_kept_apart() -> None:
    remember_model(LoadModel(model="/data/a"), "ssh gpubox icltui engine")
    assert recent_models() == (LoadModel(),)
    assert recent_models("ssh gpubox icltui engine") == (LoadModel(model="/data/a"), LoadModel())


@pytest.mark.parametrize(
    "damage", [b"", b"[{", b"\xff", b'{"a":1}', b'[{"load":{"type":"Measure"}}]', b"[" * 10**5]
)
def test_a_damaged_file_is_none_and_is_mended(state: Path, damage: bytes) -> None:
    remember_model(LoadModel(model="a"))
    state.write_bytes(damage)
    assert recent_models() == (LoadModel(),)
    remember_model(LoadModel(model="b"))
    assert recent_models()[0].model == "b"


def test_what_cannot_be_written_costs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    remember_model(LoadModel(model="a"))
    remember_model(LoadModel(model="\udc80"))
    assert recent_models() == (LoadModel(),)
