"""The explorer over a line that is slow, is cut and freezes; and over an engine that never answers at all."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from textual.pilot import Pilot

import icltui
from icltui.api.engine import Listener
from icltui.api.messages import LoadModel
from icltui.tui.app import IcltuiApp
from icltui.values import Session
from icltui.worker.client import RemoteEngine
from tests.tui import samples
from tests.tui.conftest import Desk
from tests.tui.fake_client import FakeClient
from tests.waiting import PATIENCE

TESTS = Path(__file__).parents[2]
SLOW = (
    sys.executable,
    str(TESTS / "worker" / "slow_pipe.py"),
    "0.2",
    sys.executable,
    str(TESTS / "tui" / "sample_engine.py"),
)
ENV = {**os.environ, "PYTHONPATH": str(Path(icltui.__file__).parents[1])}


class Far(Desk):
    """A running explorer whose engine is a process behind a slow line."""

    def __init__(self, engine: RemoteEngine, app: IcltuiApp, pilot: Pilot[None]) -> None:
        super().__init__(FakeClient(), app, pilot)
        self.engine = engine

    def signal(self, number: int) -> None:
        assert self.engine.pid is not None
        os.kill(self.engine.pid, number)


def waiting() -> Session:
    """A session without numbers whose run stops half-way."""
    prompt = msgspec.structs.replace(samples.PROMPT, context=f"wait {samples.CONTEXT}")
    return msgspec.structs.replace(samples.session(is_measured=False), prompt=prompt)


@asynccontextmanager
async def far(tmp_path: Path) -> AsyncIterator[Far]:
    engine = RemoteEngine(SLOW, tmp_path / "engine.log", ENV)
    app = IcltuiApp(engine, LoadModel(), waiting())
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Far(engine, app, pilot)
        await desk.until(lambda: "8 of 19 units" in desk.text())
        await desk.until(lambda: desk.screen.unit == 8)  # the frame speaks of rows before the table has them
        yield desk


async def test_a_line_that_is_cut_keeps_the_numbers_and_one_key_goes_on(tmp_path: Path) -> None:
    async with far(tmp_path) as desk:
        desk.signal(signal.SIGUSR1)
        await desk.until(lambda: "Broken pipe — press ctrl+r" in desk.text())
        assert "stopped at 8/19, ^r runs" in desk.text()
        assert "·Cairo." in desk.text()
        desk.screen.context.load_text(samples.CONTEXT)
        await desk.press("ctrl+r")
        await desk.until(lambda: "○ ready" in desk.text())
        assert "·Rome" in desk.text()
        assert not desk.screen.banner.display
        assert desk.explorer.results.measurement is not None


async def test_a_frozen_line_hinders_no_key_and_is_ended_by_escape_twice(tmp_path: Path) -> None:
    async with far(tmp_path) as desk:
        desk.signal(signal.SIGSTOP)
        await desk.press("4", "g", "j", "1", "i", "x", "y")
        assert desk.screen.unit == 1
        assert "xy" in desk.screen.context.text
        await desk.press("escape", "escape")  # the first ends the writing
        await desk.until(lambda: "◌ stopping, esc again ends the engine" in desk.text())
        await desk.press("escape")
        await desk.until(lambda: "the engine was stopped — press ctrl+r" in desk.text())
        assert "·Cairo." in desk.text()


class Stuck(FakeClient):
    """An engine that neither starts nor ends nor answers."""

    async def start(self, _listener: Listener) -> None:
        await asyncio.Event().wait()

    async def kill(self) -> None:
        await asyncio.Event().wait()


async def test_no_key_waits_for_an_engine_that_never_answers() -> None:
    app = IcltuiApp(Stuck(), LoadModel(), samples.session())
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(Stuck(), app, pilot)
        async with asyncio.timeout(PATIENCE):
            await desk.press("ctrl+r", "escape", "escape", "ctrl+r", "v", "4", "g", "j", "1", "i", "x", "y")
            await desk.until(lambda: desk.screen.unit == 1)
        assert "xy" in desk.screen.context.text
