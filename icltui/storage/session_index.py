"""What a list of sessions says of each: read from its file once, then from a small index in the state folder.

A path enters, :class:`SessionFacts` leave. They are for a list alone: a file is judged only when it is opened, by
:func:`~icltui.storage.sessions.read_session`. A file that cannot be read gives facts with a fault, never an exception.
The index is a convenience: one that is damaged or made by another program counts as none.
"""

import contextlib
import math
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from icltui.storage.atomic import write_atomically
from icltui.storage.paths import real_path, state_folder
from icltui.values.errors import SessionError, reason_of

MOST = 2000
"""Files that the index holds."""
READ_LIMIT = 48 * 2**20
"""Bytes of the largest file that is looked into; of a larger one only its name and its size are told."""
CELLS = 32
"""Parts of the context in a session's picture, at most."""
_TEXT, _NAME, _NOTE = 400, 120, 200
_MOST_BYTES = 8 * 2**20
_FORMAT = 1


class SessionFacts(msgspec.Struct, frozen=True):
    """What a list says of one session."""

    title: str = ""
    """Empty: the file's name counts."""
    model: str = ""
    """The model's name; empty where nothing was computed."""
    n_layers: int = 0
    note: str = ""
    """The last note on a run."""
    context: str = ""
    """The beginning of the context."""
    query: str = ""
    """The end of the query."""
    said_with: str | None = None
    """What the model says with the context; None where nothing was generated."""
    said_without: str | None = None
    """What it says without the context."""
    heat: tuple[int, ...] = ()
    """‖δ‖ of the context's units in turn at the last layer, 0 to 100, on a log scale; -1: not known."""
    n_units: int = 0
    fault: str = ""
    """Why nothing is known; empty where it is."""

    @property
    def text(self) -> str:
        """Everything that a list can be searched by."""
        return "\n".join((self.title, self.model, self.note, self.context, self.query))


class _Row(msgspec.Struct, gc=False):
    unit: int
    layer: int
    delta_norm: float | None = None


class _Measured(msgspec.Struct):
    rows: list[_Row] = []


class _Said(msgspec.Struct):
    text: str = ""


class _Generated(msgspec.Struct):
    lanes: dict[str, _Said] = {}


class _Asked(msgspec.Struct):
    context: str = ""
    query: str = ""


class _Model(msgspec.Struct):
    name: str = ""
    n_layers: int = 0


class _RunResults(msgspec.Struct):
    """The session of a run; its results are looked into only where the session itself lacks them."""

    measurement: msgspec.Raw = msgspec.Raw(b"null")
    generation: msgspec.Raw = msgspec.Raw(b"null")


class _NotedRun(msgspec.Struct):
    number: int = 0
    note: str = ""
    session: _RunResults = msgspec.field(default_factory=_RunResults)


class _File(msgspec.Struct):
    """The little of a session's file that is looked at; a file of any format has it."""

    format: int
    prompt: _Asked
    title: str = ""
    model: _Model | None = None
    measurement: _Measured | None = None
    generation: _Generated | None = None
    runs: list[_NotedRun] = []
    run: int | None = None


class _Entry(msgspec.Struct, frozen=True):
    stamp: tuple[int, int]
    """Time of the last change in nanoseconds, and size in bytes."""
    facts: SessionFacts


class _IndexFile(msgspec.Struct):
    version: int = 0
    files: dict[str, _Entry] = {}


class SessionIndex:
    """The facts of files that were looked into before; the state folder keeps them between programs."""

    def __init__(self) -> None:
        self._files = _read_index()
        self._is_changed = False

    def known(self, path: Path) -> SessionFacts | None:
        """The facts of a file that has not changed since it was looked into; None: it must be read."""
        entry = self._files.get(real_path(path))
        return entry.facts if entry is not None and entry.stamp == _stamp(path) else None

    def read(self, path: Path) -> SessionFacts:
        """The facts of a file: known ones, else read from it. A large file takes a tenth of a second."""
        if (facts := self.known(path)) is not None:
            return facts
        stamp, facts = _stamp(path), facts_of(path)
        if stamp is not None:
            self._files.pop(name := real_path(path), None)
            self._files[name] = _Entry(stamp, facts)
            self._is_changed = True
        return facts

    def keep(self) -> None:
        """Write the index where something was read; where that cannot be, the files are read again next time."""
        if not self._is_changed:
            return
        newest = dict(list(self._files.items())[-MOST:])
        with contextlib.suppress(OSError, SessionError, UnicodeEncodeError):
            data = msgspec.json.encode(_IndexFile(_FORMAT, newest))
            if len(data) <= _MOST_BYTES:
                write_atomically(_path(), data)
                self._is_changed = False


def facts_of(path: Path) -> SessionFacts:
    """What the file says of itself."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return SessionFacts(fault="is not a file")
        if found.st_size > READ_LIMIT:
            return SessionFacts(fault=f"has {found.st_size / 10**6:,.0f} MB: open it to see what is in it")
        return _facts(_DECODER.decode(path.read_bytes()))
    except (OSError, ValueError, MemoryError) as error:
        if isinstance(error, msgspec.MsgspecError | UnicodeDecodeError):
            return SessionFacts(fault="is damaged, or not a session of icltui")
        return SessionFacts(fault=f"cannot be read: {reason_of(error)}")
    except RecursionError:
        return SessionFacts(fault="is damaged, or not a session of icltui")


def _facts(file: _File) -> SessionFacts:
    run = next((run for run in file.runs if run.number == file.run), None)
    notes = [run.note] if run and run.note else [each.note for each in file.runs if each.note]
    part = run.session if run else _RunResults()
    measured = file.measurement or _decoded(part.measurement, _Measured)
    said = file.generation or _decoded(part.generation, _Generated)
    lanes = said.lanes if said else {}
    n_units, heat = _heat(measured.rows if measured else [])
    return SessionFacts(
        title=_cut(file.title, _NAME),
        model=_cut(file.model.name, _NAME) if file.model else "",
        n_layers=file.model.n_layers if file.model else 0,
        note=_cut(notes[-1], _NOTE) if notes else "",
        context=_cut(file.prompt.context, _TEXT),
        query=_whole(file.prompt.query[-_TEXT:]),
        said_with=_cut(lanes["context"].text, _TEXT) if "context" in lanes else None,
        said_without=_cut(lanes["plain"].text, _TEXT) if "plain" in lanes else None,
        heat=heat,
        n_units=n_units,
    )


def _decoded(raw: msgspec.Raw, kind: Any) -> Any:
    """The results of a run; None where there are none, or none that can be read."""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(raw, type=kind | None)
    return None


def _heat(rows: Iterable[_Row]) -> tuple[int, tuple[int, ...]]:
    """How many units there are, and their picture: the largest ‖δ‖ of each of at most ``CELLS`` parts."""
    rows = [row for row in rows if row.unit > 0]
    last = max((row.layer for row in rows), default=0)
    found = {row.unit: row.delta_norm for row in rows if row.layer == last}
    values = [found[unit] for unit in sorted(found)]
    n = min(len(values), CELLS)
    parts = [values[len(values) * k // n : len(values) * (k + 1) // n] for k in range(n)]
    return len(values), _levels([max(filter(None, map(_size, part)), default=None) for part in parts])


def _size(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and value > 0 else None


def _levels(values: list[float | None]) -> tuple[int, ...]:
    logs = [math.log(value) if value is not None else None for value in values]
    known = sorted(value for value in logs if value is not None)
    if not known:
        return (-1,) * len(values)
    low, high = known[len(known) // 20], known[-1]  # a part of next to nothing does not take half the scale
    scale = 100 / (high - low) if high > low else 0
    return tuple(-1 if v is None else round(max(v - low, 0) * scale) if scale else 50 for v in logs)


def _cut(text: str, most: int) -> str:
    return _whole(text[:most])


def _whole(text: str) -> str:
    """``text`` without half characters, which no JSON file can hold."""
    return text.encode("utf-8", "replace").decode()


_DECODER = msgspec.json.Decoder(_File)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _path() -> Path:
    return state_folder() / "sessions.json"


def _read_index() -> dict[str, _Entry]:
    with contextlib.suppress(
        OSError, SessionError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError
    ):
        with _path().open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        index = msgspec.json.decode(data, type=_IndexFile)
        return index.files if index.version == _FORMAT else {}
    return {}
