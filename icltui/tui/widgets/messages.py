"""What travels up to the explorer's screen: facts from the explorer, and from the widgets that edit its work.

The explorer is called from wherever the engine is heard; posting carries its facts into the screen's own queue.
"""

from textual.message import Message

from icltui.tui.state.explorer import Part


class PartChanged(Message):
    """A part of the explorer is to be drawn anew."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part

    def can_replace(self, message: Message) -> bool:
        """One redraw does for many changes of one part that still wait."""
        return isinstance(message, PartChanged) and message.part is self.part


class Noticed(Message):
    """One plain line for the user."""

    def __init__(self, text: str, is_error: bool) -> None:
        super().__init__()
        self.text, self.is_error = text, is_error


class LayerToggled(Message):
    """The user ticked a layer that was not, or the other way round."""

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer


class LayerSelected(Message):
    """The user moved the cursor of the layer list."""

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer
