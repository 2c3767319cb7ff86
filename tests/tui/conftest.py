"""The explorer on a fake client, and a terminal that looks the same everywhere, however slow the machine is."""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from textual.notifications import Notification
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from icltui.api.messages import Generate, LoadModel, Measure
from icltui.storage.config import Config
from icltui.tui.app import IcltuiApp
from icltui.tui.main.screen import ExplorerScreen
from icltui.tui.state.explorer import Explorer
from icltui.tui.system.measurement_log import MeasurementLog
from icltui.values import Session
from tests.tui import samples
from tests.tui.fake_client import FakeClient
from tests.waiting import PATIENCE, idle, until

os.environ.pop("NO_COLOR", None)
os.environ.pop("TEXTUAL_THEME", None)


@pytest.fixture(autouse=True)
def steady_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No blinking, no settings of this machine, and folders of the test's own."""
    for name in ("NO_COLOR", "TEXTUAL_THEME", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    monkeypatch.setattr("icltui.storage.ollama_store.STORES", ("~/.ollama/models",))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(TextArea, "_toggle_cursor_blink_visible", lambda _self: None)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _self: None)
    monkeypatch.setattr("icltui.tui.state.log_lines.now", lambda: 0.0)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(Notification, "time_left", PATIENCE)  # what was told stays told
    for module in ("textual.pilot", "textual.app"):
        monkeypatch.setattr(f"{module}.wait_for_idle", idle)


@pytest.fixture
def is_rewritten(pytestconfig: pytest.Config) -> bool:
    """Whether texts are written anew instead of compared."""
    return bool(pytestconfig.getoption("rewrite"))


class Desk:
    """A running explorer with its fake client and its pilot."""

    def __init__(self, client: FakeClient, app: IcltuiApp, pilot: Pilot[None]) -> None:
        self.client, self.app, self.pilot = client, app, pilot

    @property
    def explorer(self) -> Explorer:
        """The explorer under the screen."""
        return self.app.explorer

    @property
    def screen(self) -> ExplorerScreen:
        """The explorer's own screen, also below a dialog."""
        screen = self.app.screen_stack[0]
        assert isinstance(screen, ExplorerScreen)
        return screen

    async def until(self, is_so: Callable[[], object]) -> None:
        """Let the app work until ``is_so``."""
        await until(is_so, partial(self.pilot.pause, 0.01), what=lambda: f"never came true:\n{self.text()}")

    async def press(self, *keys: str) -> None:
        """Press keys one by one."""
        await self.pilot.press(*keys)

    async def drawn(self) -> None:
        """Let everything that was said be drawn."""
        await self.pilot.pause()
        numbers, redraw = self.screen.numbers, self.screen.redraw
        await self.until(lambda: not (redraw.is_awaited or ("plots" in numbers.fed and numbers.plots._timer)))
        await self.pilot.pause()

    async def settle(self) -> None:
        """Answer whatever is asked, from loading to the lanes, until nothing is."""
        await self.until(lambda: self.client.requests)
        while (request := self.explorer.jobs.request) is not None:
            match request:
                case LoadModel():
                    self.client.finish(samples.LOADED)
                case Measure():
                    self.client.finish(*samples.MEASURE)
                case Generate():
                    self.client.finish(*samples.generate(request.lanes))
                case _:
                    self.client.finish()
        await self.drawn()

    def toasts(self) -> list[str]:
        """What was told in passing."""
        return [notification.message for notification in self.app._notifications]

    def text(self) -> str:
        """Everything on the screen, line by line."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips[:height] if width)


@asynccontextmanager
async def open_desk(
    session: Session | None = None,
    path: Path | None = None,
    size: tuple[int, int] = (120, 40),
    client: FakeClient | None = None,
    notice: str = "",
    config: Config | None = None,
    log: str = "",
) -> AsyncIterator[Desk]:
    """A running explorer."""
    client = client or FakeClient()
    app = IcltuiApp(
        *(client, LoadModel(), session, path, notice, config),
        log=partial(MeasurementLog, url=log) if log else None,
    )
    async with app.run_test(size=size) as pilot:
        yield Desk(client, app, pilot)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """The example at 120×40, loaded, measured and generated."""
    async with open_desk(samples.session()) as one:
        await one.settle()
        yield one
