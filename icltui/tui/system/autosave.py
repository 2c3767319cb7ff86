"""Autosaves: unsaved work in files of the state folder, and the files that other programs left there.

Each program has files of its own, named by title, host, process and start time, and holds a lock beside them: the
system drops the lock when the program ends, however it ends. Files are written and removed one after the other on a
thread, so that the screen never waits for a disk.
"""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from icltui.storage.atomic import is_running, remove_leftovers
from icltui.storage.paths import file_slug, make_folder, state_folder
from icltui.storage.sessions import write_session
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.session_conversion import left_out
from icltui.values import Session
from icltui.values.errors import SessionError

DRAFT = ".draft"
"""Part of the name of a file whose prompt was edited after its run; the run's own file stays beside it."""

_A_DAY = 24 * 60 * 60


def autosave_folder() -> Path:
    """The folder of autosaves.

    Raises:
        SessionError: the state folder cannot be made.
    """
    return state_folder() / "autosave"


class Autosave:
    """The autosaves of one explorer.

    Args:
        explorer: the explorer.
        failed: is called with the reason when an autosave fails, and again only after one has succeeded.
    """

    def __init__(self, explorer: Explorer, failed: Callable[[str], object]) -> None:
        self._explorer, self._failed = explorer, failed
        self._key = _key(datetime.now(UTC))
        self._thread = ThreadPoolExecutor(1, "autosave")
        self._paths: set[Path] = set()
        self._newest = 0
        self._lock: int | None = None
        self._has_failed = False

    def keep(self) -> "Future[Path | None]":
        """Begin to write the present work; the result is its path (None: newer work waits) or a SessionError."""
        title = self._explorer.document.title
        session = self._explorer.session(title)
        is_draft = bool(left_out(session.alone, self._explorer.settings, self._explorer.results))
        self._newest += 1
        future = self._thread.submit(self._put, self._newest, title, session, is_draft)
        future.add_done_callback(self._report)
        return future

    def forget(self) -> None:
        """Begin to remove the files, since the work was saved or discarded."""
        if self._newest:
            self._newest = 0
            self._thread.submit(lambda: self._remove(*self._paths))

    def close(self) -> None:
        """Finish what was begun and drop the lock: another program may find the files now."""
        self._thread.submit(self._unlock)
        self._thread.shutdown()

    def _put(self, number: int, title: str, session: Session, is_draft: bool) -> Path | None:
        if number < self._newest:
            return None
        folder = autosave_folder()
        self._take_lock(folder)
        path = folder / f"{file_slug(title)}{DRAFT if is_draft else ''}@{self._key}.json"
        write_session(path, session)
        if not is_draft:  # the newest prompt is in this file, and its numbers too
            self._remove(*(old for old in self._paths if f"{DRAFT}@" in old.name))
        self._paths.add(path)
        return path

    def _report(self, future: "Future[Path | None]") -> None:
        error = future.exception()
        if error and not self._has_failed:
            self._failed(f"autosave failed, the work is in memory only: {error}")
        self._has_failed = error is not None

    def _remove(self, *paths: Path) -> None:
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self._paths.difference_update(paths)

    def _take_lock(self, folder: Path) -> None:
        """Hold the lock from the first file on; without locks in the file system, the process id decides."""
        if self._lock is None:
            with contextlib.suppress(OSError):
                make_folder(folder)
                self._lock = os.open(
                    folder / f"@{self._key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(self) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError, SessionError):
                (autosave_folder() / f"@{self._key}.lock").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None


@dataclass(frozen=True)
class Orphan:
    """Work that a program left when it ended without saving."""

    path: Path
    title: str
    host: str
    """Host that wrote the file; empty where it is not known."""
    moment: datetime
    """The time of writing."""
    is_draft: bool

    def delete(self) -> None:
        """Remove the file.

        Raises:
            OSError: it cannot be removed.
        """
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            if not any(self.path.parent.glob(f"*@{_key_of(self.path)}.json")):
                _lock_path(self.path).unlink(missing_ok=True)


def orphans() -> list[Orphan]:
    """The work of programs that have ended, newest first."""
    try:
        remove_leftovers(autosave_folder())
        _sweep_locks(autosave_folder())
        paths = list(autosave_folder().glob("*.json"))
        found = [_orphan(path) for path in paths if not _is_owned(path)]
    except (OSError, SessionError):
        return []
    return sorted(found, key=lambda orphan: orphan.moment, reverse=True)


def _sweep_locks(folder: Path) -> None:
    """Remove locks without work, a day after: a program that begins has no file yet."""
    for lock in folder.glob("@*.lock"):
        is_old = time.time() - lock.stat().st_mtime > _A_DAY
        if is_old and not any(folder.glob(f"*@{_key_of(lock)}.json")) and not _is_owned(lock):
            lock.unlink(missing_ok=True)


def _orphan(path: Path) -> Orphan:
    title, _, key = path.stem.rpartition("@")
    name = title or path.stem
    return Orphan(
        path=path,
        title=name.removesuffix(DRAFT),
        host=key.rsplit(".", 2)[0] if title else "",
        moment=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        is_draft=name.endswith(DRAFT),
    )


def _is_owned(path: Path) -> bool:
    """Whether the program that wrote ``path`` runs."""
    try:
        lock = os.open(_lock_path(path), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no locks on this file system
        return _may_run(_key_of(path))
    finally:
        os.close(lock)
    return False


def _may_run(key: str) -> bool:
    """Whether the process that ``key`` names may run; on another machine, always."""
    host, pid, _ = key.rsplit(".", 2)
    if host != _host():
        return True
    return is_running(int(pid))


def _key(moment: datetime) -> str:
    """The name of one program, unique on all machines."""
    return f"{_host()}.{os.getpid()}.{moment.strftime('%Y%m%dT%H%M%S%f')}"


def _host() -> str:
    return file_slug(socket.gethostname()) or "here"


def _key_of(path: Path) -> str:
    return path.stem.rpartition("@")[2]


def _lock_path(path: Path) -> Path:
    return path.with_name(f"@{_key_of(path)}.lock")
