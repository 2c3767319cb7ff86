"""Other paths for a session whose folder is full or cannot be written."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from icltui.storage.paths import real_path, sessions_folder, unused_path

LEAST = 2**20
"""Least free bytes of a folder that is offered."""


@dataclass(frozen=True)
class FallbackPath:
    """A path without a file, in a folder with room."""

    path: Path
    free: int
    """Bytes."""


def fallback_paths(path: Path) -> list[FallbackPath]:
    """Paths for what could not be written to ``path``; in its own folder only if a file is in the way."""
    folders = {real_path(folder): folder for folder in (path.parent, *_folders())}
    if not os.path.lexists(path):
        folders.pop(real_path(path.parent), None)
    free = {folder: _free(folder) for folder in folders.values()}
    return [
        FallbackPath(unused_path(folder, path.stem), room) for folder, room in free.items() if room >= LEAST
    ]


def _folders() -> Iterator[Path]:
    yield from (sessions_folder().absolute(), platformdirs.user_data_path("icltui") / "sessions")
    for folder in (Path.home, Path.cwd, tempfile.gettempdir):
        with suppress(OSError, RuntimeError):  # there is none, or it is gone
            yield Path(folder())


def _free(folder: Path) -> int:
    """The free bytes of ``folder``, which may have to be made first; 0 if the user cannot write there."""
    there = next((part for part in (folder, *folder.parents) if part.exists()), folder)
    try:
        return shutil.disk_usage(there).free if os.access(there, os.W_OK | os.X_OK) else 0
    except OSError:
        return 0
