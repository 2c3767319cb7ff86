"""Bytes and a path enter; afterwards the whole file is at the path, or what was there is there still."""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write_whole(
    path: Path, data: bytes, *, mode: int = 0o600, before: Callable[[], None] = lambda: None
) -> None:
    """Put ``data`` into the file in one step; ``before`` is called when it is written and not yet there.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(
        f".icltui-{secrets.token_hex(6)}"
    )  # beside the file, so that it moves in one step
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        before()
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
