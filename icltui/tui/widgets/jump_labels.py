"""Jump mode: a letter on every visible pane, and a bar over the footer with the letters of all panes."""

from collections.abc import Mapping

from textual import events
from textual.content import Content
from textual.geometry import Offset
from textual.message import Message
from textual.widgets import Static


class JumpBar(Static, can_focus=True):
    """The bar; any key ends jump mode."""

    DEFAULT_CSS = """
    JumpBar { layer: over; dock: bottom; height: auto; display: none; background: $panel; padding: 0 1; }
    """

    class Chosen(Message):
        """The user pressed the letter of ``pane``, or another key (None)."""

        def __init__(self, pane: str | None) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._panes: dict[str, str] = {}
        self._is_asking = False

    def open(self, letters: Mapping[str, str], names: Mapping[str, str]) -> None:
        """Show the letters of panes with their names."""
        self._panes = {letter: pane for pane, letter in letters.items()}
        pieces = [
            Content.assemble((letter, "bold reverse"), f":{names[pane]}") for pane, letter in letters.items()
        ]
        self.update(Content("  ").join(pieces))
        self.display = self._is_asking = True
        self.screen.set_focus(self)

    def on_key(self, event: events.Key) -> None:
        """Go to the pane of the key."""
        event.stop()
        event.prevent_default()
        if self._is_asking:
            self._is_asking = False
            self.post_message(self.Chosen(self._panes.get(event.key)))
        else:  # typed ahead: it is for the chosen pane
            self.app.post_message(events.Key(event.key, event.character))

    def on_blur(self) -> None:
        """End jump mode when a digit or the mouse moves the focus."""
        self.post_message(self.Chosen(None))


class JumpLabel(Static):
    """A letter at an offset of the screen."""

    DEFAULT_CSS = """
    JumpLabel {
        layer: over;
        position: absolute;
        width: 3;
        height: 1;
        text-style: bold reverse;
    }
    """

    def __init__(self, pane: str, letter: str, offset: Offset) -> None:
        super().__init__(Content(f" {letter} "))
        self.pane = pane
        self.styles.offset = offset

    def on_click(self) -> None:
        """Do what the letter does."""
        self.post_message(JumpBar.Chosen(self.pane))
