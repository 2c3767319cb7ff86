"""One thread per process, no network, no settings of the user: numbers and pictures depend on the code alone.

Some tests take as many examples as they are given time for; how many is an option, and each says at the end what it
counted: ``pytest -n 0 -m soak tests/tui/test_kills.py --kills 100``.
"""

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest

gc.disable()  # until all is collected: what imports leave behind is there for good

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

COUNTED = "counted"
HOW_MANY = {
    "kills": (3, "times that the engine is killed at a random moment"),
    "texts": (1, "sets of hostile texts that go through every place"),
    "sizes": (15, "sizes that the terminal takes while numbers stream in"),
    "damaged": (1000, "damaged session files that are read"),
}
"""The options with what they are without one, and what they count."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the tests that could go on for ever do, and whether pictures in text are taken anew."""
    for name, (default, meaning) in HOW_MANY.items():
        parser.addoption(f"--{name}", type=int, default=default, help=f"{meaning} (default: {default})")
    parser.addoption("--rewrite", action="store_true", help="write the goldens and the transcript anew")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m gpu`` no other test is even imported: a machine with a GPU may lack what they need."""
    gpu = Path(__file__).parent / "gpu"
    is_ours = collection_path in (gpu, *gpu.parents) or gpu in collection_path.parents
    return True if config.option.markexpr == "gpu" and not is_ours else None


def pytest_collection_finish() -> None:
    """No search for garbage looks through the libraries' millions of objects again."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Says at the end of the session what a test counted."""
    return lambda text: record_property(COUNTED, text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was counted, one line for each."""
    reports = [r for outcome in ("passed", "failed") for r in terminalreporter.stats.get(outcome, [])]
    lines = [text for r in reports for name, text in getattr(r, "user_properties", []) if name == COUNTED]
    for line in lines:
        terminalreporter.write_line(f"counted: {line}")
