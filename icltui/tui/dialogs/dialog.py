"""What closes, at any moment: as it opens, twice, under another dialog, or with the whole program."""

from typing import TYPE_CHECKING, Generic, TypeVar

from textual.await_complete import AwaitComplete
from textual.events import Compose, Event, Mount, Resize, ScreenResume
from textual.screen import ModalScreen, Screen

Answer = TypeVar("Answer")
if TYPE_CHECKING:
    Base = Screen
else:

    class Base(Generic[Answer]):
        """No screen itself: a second way to Screen would hide the styles and keys of the class that is mixed with."""


class ClosesOnce(Base[Answer]):
    """A screen that does not open once it is to close; mixed in in front of the screen.

    A key that closes it can come with the one that opened it, or the program ends: before it is composed. Then Textual
    mounts none of its widgets and mounts the screen nevertheless, which would look for them in vain.
    """

    _is_closed = False

    async def on_event(self, event: Event) -> None:
        """Open no more once it is to close."""
        is_ending = self._is_closed or self._pruning or self.app._exit or not self.app.is_running
        if not (is_ending and isinstance(event, Compose | Mount | Resize | ScreenResume)):
            await super().on_event(event)

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Close and answer, once; what lies over it closes too, and nothing of its own goes on behind it."""
        stack = self.app.screen_stack
        if self._is_closed or self not in stack:
            return AwaitComplete()
        for above in reversed(stack[stack.index(self) + 1 :]):
            above.dismiss(None)
        self._is_closed = True
        closing = super().dismiss(result)
        self.workers.cancel_node(self)  # one that closes it is at its end, and ends
        return closing


class Dialog(ClosesOnce[Answer], ModalScreen[Answer]):
    """A question over the explorer: closes with the answer, or with None."""
