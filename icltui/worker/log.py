"""The child's log: a file that only its owner reads, and its last lines made fit to be shown."""

import os
import re
from pathlib import Path

LOG_LIMIT = 4 * 2**20
"""A log longer than this, in bytes, is begun anew."""
_TAIL_LINES, _TAIL_BYTES, _LINE_LENGTH = 20, 64 * 2**10, 300
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -~])")


def open_log(path: Path) -> int:
    """A descriptor that appends to the log, made where there is none.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if os.fstat(log).st_size > LOG_LIMIT:
        os.ftruncate(log, 0)
    return log


def read_tail(path: Path, start: int) -> tuple[str, ...]:
    """The last lines that were written behind ``start``, without anything that a terminal would act on."""
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(start, end - _TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return ()
    lines = (plain_line(line) for line in text.splitlines())
    return tuple([line for line in lines if line][-_TAIL_LINES:])


def plain_line(line: str) -> str:
    """The line without anything that a terminal would act on, and cut to a bearable length."""
    line = _ESCAPE_SEQUENCE.sub("", line.replace("\t", "    "))
    return "".join(c for c in line if c.isprintable()).rstrip()[:_LINE_LENGTH]
