"""What a folder of rows says of itself: ``experiment.json``, which is there before any row and never changes."""

import itertools
import os
from pathlib import Path
from typing import Any

import msgspec

from icltui.storage.atomic import leftover_prefix, sync_folder
from icltui.storage.paths import make_folder, shown
from icltui.storage.text_file import TooLarge, read_bytes
from icltui.text.pretty_json import pretty
from icltui.values.errors import BadInput, reason_of
from icltui.values.sweep import RowsFolder

RECORD, ROWS = "experiment.json", "rows"
_OURS = (ROWS, "summary.json", "summary.md", "rows.csv", "figures")
"""What is written beside the record."""
_MOST_BYTES = 2**24


def is_rows_folder(folder: Path) -> bool:
    """Whether a sweep or a study has its rows there."""
    return (folder / RECORD).is_file()


def read_record(folder: Path) -> RowsFolder:
    """What the folder holds.

    Raises:
        BadInput: it has no record, or one that cannot be read.
    """
    path = folder / RECORD
    try:
        return msgspec.json.decode(read_bytes(path, _MOST_BYTES), type=RowsFolder)
    except FileNotFoundError:
        reason = "it has no experiment.json: name the --out folder of a sweep or a study"
    except (OSError, ValueError) as error:  # also of msgspec
        damaged = isinstance(error, msgspec.MsgspecError | TooLarge)
        reason = f"experiment.json: {'damaged: ' if damaged else ''}{reason_of(error)}: restore a copy of it"
    raise BadInput(f"cannot use {shown(folder)}: {reason}")


def claim_folder(folder: Path, record: RowsFolder) -> None:
    """Make the folder one of the record's rows, or find that it is.

    Of several processes that ask at once for different rows, one gets the folder.

    Raises:
        BadInput: it holds other rows or other files, or cannot be written; nothing in it is changed then.
    """
    try:
        if not is_rows_folder(folder):
            _check_free(folder)
            make_folder(folder)
            _put_new(folder / RECORD, (pretty(record) + "\n").encode())
        check_same(folder, read_record(folder), record)
        make_folder(folder / ROWS)
        if not os.access(folder / ROWS, os.W_OK):
            raise BadInput(f"cannot write {shown(folder / ROWS)}: permission denied: choose another place")
    except (OSError, ValueError) as error:  # a ValueError: a name that no file can have
        raise BadInput(f"cannot write {shown(folder)}: {reason_of(error)}: choose another place") from error


def check_same(folder: Path, found: RowsFolder, wanted: RowsFolder) -> None:
    """Refuse to mix rows.

    Raises:
        BadInput: the folder holds rows of another kind, version or question.
    """
    other = "give --out another folder"
    if found.kind != wanted.kind:
        raise BadInput(f"{shown(folder)} holds rows of {_short(found.kind)}, not of {wanted.kind}: {other}")
    if found.version != wanted.version:
        raise BadInput(
            f"{shown(folder)} holds rows of icltui {_short(found.version)}, and this is {wanted.version}: {other}, "
            "or go on with that version"
        )
    if found.columns != wanted.columns:
        raise BadInput(f"{shown(folder)} holds rows with other columns, of another build of icltui: {other}")
    wanted_plain = msgspec.json.decode(msgspec.json.encode(wanted.asked))
    if different := _first_difference(found.asked, wanted_plain):
        name, (then, now) = _short(different[0]), _difference(*different[1:])
        raise BadInput(f"{shown(folder)} holds another {wanted.kind} ({name} was {then}, now {now}): {other}")


def _first_difference(found: Any, wanted: Any) -> tuple[str, object, object] | None:
    """The name that differs, and both its values; inside a value that is an object, the name there.

    >>> _first_difference({"n": 1, "model": {"model": "a"}}, {"n": 1, "model": {"model": "b"}})
    ('model', 'a', 'b')
    """
    for name in dict.fromkeys([*found, *wanted]):
        then, now = found.get(name), wanted.get(name)
        if then != now:
            inner = isinstance(then, dict) and isinstance(now, dict) and _first_difference(then, now)
            return inner or (str(name), then, now)
    return None


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{shown(folder)} is no folder: give --out another name")
    for name in _OURS:
        if os.path.lexists(folder / name):
            raise BadInput(
                f"{shown(folder)} holds {name!r} of something else (it has no experiment.json): "
                "give --out another folder"
            )


def _put_new(path: Path, data: bytes) -> None:
    """Write the file whole, unless another process has by now."""
    temporary = path.with_name(leftover_prefix() + os.urandom(6).hex())
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            if not os.path.lexists(path):
                os.rename(temporary, path)
                return
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _difference(*values: object) -> tuple[str, str]:
    """Both values, from a little before they differ."""
    one, other = (
        value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in values
    )
    equal = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    begin = max(0, len(list(equal)) - 20)
    dots = "…" if begin else ""
    return f"{dots}{_short(one[begin:])}", f"{dots}{_short(other[begin:])}"


def _short(text: str) -> str:
    return ascii(text)[1:-1] if len(text) <= 60 else f"{ascii(text[:60])[1:-1]}…"
