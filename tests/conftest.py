"""One thread per process, no network, no settings of the user: numbers and pictures depend on the code alone.

All workers of a session share one folder for what the program caches and keeps, which is gone after it: moments of
ordinary text are streamed once, and neither read from the user's own nor put there.

Some tests take as many examples as they are given time for; how many is an option, and each says at the end what it
counted: ``pytest -n 0 -m soak tests/tui/test_kills.py --kills 100``.
"""

import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from platformdirs import user_cache_path

gc.disable()  # until all is collected: what imports leave behind is there for good

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

COUNTED = "counted"
TIERS = ("zoo", "soak", "real", "gpu")
HOW_MANY = {
    "kills": (3, "times that the engine is killed at a random moment"),
    "texts": (1, "sets of hostile texts that go through every place"),
    "sizes": (15, "sizes that the terminal takes while numbers stream in"),
    "damaged": (500, "damaged session files that are read"),
}
"""The options with what they are without one, and what they count."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the tests that could go on for ever do, and whether pictures in text are taken anew."""
    for name, (default, meaning) in HOW_MANY.items():
        parser.addoption(f"--{name}", type=int, default=default, help=f"{meaning} (default: {default})")
    parser.addoption("--rewrite", action="store_true", help="write the goldens and the transcript anew")


def pytest_configure(config: pytest.Config) -> None:
    """Before any worker starts, which gets the folders with its environment.

    What others cache stays where it is, and so does the program's trained model, which is fetched once.
    """
    if hasattr(config, "workerinput"):
        return
    own = tempfile.TemporaryDirectory(prefix="icltui-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(own.cleanup)
    folder, theirs = Path(own.name), user_cache_path()
    (cache := folder / "cache" / "icltui").mkdir(parents=True)
    for path in theirs.glob("*"):
        if path.name != "icltui":
            (cache.parent / path.name).symlink_to(path)
    for path in (theirs / "icltui").glob("*.gguf"):
        (cache / path.name).symlink_to(path)
    for kind in ("cache", "state"):
        os.environ[f"XDG_{kind.upper()}_HOME"] = str(folder / kind)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m gpu`` no other test is even imported: a machine with a GPU may lack what they need."""
    gpu = Path(__file__).parent / "gpu"
    is_ours = collection_path in (gpu, *gpu.parents) or gpu in collection_path.parents
    return True if config.option.markexpr == "gpu" and not is_ours else None


SOME, MANY = 3, 9
"""Cases of one kind of which every second, or every third alone, runs plainly."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several cases of one kind a few run plainly, the others in the tier soak: the plain run has five minutes.

    A kind of which some cases are in a tier already stays as it is, and so does a case that is asked for by its name.
    """
    kinds: dict[str, list[pytest.Item]] = {}
    for item in items:
        if "[" in item.nodeid:
            kinds.setdefault(item.nodeid.split("[")[0], []).append(item)
    for cases in kinds.values():
        if len(cases) < SOME or any(case.get_closest_marker(tier) for case in cases for tier in TIERS):
            continue
        kept = cases[:: 3 if len(cases) >= MANY else 2]
        for case in cases:
            if case not in kept:
                case.add_marker(pytest.mark.soak)


def pytest_collection_finish() -> None:
    """No search for garbage looks through the libraries' millions of objects again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module")
def less_text() -> Iterator[None]:
    """A tenth of the ordinary text, where how ordinary it is is not what is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("icltui.engine.metric.background.MOST_TOKENS", 1600)
        yield


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
