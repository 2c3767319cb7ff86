"""A log that never troubles whoever writes to it: it stays within bounds, and goes elsewhere where it cannot be had.

Bytes enter; afterwards they are at the end of a file that only its owner reads, or nowhere. Each write opens the file
anew, so that several programs may share it, and whichever finds it full begins it anew for all.
"""

import contextlib
import os
import stat
import tempfile
from io import BufferedWriter
from pathlib import Path

from icltui.storage.paths import make_folder, shown
from icltui.values.errors import reason_of

LOG_LIMIT = 4 * 2**20
"""Bytes of a log; of the full one before it, which stays beside it, there are as many."""


class LogFile:
    """A log at ``path``; in a folder for temporary files where that cannot be; and in no file where nothing can."""

    def __init__(self, path: Path) -> None:
        self._wanted = path
        self._places: list[Path | None] = [path, None]
        """Where it may go, best first; None is the folder for temporary files, which is not asked for without need."""
        self._reason = ""
        self.path: Path | None = None
        """Where the last bytes went; None: nowhere."""
        self.write(b"")

    @property
    def trouble(self) -> str:
        """Why the log is not where it should be, and where it is, in one line; empty where it is there."""
        where = f"the log is {shown(self.path)}" if self.path else "there is no log"
        return f"{shown(self._wanted)} cannot be written: {self._reason}; {where}" if self._reason else ""

    def write(self, data: bytes) -> None:
        """Append ``data``, of which the end counts where it is more than a whole log may hold. Raises nothing."""
        while self._places:
            try:
                path = self._places[0] or _temporary_folder() / self._wanted.name
                _append(path, data[-LOG_LIMIT:])
            except (OSError, ValueError) as error:
                del self._places[0]
                self._reason = self._reason or reason_of(error)
            else:
                self.path = path
                return
        self.path = None


def _append(path: Path, data: bytes) -> None:
    if not path.is_absolute():  # as where no home folder is known
        raise OSError("it is no absolute path")
    make_folder(path.parent)
    with _opened(path) as log:
        size = os.fstat(log.fileno()).st_size
        is_full = size + len(data) > LOG_LIMIT
        if not is_full:
            log.write(data)
    if is_full:
        with contextlib.suppress(FileNotFoundError):  # another program has just begun it anew
            if size > LOG_LIMIT:  # an older program let it grow
                os.unlink(path)
            else:
                os.replace(path, path.with_name(f"{path.name}.1"))
        with _opened(path) as log:
            log.write(data)


def _opened(path: Path) -> BufferedWriter:
    log = open(path, "ab", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK, 0o600))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(log.fileno()).st_mode):  # a pipe or a device may keep whoever writes waiting
        log.close()
        raise OSError("it is no file")
    return log


def _temporary_folder() -> Path:
    """A folder of the user's own among the temporary ones, where others may have put something in its place.

    Raises:
        OSError: there is none.
    """
    folder = Path(tempfile.gettempdir(), f"icltui-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise OSError(f"{folder} is another's")
    return folder
