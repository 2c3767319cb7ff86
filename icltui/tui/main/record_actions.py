"""The screen recorded for somebody else: an SVG that moves, to be put on a page."""

import asyncio
from typing import TYPE_CHECKING

from textual.timer import Timer

from icltui.storage.atomic import write_file
from icltui.storage.paths import sessions_folder, unused_path
from icltui.tui.draw.safe_text import display
from icltui.tui.main.actions_base import ScreenActions, ScreenParts
from icltui.values.errors import BadInput

if TYPE_CHECKING:
    from icltui.tui.draw.recording import Recording

EVERY = 0.2
"""Seconds between two looks at the screen."""


class RecordActions(ScreenActions):
    """Recording, from one call to the next."""

    def __init__(self, parts: ScreenParts) -> None:
        super().__init__(parts)
        self._recording: Recording | None = None
        self._timer: Timer | None = None

    @property
    def n_frames(self) -> int:
        """Frames so far."""
        return len(self._recording.frames) if self._recording else 0

    def action_record_screen(self) -> None:
        """Begin to record; the second time write what was recorded."""
        from icltui.tui.draw.recording import (
            Recording,  # rarely used, so the first frame need not wait for it
        )

        if self._recording is None:
            self._recording = Recording()
            self._timer = self._screen.set_interval(EVERY, self._take)
        else:
            self._begin(self._write)

    def _take(self) -> None:
        """Look at whatever screen is on top, a dialog too."""
        if self._recording is None:
            return
        self._recording.take(self._screen.app.screen._compositor.render_strips())
        if self._recording.is_full:
            self._begin(self._write)

    async def _write(self) -> None:
        from icltui.tui.draw.animated_svg import animated_svg

        recording, self._recording = self._recording, None
        if self._timer:
            self._timer.stop()
        if recording is None or not recording.frames:
            return
        title = self._explorer.document.title
        theme = self._screen.app.current_theme
        ink, ground = theme.foreground or "#d5d9e0", theme.background or "#14161a"
        frames = recording.frames
        path = unused_path(sessions_folder(), title, "-recording.svg")
        try:
            text = await asyncio.to_thread(animated_svg, frames, title, ink, ground)
            await asyncio.to_thread(write_file, path, text.encode("utf-8", "replace"))
        except BadInput as error:
            self._screen.notify(display(str(error)), severity="error", markup=False)
            return
        self._tell(display(f"{len(frames)} frames, {len(text) // 1000:,} kB written to {path}"))
