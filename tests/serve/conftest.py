import pytest

from tests.serve.loaded_engine import LoadedEngine


@pytest.fixture(scope="session")
def engine() -> LoadedEngine:
    """The embedded model, loaded once."""
    return LoadedEngine()
