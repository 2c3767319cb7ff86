"""A model that is tiny, and one size: what is timed takes no time."""

import pytest

from icltui.bench import model_shapes
from icltui.bench.model_and_prompts import RaceSettings

SIZE = RaceSettings(context_sizes=(6,), query_sizes=(2,), repeat=1, memory=False)
TINY = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 3}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    for name, value in TINY.items():
        monkeypatch.setitem(model_shapes.RANDOM_LLAMA, name, value)
