"""A log of bounded size that raises nothing: where its file cannot be written, it goes to another or to none.

Only the owner can read the file. Each write opens it anew, so that several programs may share it; whichever finds it
full starts a new one for all.
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
"""Largest size of a log in bytes; the full one before it is kept beside it."""


class LogFile:
    """A log at ``path``; if it cannot be written, in the folder for temporary files; else nowhere."""

    def __init__(self, path: Path) -> None:
        self._wanted = path
        self._places: list[Path | None] = [path, None]
        """Paths to try, best first; None is the folder for temporary files, which is made only when needed."""
        self._reason = ""
        self.path: Path | None = None
        """The file that holds the last bytes; None if there is none."""
        self.write(b"")

    @property
    def trouble(self) -> str:
        """Why the log is not at its path, and where it is instead, in one line; empty if it is there."""
        where = f"the log is {shown(self.path)}" if self.path else "there is no log"
        return f"{shown(self._wanted)} cannot be written: {self._reason}; {where}" if self._reason else ""

    def write(self, data: bytes) -> None:
        """Append ``data``, at most its last :data:`LOG_LIMIT` bytes. Raises nothing."""
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
        raise OSError("it is not an absolute path")
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
    if not stat.S_ISREG(os.fstat(log.fileno()).st_mode):  # a pipe or a device may block the writer
        log.close()
        raise OSError("it is not a file")
    return log


def _temporary_folder() -> Path:
    """The user's own folder among the temporary ones, where others may have made one of that name.

    Raises:
        OSError: it cannot be made, or belongs to another user.
    """
    folder = Path(tempfile.gettempdir(), f"icltui-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise OSError(f"{folder} belongs to another user")
    return folder
