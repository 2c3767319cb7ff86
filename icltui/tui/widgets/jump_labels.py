"""Jump mode: a letter on every pane in sight, and one line over the footer with all of them, in sight or not."""

from collections.abc import Mapping

from textual import events
from textual.content import Content
from textual.geometry import Offset
from textual.message import Message
from textual.widgets import Static


class JumpBar(Static, can_focus=True):
    """Hidden until jump mode begins; the next key ends it, whatever it is."""

    DEFAULT_CSS = """
    JumpBar { layer: over; dock: bottom; height: auto; display: none; background: $panel; padding: 0 1; }
    """

    class Chosen(Message):
        """The user pressed the letter of ``pane``, or None of them."""

        def __init__(self, pane: str | None) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._panes: dict[str, str] = {}
        self._is_asking = False

    def open(self, letters: Mapping[str, str], names: Mapping[str, str]) -> None:
        """Offer panes by their letters; ``names`` are what a person calls them."""
        self._panes = {letter: pane for pane, letter in letters.items()}
        pieces = [
            Content.assemble((letter, "bold reverse"), f":{names[pane]}") for pane, letter in letters.items()
        ]
        self.update(Content("  ").join(pieces))
        self.display = self._is_asking = True
        self.screen.set_focus(self)

    def on_key(self, event: events.Key) -> None:
        """The one key that this is about."""
        event.stop()
        event.prevent_default()
        if self._is_asking:
            self._is_asking = False
            self.post_message(self.Chosen(self._panes.get(event.key)))
        else:  # typed ahead, for the pane that was chosen
            self.app.post_message(events.Key(event.key, event.character))

    def on_blur(self) -> None:
        """The focus went elsewhere, by a digit or the mouse."""
        self.post_message(self.Chosen(None))


class JumpLabel(Static):
    """A letter at one place of the screen."""

    DEFAULT_CSS = """
    JumpLabel {
        layer: over;
        position: absolute;
        width: 3;
        height: 1;
        text-style: bold reverse;
    }
    """

    def __init__(self, pane: str, letter: str, place: Offset) -> None:
        super().__init__(Content(f" {letter} "))
        self.pane = pane
        self.styles.offset = place

    def on_click(self) -> None:
        """As good as the letter."""
        self.post_message(JumpBar.Chosen(self.pane))
