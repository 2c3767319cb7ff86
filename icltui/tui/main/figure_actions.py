"""The figure of the export, in the terminal's own pixels where it has any, else in a file."""

import asyncio

from icltui.api.messages import LoadModel
from icltui.storage.atomic import write_file
from icltui.storage.paths import make_folder, sessions_folder, unused_path
from icltui.tui.draw.safe_text import display
from icltui.tui.main.actions_base import ScreenActions
from icltui.tui.terminal.graphics import Graphics, HasGraphics
from icltui.values.errors import BadInput

_BUSY = "a run is on: F shows the figure after it"


class FigureActions(ScreenActions):
    """The figure over the whole screen."""

    def action_show_figure(self) -> None:
        """Draw the figure in a process of its own and show it; never beside a run, whose lines would wait."""
        if self._explorer.results.measured.n_units == 0:
            self._tell("nothing measured yet: a run fills the figure")
        elif self._is_running:
            self._tell(_BUSY)
        else:
            self._begin(self._show)

    @property
    def _is_running(self) -> bool:
        """Whether anything streams in, or is about to."""
        request = self._explorer.jobs.request
        return request is not None and not isinstance(request, LoadModel)

    async def _show(self) -> None:
        from icltui.system.figure_process import draw_figure

        app = self._screen.app
        graphics = await app.graphics() if isinstance(app, HasGraphics) else Graphics()
        self._tell("drawing the figure…")
        try:
            png = await draw_figure(self._explorer.session(self._explorer.document.title), "png")
            if graphics.pictures:
                await self._open(png, graphics)
            else:
                await self._write(png)
        except (BadInput, OSError, ValueError) as error:
            self._screen.notify(display(str(error)), severity="error", timeout=8, markup=False)

    async def _open(self, png: bytes, graphics: Graphics) -> None:
        from icltui.tui.dialogs.figure_view import FigureView
        from icltui.tui.terminal.pictures import picture_of

        width, height = self._screen.app.size
        picture = await asyncio.to_thread(picture_of, png, graphics, (width, height - 1))
        if self._is_running:  # by now
            self._tell(_BUSY)
            return
        self._screen.app.clear_notifications()
        await self._ask(FigureView(picture))

    async def _write(self, png: bytes) -> None:
        path = unused_path(sessions_folder(), self._explorer.document.title, ".png")
        make_folder(path.parent)
        await asyncio.to_thread(write_file, path, png)
        line = f"this terminal shows no pictures (neither kitty's nor sixel): figure written to {path}"
        self._screen.notify(display(line), timeout=8, markup=False)
