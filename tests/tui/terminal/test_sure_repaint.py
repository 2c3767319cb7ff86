"""What has gone is gone from the terminal too: the picture there is the one that the app itself would draw."""

import pyte
import pytest
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.notifications import Notification
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static
from textual.widgets._toast import Toast

from icltui.tui.terminal.sure_repaint import SureRepaint
from tests.tui import wait_for

SIZE = (60, 12)


class GlassDriver(HeadlessDriver):
    """A terminal that one sees through."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self.picture = pyte.Screen(*SIZE)
        self._stream = pyte.Stream(self.picture)
        self._stream.feed("\x1b[?7l")

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self._stream.feed(data.replace("\n", "").replace("\x1b[?2026h", "").replace("\x1b[?2026l", ""))


class Whole(SureRepaint):
    """A screen full of one letter."""

    def compose(self) -> ComposeResult:
        yield Static("x" * SIZE[0] * SIZE[1])


class Shown(App[None]):
    """The screen on that terminal."""

    def __init__(self) -> None:
        super().__init__(driver_class=GlassDriver)

    def get_default_screen(self) -> Screen[None]:
        return Whole()


async def test_notices_that_have_gone_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Notification, "time_left", property(lambda self: self.timeout))
    app, left = Shown(), list[str]()

    async def look(pilot: Pilot[None]) -> None:
        for seconds in (0.1, 0.1, 0.2):
            app.notify("a notice " * 3, timeout=seconds)
        await wait_for(pilot, lambda: len(app.screen.query(Toast)) == 3)
        await wait_for(pilot, lambda: not app.screen.query(Toast))
        await pilot.pause()
        driver = app._driver
        assert isinstance(driver, GlassDriver)
        left.extend(driver.picture.display)
        app.exit()

    await app.run_async(headless=False, size=SIZE, auto_pilot=look)
    assert left == ["x" * SIZE[0]] * SIZE[1]
