"""The explorer's measurements, each written to a database once it is whole.

Nothing of it waits for the database: the screen hears later what was written.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from icltui.storage.database.destination import spool_of
from icltui.storage.database.entries import LogEntry, measurement_entry
from icltui.storage.database.log_queue import LogQueue
from icltui.storage.database.troubles import LogNews
from icltui.tui.state.explorer import Explorer
from icltui.values import Session


class MeasurementLog:
    """What an explorer writes to the database of a URL.

    Raises:
        BadInput: see :func:`.spool_of`.
    """

    def __init__(self, explorer: Explorer, url: str) -> None:
        self._explorer = explorer
        self._queue = LogQueue(url, spool_of(url), self._told)
        self._loop: asyncio.AbstractEventLoop | None = None
        explorer.log_to(self._put)

    def start(self) -> None:
        """Begin to write, and to tell the explorer, in whose event loop this is called."""
        self._loop = asyncio.get_running_loop()
        self._queue.start()

    def close(self, say: Callable[[str], object]) -> str:
        """Wait a little for what is on its way; a line about what is left, empty if nothing is."""
        return self._queue.close(say=say)

    def _put(self, measured: Session) -> None:
        self._queue.put(lambda: _entries(measured))

    def _told(self, line: str, news: LogNews) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the explorer has ended
                self._loop.call_soon_threadsafe(
                    self._explorer.hear_log, line, news != "written", news == "trouble"
                )


def _entries(measured: Session) -> list[LogEntry]:
    assert measured.measurement is not None
    return [
        measurement_entry(
            measured.model,
            measured.prompt,
            measured.measurement,
            source="explorer",
            title=measured.title,
            recipe=measured.recipe,
        )
    ]
