"""What tests of studies share."""

import pytest

from icltui.api import run_to_result
from icltui.api.messages import LoadModel
from icltui.engine.local import LocalEngine


@pytest.fixture(scope="module")
def engine():
    """An engine that holds the embedded model."""
    engine = LocalEngine()
    run_to_result.load(engine, LoadModel())
    return engine
