"""A model that several commands of one test process use is loaded by the first of them."""

from collections.abc import Iterator

import msgspec
import pytest

from icltui.api.messages import Event, LoadModel, ModelLoaded
from icltui.engine.local import LocalEngine

_KEPT: dict[bytes, LocalEngine] = {}


def load_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the end of the test, an engine that loads what another one has loaded takes that."""
    load = LocalEngine._load

    def take(engine: LocalEngine, request: LoadModel) -> Iterator[Event]:
        name = msgspec.json.encode(request)
        if (other := _KEPT.get(name)) is None:
            yield from load(engine, request)
            _KEPT[name] = engine
            return
        assert other.info is not None
        engine.loaded, engine.info, engine.request = other.loaded, other.info, other.request
        yield ModelLoaded(model=other.info)

    monkeypatch.setattr(LocalEngine, "_load", take)
