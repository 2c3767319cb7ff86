"""The session files that were opened or saved last, wherever they lie: a small file in the state folder.

The file is a convenience: one that is damaged, or made by another program, counts as none.
"""

import contextlib
import os
import time
from pathlib import Path

import msgspec

from icltui.storage.atomic import write_atomically
from icltui.storage.paths import state_folder
from icltui.values.errors import SessionError

MOST = 100
"""The number of files that are remembered."""
_MOST_BYTES = 2**20


class RecentSession(msgspec.Struct, frozen=True):
    """A file, and when it was opened or saved last."""

    path: str
    moment: float
    """Seconds since 1970."""


def recent_sessions() -> dict[Path, float]:
    """When each file was opened or saved last, in seconds since 1970; newest first."""
    return {Path(recent.path): recent.moment for recent in _read()}


def remember_session(path: Path) -> None:
    """Put a file at the top of the list; where that cannot be written the list stays as it is."""
    with contextlib.suppress(OSError, SessionError, UnicodeEncodeError):
        name = os.path.abspath(path)
        others = [recent for recent in _read() if recent.path != name]
        write_atomically(_path(), msgspec.json.encode([RecentSession(name, time.time()), *others][:MOST]))


def _path() -> Path:
    return state_folder() / "recent-sessions.json"


def _read() -> list[RecentSession]:
    try:
        with _path().open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=list[RecentSession])[:MOST]
    except (OSError, SessionError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
