"""``python -m tests.screens``: real runs on the embedded model, at 120×40 without a terminal, as SVG beside this file.

Names as arguments make only those pictures.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from icltui.api.messages import LoadModel
from icltui.storage.paths import example_sessions
from icltui.storage.sessions import read_session
from icltui.tui.app import IcltuiApp
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
WAIT = 120.0
"""Seconds for one thing at most."""


async def until(pilot: Pilot[None], is_so: Callable[[], object]) -> None:
    """Let the program work until ``is_so``."""
    for _ in range(int(WAIT / 0.05)):
        if is_so():
            return
        await pilot.pause(0.05)
    raise TimeoutError(f"not within {WAIT:.0f} s")


async def make(name: str, log: Path) -> Path:
    """Start the program on the first example, press the keys, and keep the picture."""
    path = example_sessions()[0]
    client = RemoteEngine([sys.executable, "-m", "icltui", "engine"], log)
    app = IcltuiApp(client, LoadModel(), read_session(path), path)
    async with app.run_test(size=(120, 40)) as pilot:
        jobs = app.explorer.jobs
        await until(pilot, lambda: jobs.is_loaded and not jobs.is_busy)
        for key in SCENES[name]:
            await pilot.press(key)
            await until(pilot, lambda: not jobs.is_busy)
        await pilot.pause(0.5)  # the last drawing may wait for its turn
        picture = FOLDER / f"{name}.svg"
        picture.write_text(app.export_screenshot(title="icltui"), encoding="utf-8")
    return picture


def main() -> None:
    """All pictures, or those that are named."""
    for name in ("NO_COLOR", "TEXTUAL_THEME", "SSH_CONNECTION"):
        os.environ.pop(name, None)
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    for name in sys.argv[1:] or SCENES:
        with tempfile.TemporaryDirectory() as home:  # of its own: else unsaved work is offered
            os.environ |= {f"XDG_{kind}_HOME": home for kind in ("STATE", "DATA", "CONFIG")}
            picture = asyncio.run(make(name, Path(home) / "engine.log"))
        print(f"{picture.name}: {picture.stat().st_size // 1000} kB")  # noqa: T201


main()
