"""Rows in ``DIR/rows``: a Parquet file for each worker and flush, whole or not there, read as one table.

A process that is killed leaves at most a temporary file, which no reader takes for rows. Any number of processes write
into one folder at once, as no two write one file.
"""

import importlib
import io
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from icltui.storage.atomic import write_atomically
from icltui.storage.paths import shown
from icltui.storage.rows_folder import ROWS
from icltui.values.errors import BadInput, reason_of
from icltui.values.results import ResultRow

if TYPE_CHECKING:
    import pyarrow

RowT = TypeVar("RowT", bound=ResultRow)
_PATTERN = "[!.]*.parquet"
_MOST_FILES = 2**20


class RowStore(Generic[RowT]):
    """The rows that one worker adds to a folder, which is claimed already.

    Args:
        folder: the ``--out`` folder.
        row_type: the struct of its rows, of which the columns follow.
        writer: the beginning of this worker's files; no other process may have the same.
    """

    def __init__(self, folder: Path, row_type: type[RowT], writer: str = "") -> None:
        self.folder = folder
        self.row_type = row_type
        self.writer = writer or secrets.token_hex(4)
        self._schema = schema_of(row_type)
        self._pending: list[RowT] = []
        self._n_files = 0

    @property
    def n_pending(self) -> int:
        """Rows that are not on the disk."""
        return len(self._pending)

    def keys(self, *, failed: bool = True) -> set[str]:
        """Keys of the items on the disk; ``failed``: also of those that are nothing but an error."""
        table = _read(self.folder, ["key", "error"])
        errors = table["error"].is_null().to_pylist()
        keys = table["key"].to_pylist()
        return {key for key, is_right in zip(keys, errors, strict=True) if failed or is_right}

    def append(self, rows: Iterable[RowT]) -> None:
        """Keep the rows of one item, which come to the disk together."""
        self._pending += rows

    def flush(self) -> None:
        """Write what is kept.

        Raises:
            BadInput: it cannot be written, such as to a full disk; the rows are still kept.
        """
        if not self._pending:
            return
        pa, parquet = _pyarrow(), importlib.import_module("pyarrow.parquet")
        data = io.BytesIO()
        columns = [[_plain(getattr(row, name)) for row in self._pending] for name in self._schema.names]
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        parquet.write_table(pa.Table.from_arrays(arrays, schema=self._schema), data, compression="zstd")
        path = self.folder / ROWS / f"{self.writer}-{self._n_files + 1:04}.parquet"
        try:
            write_atomically(path, data.getvalue())
        except OSError as error:
            raise BadInput(
                f"cannot write {shown(path)}: {reason_of(error)}: make room, then run the same command again: "
                "all rows that were written before are kept"
            ) from error
        self._pending, self._n_files = [], self._n_files + 1


def read_rows(folder: Path, columns: Sequence[str] | None = None) -> "pyarrow.Table":
    """The rows of a folder: one for each key and part, in the order of their keys; ``columns``: only these.

    Of rows with one key, the one without an error counts, then the first by its file's name.

    Raises:
        BadInput: pyarrow is missing, or a file is damaged.
    """
    wanted = None if columns is None else list(dict.fromkeys([*columns, "key", "part", "error"]))
    table = _read(folder, wanted)
    pa = _pyarrow()
    order = pa.table(
        {
            "key": table["key"],
            "part": table["part"],
            "failed": table["error"].is_valid(),
            "at": pa.array(range(len(table)), pa.int64()),
        }
    ).sort_by([(name, "ascending") for name in ("key", "part", "failed", "at")])
    seen: set[tuple[str, int]] = set()
    kept = []
    for key, part, at in zip(*(order[name].to_pylist() for name in ("key", "part", "at")), strict=True):
        if (key, part) not in seen:
            seen.add((key, part))
            kept.append(at)
    table = table.take(pa.array(kept, pa.int64()))
    return table if columns is None else table.select(list(columns))


def row_files(folder: Path) -> list[Path]:
    """The files of rows, sorted by name."""
    return sorted((folder / ROWS).glob(_PATTERN))


def _read(folder: Path, columns: list[str] | None) -> "pyarrow.Table":
    pa, parquet = _pyarrow(), importlib.import_module("pyarrow.parquet")
    ours = pa.schema([("key", pa.string()), ("part", pa.int64()), ("error", pa.string())])
    schema, tables = ours, []
    for path in row_files(folder):
        try:
            table = parquet.read_table(path, columns=columns, partitioning=None)
            schema = pa.unify_schemas([schema, table.schema], promote_options="permissive")
            for one in ours if columns is None else [one for one in ours if one.name in columns]:
                if table[one.name].type != one.type or (one.name != "error" and table[one.name].null_count):
                    raise pa.ArrowInvalid(f"{one.name!r} is not that of a row")
            tables.append(table)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise BadInput(
                f"cannot read {shown(path)}: {' '.join(str(error).split())[:120]}: remove it, then run the same "
                "command again, which computes its rows anew"
            ) from error
    return (
        pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        if tables
        else ours.empty_table()
    )


def schema_of(row_type: type[ResultRow]) -> "pyarrow.Schema":
    """The columns of a struct's rows: texts, numbers and truths, each of which may be missing, or lists of them."""
    pa = _pyarrow()
    return pa.schema(
        [pa.field(info.name, _arrow_type(info.type)) for info in msgspec.structs.fields(row_type)]
    )


def _arrow_type(annotation: Any) -> "pyarrow.DataType":
    pa = _pyarrow()
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _arrow_type(parts[0])
    if origin is Literal:
        return _arrow_type(type(parts[0]))
    if origin in (Union, UnionType):
        (inner,) = (part for part in parts if part is not NoneType)
        return _arrow_type(inner)
    if origin is tuple:
        return pa.list_(_arrow_type(parts[0]))
    types = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    return types[annotation]


def _plain(value: Any) -> Any:
    """The value as a column holds it: text without half characters, which UTF-8 cannot say."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _pyarrow() -> Any:
    """The library, which the plain program does without.

    Raises:
        BadInput: it is not installed.
    """
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise BadInput("rows are Parquet files, which need pyarrow: pip install 'icltui[study]'") from error
