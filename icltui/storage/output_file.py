"""Bytes and a path enter; a whole file is at the path afterwards, or what was there is there still."""

import os
from pathlib import Path

from icltui.storage.atomic import write_whole
from icltui.storage.paths import make_folder, shown
from icltui.values.errors import BadInput


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

        def still_free() -> None:  # it may come while we write
            if not may_replace and is_taken(path):
                raise _there_already(path)

        write_whole(path, data, before=still_free)
    except FileExistsError as error:
        raise BadInput(f"cannot write {shown(path)}: a file is in the way: choose another place") from error
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise BadInput(f"cannot write {shown(path)}: {reason}: choose another place") from error


def _there_already(path: Path) -> BadInput:
    return BadInput(f"{shown(path)} exists already: choose another name")
