"""``python -m tests.screens``: real runs on the embedded model, without a terminal, as SVG beside this file.

Names as arguments make only those pictures.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from icltui.api.messages import LoadModel
from icltui.storage.paths import example_sessions
from icltui.storage.sessions import read_session
from icltui.tui.app import IcltuiApp
from icltui.tui.draw.animated_svg import Frame, animated_svg
from icltui.worker.client import RemoteEngine

FOLDER = Path(__file__).parent
SCENES: dict[str, tuple[str, ...]] = {
    "lanes": ("ctrl+t",),
    "heatmap": ("6", "g", *["l"] * 6),
    "verify": ("v",),
    "text": ("0",),
    "help": ("9", "question_mark"),
}
"""A picture for each name: the keys behind a run of the first example. Each key waits for what it asked for."""
FILM: tuple[tuple[str, float], ...] = (
    ("g", 1.0),
    *(("j", 0.25),) * 5,
    ("j", 2.5),
    ("5", 2.0),
    ("6", 2.5),
    ("0", 2.0),
    ("4", 0.5),
    ("ctrl+t", 3.0),
    *(("shift+left", 1.2),) * 2,
    *(("shift+right", 1.0),) * 2,
    ("v", 3.5),
)
"""Keys, each with the seconds that what it brings is shown: the picture that moves, ``explorer.svg``."""
FILM_SIZE, SIZE = (116, 34), (120, 40)
WAIT = 120.0
"""Seconds for one thing at most."""


async def until(pilot: Pilot[None], is_so: Callable[[], object]) -> None:
    """Let the program work until ``is_so``."""
    for _ in range(int(WAIT / 0.05)):
        if is_so():
            return
        await pilot.pause(0.05)
    raise TimeoutError(f"not within {WAIT:.0f} s")


@asynccontextmanager
async def explorer(size: tuple[int, int], log: Path) -> AsyncIterator[tuple[IcltuiApp, Pilot[None]]]:
    """The program on the first example, run."""
    path = example_sessions()[0]
    client = RemoteEngine([sys.executable, "-m", "icltui", "engine"], log)
    app = IcltuiApp(client, LoadModel(), read_session(path), path)
    async with app.run_test(size=size) as pilot:
        await rest(app, pilot)
        yield app, pilot


async def rest(app: IcltuiApp, pilot: Pilot[None]) -> None:
    """Let the program work until it has nothing more to do, and has drawn it."""
    jobs = app.explorer.jobs
    await until(pilot, lambda: jobs.is_loaded and not jobs.is_busy)
    await pilot.pause(0.5)  # the last drawing may wait for its turn


async def picture(name: str, log: Path) -> str:
    """The screen after a scene's keys."""
    async with explorer(SIZE, log) as (app, pilot):
        for key in SCENES[name]:
            await pilot.press(key)
            await rest(app, pilot)
        return app.export_screenshot(title="icltui")


async def film(log: Path) -> str:
    """The screen after each key of the film."""
    async with explorer(FILM_SIZE, log) as (app, pilot):
        frames = []
        for key, seconds in FILM:
            await pilot.press(key)
            await rest(app, pilot)
            frames.append(Frame(tuple(app.screen._compositor.render_strips()), seconds))
        theme = app.current_theme
        return animated_svg(frames, "icltui", str(theme.foreground), str(theme.background))


def main() -> None:
    """All pictures, or those that are named."""
    for name in ("NO_COLOR", "TEXTUAL_THEME", "SSH_CONNECTION"):
        os.environ.pop(name, None)
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    for name in sys.argv[1:] or (*SCENES, "explorer"):
        with tempfile.TemporaryDirectory() as home:  # of its own: else unsaved work is offered
            os.environ |= {f"XDG_{kind}_HOME": home for kind in ("STATE", "DATA", "CONFIG")}
            log = Path(home) / "engine.log"
            text = asyncio.run(film(log) if name == "explorer" else picture(name, log))
        path = FOLDER / f"{name}.svg"
        path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {path.stat().st_size // 1000} kB")  # noqa: T201


main()
