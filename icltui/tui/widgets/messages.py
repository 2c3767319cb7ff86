"""What travels up to the explorer's screen: facts from the explorer, and from the widgets that edit its work.

The explorer is called from wherever the engine is heard; posting carries its facts into the screen's own queue.
"""

from collections.abc import Set

from textual.message import Message

from icltui.tui.state.change import Change


class ExplorerChanged(Message):
    """Changes of the explorer have been drawn."""

    def __init__(self, changes: Set[Change]) -> None:
        super().__init__()
        self.changes = changes


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
