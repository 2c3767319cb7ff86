"""The device, one model at a time, and one clear line where there is nothing to run on."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from icltui.bench.model_shapes import GPU, random_model, weight_bytes
from icltui.engine.local import LocalEngine
from icltui.engine.models.device import free_bytes
from icltui.text.units import in_bytes

DEVICE = os.environ.get("ICLTUI_GPU_TESTS", "cuda")
IS_TINY = DEVICE == "cpu"
WHY = "no CUDA device is here: these checks need one, or ICLTUI_GPU_TESTS=cpu to try them on tiny models"
ROOM = 3 * 2**30
"""Bytes beside the weights that the checks need."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the checks of this folder, and skip them where there is no device."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            if DEVICE == "cuda" and not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason=WHY))


def models(*dtypes: str, shapes: tuple[str, ...] = GPU) -> list[tuple[str, str]]:
    """Shapes and dtypes, those of one model next to each other."""
    return [(shape, dtype) for shape in shapes for dtype in dtypes]


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[LocalEngine]:
    """An engine with the model that the parameter names; the model before it is gone."""
    shape, dtype = request.param
    torch.manual_seed(0)
    needed, free = (0 if IS_TINY else weight_bytes(shape, dtype)), free_bytes(torch.device(DEVICE))
    if needed + ROOM > free and not IS_TINY:
        pytest.skip(f"{shape} in {dtype} needs {in_bytes(needed + ROOM)}, and {in_bytes(free)} are free")
    loaded = random_model(shape, dtype, DEVICE, tiny=IS_TINY)
    engine = LocalEngine(loaded, loaded.describe("packed"))
    yield engine
    engine.loaded = None
    del loaded
    gc.collect()
    torch.cuda.empty_cache()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line where nothing could run."""
    reports = terminalreporter.stats.get("skipped", [])
    if any(isinstance(report.longrepr, tuple) and WHY in report.longrepr[2] for report in reports):
        terminalreporter.write_line(f"tests/gpu: {WHY}")
