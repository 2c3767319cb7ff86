"""The figure in the terminal's own pixels, over the whole screen; any key, or a click, leads back."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Click, Key, Resize
from textual.geometry import Size
from textual.widgets import Static

from icltui.tui.dialogs.dialog import Dialog
from icltui.tui.terminal.graphics import HasGraphics
from icltui.tui.terminal.messages import TerminalReset
from icltui.tui.terminal.pictures import FORGET, Picture


class FigureView(Dialog[None]):
    """One picture, sent once; a terminal of another size would have lost it, so that ends the view."""

    DEFAULT_CSS = """
    FigureView { align: left top; background: $background; }
    FigureView > Static { width: 1fr; height: 1; dock: bottom; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self._picture = picture
        self._first_size: Size | None = None

    def compose(self) -> ComposeResult:
        """Yield one line; the picture is above it."""
        yield Static(" any key leads back · e writes the figure to a file", markup=False)

    def on_mount(self) -> None:
        """Send the picture once the blank screen is there."""
        self.call_after_refresh(self._send)

    def _send(self) -> None:
        if isinstance(self.app, HasGraphics):
            column = max(0, (self.app.size.width - self._picture.columns) // 2) + 1
            self.app.write_picture(f"\x1b7\x1b[1;{column}H{self._picture.sequence}\x1b8")

    def on_resize(self, event: Resize) -> None:
        """Go back where the size is another one than at first."""
        if self._first_size is None:
            self._first_size = event.size
        elif event.size != self._first_size:
            self.dismiss(None)

    def on_key(self, event: Key) -> None:
        """Go back, whatever the key."""
        event.stop()
        event.prevent_default()
        self.dismiss(None)

    def on_click(self, event: Click) -> None:
        """Go back."""
        event.stop()
        self.dismiss(None)

    def on_unmount(self) -> None:
        """Take the picture away, and have every cell sent again."""
        if isinstance(self.app, HasGraphics):
            self.app.write_picture(FORGET + "\x1b[2J")
        self.app.post_message(TerminalReset())
