"""What the engine logs while a job runs, as events of that job and as lines on stderr.

Enters: records of the engine's logger, from any thread. Leaves: a :class:`~icltui.api.messages.Progress` each, for the
explorer's log; in a process of its own the engine's stderr is a file of its log, too.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging import Handler, LogRecord
from queue import Empty, SimpleQueue

from icltui.api.messages import Progress
from icltui.engine.hooks.out_of_memory import LOG


class LogLines(Handler):
    """Keeps the lines that were logged and not yet taken."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: SimpleQueue[str] = SimpleQueue()

    def emit(self, record: LogRecord) -> None:
        self._lines.put(record.getMessage())
        print(record.getMessage(), file=sys.stderr, flush=True)  # noqa: T201 (stderr is the log)

    def taken(self) -> Iterator[Progress]:
        """The lines since the last call."""
        while True:
            try:
                yield Progress(stage=self._lines.get_nowait(), done=0, total=0, logged=True)
            except Empty:
                return


@contextmanager
def keeping_log_lines() -> Iterator[LogLines]:
    """Inside the ``with`` block what the engine logs is kept."""
    lines = LogLines()
    LOG.addHandler(lines)
    try:
        yield lines
    finally:
        LOG.removeHandler(lines)
