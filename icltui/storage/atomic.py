"""Bytes and a path enter; afterwards the whole file is at the path, or what was there is there still.

A file that is replaced stays the same to everybody else: its mode, owner, group, access list and other names.
"""

import contextlib
import errno
import functools
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

from icltui.storage.paths import make_folder, shown
from icltui.values.errors import BadInput, reason_of

_LEFTOVER = re.compile(r"\.icltui-(?:(\d+)-[0-9a-z_]{8,12}|[0-9a-f]{12})")
"""The names of what is being written, with the process that writes it."""
_A_DAY = 24 * 60 * 60
_KEPT = ("system.posix_acl_access", "user.")
"""Beginnings of the extended attributes that are somebody's choice."""


def write_atomically(path: Path, data: bytes, *, before: Callable[[], None] = lambda: None) -> None:
    """Put ``data`` into the file, which only its owner reads where it is new; ``before`` is called when all is written.

    The data is written beside the file, which it then replaces in one step. Only where that would take something away
    (another name of the same file, an owner or a group that this user may not give) is it copied into the file itself.

    Raises:
        OSError: the file cannot be written, or something else is at the path.
    """
    path = Path(os.path.realpath(path))
    old = path.stat() if path.exists() else None
    if old is not None and not stat.S_ISREG(old.st_mode):
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    remove_leftovers(path.parent)
    temporary = path.with_name(leftover_prefix() + secrets.token_hex(6))
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            can_replace = old is None or _make_alike(file.fileno(), path, old)
            os.fsync(file.fileno())
        before()
        if can_replace:
            os.replace(temporary, path)
        else:
            _overwrite(path, data)
            os.unlink(temporary)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def path_is_taken(path: Path) -> bool:
    """Whether something is at the path, be it a link that leads nowhere."""
    return os.path.lexists(path)


def write_file(path: Path, data: bytes, *, may_replace: bool = False) -> None:
    """Put ``data`` into the file: whole or not at all.

    Raises:
        BadInput: something is there and may not be replaced, or it cannot be written.
    """
    try:
        if path_is_taken(path) and not may_replace:
            raise _there_already(path)
        make_folder(path.parent)

        def still_free() -> None:  # it may come while we write
            if not may_replace and path_is_taken(path):
                raise _there_already(path)

        write_atomically(path, data, before=still_free)
    except FileExistsError as error:
        raise BadInput(f"cannot write {shown(path)}: a file is in the way: choose another place") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot write {shown(path)}: {reason_of(error)}: choose another place") from error


def _there_already(path: Path) -> BadInput:
    return BadInput(f"{shown(path)} exists already: choose another name")


def _make_alike(handle: int, path: Path, old: os.stat_result) -> bool:
    """Give a new file the old one's mode, owner, group and attributes; False if that fails."""
    if old.st_nlink > 1:
        return False
    try:
        os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, stat.S_IMODE(old.st_mode))
        if hasattr(os, "listxattr"):  # Linux
            for name in filter(lambda name: name.startswith(_KEPT), os.listxattr(path)):
                os.setxattr(handle, name, os.getxattr(path, name))
    except OSError:
        return False
    return True


def _overwrite(path: Path, data: bytes) -> None:
    """Overwrite the file with ``data``, or restore its content on failure; a process killed meanwhile leaves both."""
    with path.open("r+b", buffering=0) as file:
        before = file.readall()
        try:
            _put(file.fileno(), data)
        except BaseException:
            _put(file.fileno(), before)
            raise


def _put(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    os.lseek(handle, 0, os.SEEK_SET)
    while rest:
        rest = rest[os.write(handle, rest) :]
    os.ftruncate(handle, len(data))
    os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Let names last over a loss of power, on file systems that can be asked to."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def leftover_prefix() -> str:
    """The prefix of this process's temporary files; eight to twelve letters and digits follow."""
    return f".icltui-{os.getpid()}-"


@functools.cache
def remove_leftovers(folder: Path) -> None:
    """Remove, once for each folder, the temporary files of processes that ended while they wrote.

    A file must be a day old, since a process on another machine, which cannot be seen, may still write it.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (found := _LEFTOVER.fullmatch(entry.name)) and _is_left(entry, found[1]):
                remove = shutil.rmtree if entry.is_dir(follow_symlinks=False) else os.unlink
                with contextlib.suppress(OSError):
                    remove(entry.path)


def _is_left(entry: os.DirEntry[str], pid: str | None) -> bool:
    is_old = time.time() - entry.stat(follow_symlinks=False).st_mtime > _A_DAY
    return is_old and not (pid and is_running(int(pid)))


def is_running(pid: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True
