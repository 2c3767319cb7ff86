"""The base of every dialog: a screen over the explorer that closes once, at any moment, with an answer or with None."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from textual.await_complete import AwaitComplete
from textual.containers import Vertical
from textual.content import Content
from textual.events import Compose, Event, Mount, Resize, ScreenResume
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from icltui.tui.draw.safe_text import content
from icltui.tui.terminal.sure_repaint import SureRepaint

Answer = TypeVar("Answer")
if TYPE_CHECKING:
    ScreenBase = Screen
else:

    class ScreenBase(Generic[Answer]):
        """No screen itself: a second way to Screen would hide the styles and keys of the class that is mixed with."""


def opens_in_vain(screen: Screen[Answer], event: Event, is_closed: bool = False) -> bool:
    """Whether ``event`` opens a screen that is to close, by itself or with the whole program."""
    is_ending = is_closed or screen._pruning or screen.app._exit or not screen.app.is_running
    return is_ending and isinstance(event, Compose | Mount | Resize | ScreenResume)


class ClosesOnce(ScreenBase[Answer]):
    """A screen that does not open once it is to close; the first base of a screen class.

    A key that closes the screen can come together with the key that opens it, or the program can end, before the screen
    is composed. Textual then mounts the screen without its widgets, and the screen would look for them in vain.
    """

    _is_closed = False

    async def on_event(self, event: Event) -> None:
        """Open no more once it is to close."""
        if not opens_in_vain(self, event, self._is_closed):
            await super().on_event(event)

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Close and answer, once; what lies over it closes too, and its workers end."""
        stack = self.app.screen_stack
        if self._is_closed or self not in stack:
            return AwaitComplete()
        for above in reversed(stack[stack.index(self) + 1 :]):
            above.dismiss(None)
        self._is_closed = True
        closing = super().dismiss(result)
        self.workers.cancel_node(self)  # one that closes it is at its end, and ends
        return closing


class Dialog(ClosesOnce[Answer], ModalScreen[Answer], SureRepaint):
    """A question over the explorer: closes with the answer, or with None."""

    def say(self, text: str) -> None:
        """Say in the last line what is wrong, or what goes on; an empty text clears the line."""
        line = self.query_one(".error", Static)
        line.display = True
        line.update(content(text))


class DialogFrame(Vertical):
    """The frame of a dialog: its title above, what its keys do below."""

    def __init__(self, title: str, keys: str, classes: str = "") -> None:
        super().__init__(classes=f"dialog {classes}")
        self.border_title, self.border_subtitle = content(title), keys


def key_hints(keys: Iterable[tuple[str, str]]) -> Content:
    """Keys with what they do, in one line."""
    hints = (Content.assemble((f" {key} ", "bold reverse"), f" {words}") for key, words in keys)
    return Content("   ").join(hints)
