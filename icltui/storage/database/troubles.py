"""Troubles that are told once each, and their end."""

import threading
from collections.abc import Callable
from typing import Literal

LogNews = Literal["written", "trouble", "over"]
"""What a line is of: what was written, a trouble, or its end."""
Tell = Callable[[str, LogNews], object]
"""Takes a line and what it is of; called from other threads."""


class Troubles:
    """The troubles of a log's several parts, each by a name."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._present = set[str]()
        self._lock = threading.Lock()

    def tell(self, name: str, line: str) -> None:
        """Tell of trouble, unless it is known."""
        with self._lock:
            is_known = name in self._present
            self._present.add(name)
        if not is_known:
            self._tell(f"log: {line}", "trouble")

    def end(self, name: str, line: str) -> None:
        """Tell that it is over, if there was trouble."""
        with self._lock:
            was_there = name in self._present
            self._present.discard(name)
        if was_there:
            self._tell(f"log: {line}", "over")
