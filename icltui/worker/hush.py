"""Keeps everything but the wire off the wire.

Libraries print, native ones straight to descriptor 1, and some read descriptor 0. After :func:`take_wire`
what they print goes to stderr, which is the log, and what they read is empty.
"""

import os
import sys
from typing import BinaryIO


def take_wire() -> tuple[BinaryIO, BinaryIO]:
    """The process's stdin and stdout for the wire alone; children of this process do not inherit them."""
    stdin, stdout = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb")
