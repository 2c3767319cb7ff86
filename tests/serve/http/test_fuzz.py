"""Requests drawn from what the server says of itself: none crashes it, and it answers as it says."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from icltui.api.limits import Limits
from icltui.api.messages import LoadModel
from icltui.serve.http import answer_text
from icltui.serve.http.application import application
from icltui.serve.job_desk import JobDesk
from icltui.system.child_environment import child_environment, own_command
from icltui.worker.client import RemoteEngine
from tests.serve.http.fuzzing import TOKEN, Fuzzed, fuzz, on_a_thread
from tests.serve.http.test_application import serving

SMALL = Limits(prompt_tokens=64, new_tokens=12, queries=4, seconds=2.0)


@pytest.fixture(autouse=True)
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds each, and have tests of their own."""

    async def draw(_session: object, _kind: str) -> bytes:
        return b"<svg/>"

    monkeypatch.setattr(answer_text, "draw_figure", draw)


@asynccontextmanager
async def made_up() -> AsyncIterator[Any]:
    """An engine that makes up measures."""
    async with serving(SMALL, TOKEN) as server:
        yield server.app


def check(fuzzed: Fuzzed) -> None:
    """No fault, and every operation both answered and refused."""
    assert not fuzzed.faults, "\n\n".join(fuzzed.faults[:5])
    for name in (
        "not_a_server_error",
        "response_schema_conformance",
        "negative_data_rejection",
        "ignored_auth",
    ):
        assert fuzzed.checks[name] > 0.9 * sum(fuzzed.requests.values())


def test_requests_to_an_engine_that_makes_up_measures() -> None:
    with on_a_thread(made_up) as port:
        fuzzed = fuzz(port, n_examples=10, has_bounds=False)
    check(fuzzed)
    assert fuzzed.answered >= {"POST /v1/inference/analyze-icl", "POST /v1/generate", "GET /health"}


@pytest.mark.soak
@pytest.mark.parametrize("seed", [0])  # another seed, or four, when the server changes: 80 s each
def test_thousands_of_requests_to_the_embedded_model(
    seed: int, tmp_path: Path, count: Callable[[str], None]
) -> None:
    crashes: list[Exception] = []

    @asynccontextmanager
    async def real() -> AsyncIterator[Any]:
        engine = RemoteEngine(own_command("engine"), tmp_path / "engine.log", child_environment())
        desk = JobDesk(engine, LoadModel(), SMALL)
        await desk.open()
        try:
            yield application(desk, TOKEN, log_crash=crashes.append)
        finally:
            await desk.close()

    with on_a_thread(real) as port:
        fuzzed = fuzz(port, n_examples=50, seed=seed + 1)
    count(f"{sum(fuzzed.requests.values())} requests: {fuzzed.statuses}")
    check(fuzzed)
    assert crashes == []
    assert len(fuzzed.answered) >= 6  # without words that go together nothing is compiled
