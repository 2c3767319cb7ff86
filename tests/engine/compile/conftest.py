"""The embedded model, and a state folder of one's own."""

from functools import cache
from pathlib import Path

import pytest

from icltui.api import run_to_result
from icltui.api.messages import LoadModel
from icltui.engine.local import LocalEngine
from icltui.engine.models.loaded_model import LoadedModel


@cache
def _demo() -> LoadedModel:
    engine = LocalEngine()
    run_to_result.load(engine, LoadModel(device="cpu"))
    assert engine.loaded is not None
    return engine.loaded


@pytest.fixture
def demo() -> LoadedModel:
    """The embedded model, shared, never changed."""
    return _demo()


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where self-studies are kept."""
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path / "icltui" / "self-study"
