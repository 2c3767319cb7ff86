"""Keeps stdin and stdout free for messages.

Libraries print, native ones straight to descriptor 1, and some read descriptor 0. After :func:`claim_stdio` their
output goes to stderr, which is the log, and their input is empty.
"""

import fcntl
import os
import sys
from contextlib import suppress
from typing import BinaryIO

_ROOM = 2**20
"""Bytes that the pipe should hold: one that is full in the middle of a message lets another program's line in."""


def claim_stdio() -> tuple[BinaryIO, BinaryIO]:
    """The process's stdin and stdout for messages alone; child processes do not inherit them."""
    stdin, stdout = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    with suppress(OSError, AttributeError):  # it is no pipe, or this is not Linux
        fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, _ROOM)
    sys.stdout = sys.stderr
    return os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb")
