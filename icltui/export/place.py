"""Bytes and a path enter; a whole file is at the path afterwards, or what was there is there still."""

import contextlib
import os
import secrets
from pathlib import Path

from icltui.errors import BadInput
from icltui.folders import make_folder, shown


def is_taken(path: Path) -> bool:
    """Whether something is at the path, be it a link that leads nowhere."""
    return os.path.lexists(path)


def write_file(path: Path, data: bytes, *, may_replace: bool = False) -> None:
    """Put ``data`` into the file: whole or not at all.

    Raises:
        BadInput: something is there and may not be replaced, or it cannot be written.
    """
    try:
        if is_taken(path) and not may_replace:
            raise _there_already(path)
        make_folder(path.parent)
        _write(path, data, may_replace)
    except FileExistsError as error:
        raise BadInput(f"cannot write {shown(path)}: a file is in the way: choose another place") from error
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise BadInput(f"cannot write {shown(path)}: {reason}: choose another place") from error


def _there_already(path: Path) -> BadInput:
    return BadInput(f"{shown(path)} exists already: choose another name")


def _write(path: Path, data: bytes, may_replace: bool) -> None:
    # Beside the file, so that it gets there in one step; of ordinary rights, as it is made to be passed on.
    temporary = path.with_name(f".icltui-{secrets.token_hex(6)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if not may_replace and is_taken(path):  # it came while we wrote
            raise _there_already(path)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
